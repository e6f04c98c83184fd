"""Who depends on a dataset, in words that know nothing of models."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DatasetUse:
    """Someone who depends on a dataset: `user` is its URN, such as `model:arrival_delay@1`."""

    dataset: str
    user: str
    aliases: tuple[str, ...] = ()
