"""What planning found out before, so that it need not be found out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from featurestore.graph.resolved import ResolvedView
from featurestore.plan.stages import CanFail
from featurestore.spec.dtypes import DType


@dataclass(frozen=True, slots=True)
class Tried:
    """What the engine said of an on-demand feature."""

    dtype: DType
    can_fail: tuple[CanFail, ...] = ()


@dataclass(frozen=True, slots=True)
class Remembered:
    """Findings by keys that cover everything they follow from: one that is there is true."""

    views: Mapping[str, ResolvedView] = field(default_factory=dict)
    firsts: Mapping[str, datetime | None] = field(default_factory=dict)
    """When a view's rows begin."""
    can_fail: Mapping[str, tuple[CanFail, ...]] = field(default_factory=dict)
    """Of a view, by its key."""
    on_demand: Mapping[str, Tried] = field(default_factory=dict)


NOTHING = Remembered()


class PlanMemory(Protocol):
    """Anything may be forgotten at any time, and costs only the time to find it out again."""

    def recall(self) -> Remembered:
        """What was kept last, by this version of Knownat and of the libraries it asks."""
        ...

    def keep(self, remembered: Remembered) -> None:
        """Remember this, and forget everything else."""
        ...
