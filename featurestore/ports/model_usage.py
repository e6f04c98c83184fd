"""What models need of the feature store, asked without knowing what a model is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DatasetUse:
    """Someone who depends on a dataset: `user` is its URN, such as `model:arrival_delay@1`."""

    dataset: str
    user: str
    aliases: tuple[str, ...] = ()


class ModelUsage(Protocol):
    def users_of(self, datasets: Collection[str]) -> tuple[DatasetUse, ...]:
        """Who depends on any of these datasets, in the order of their URNs."""
        ...
