"""What models need of the feature store, asked without knowing what a model is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from featurestore.plan.usage import DatasetUse

__all__ = ["DatasetUse", "ModelUsage"]


class ModelUsage(Protocol):
    def users_of(self, datasets: Collection[str]) -> tuple[DatasetUse, ...]:
        """Who depends on any of these datasets, in the order of their URNs."""
        ...
