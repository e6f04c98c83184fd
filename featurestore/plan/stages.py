"""What a plan is made of: changes that people read, and stages that apply carries out in their order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from featurestore.graph.resolved import Graph, ResolvedView
from featurestore.intervals import Interval, IntervalSet
from featurestore.plan.usage import DatasetUse


class ChangeKind(Enum):
    """ADDED and REMOVED speak of names; CHANGED of a new fingerprint; DESCRIBED of all else: owner, ttl, lateness, …"""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    DESCRIBED = "described"


@dataclass(frozen=True, slots=True)
class Change:
    """One declaration that differs from what is applied."""

    kind: ChangeKind
    what: str
    """Its URN without fingerprint, such as `view:aircraft_delays`."""
    features: tuple[str, ...] = ()
    """Of a view: the features that are new or have a new fingerprint."""
    because: tuple[str, ...] = ()
    """Of a view that reads others: those of them that change, too."""


@dataclass(frozen=True, slots=True)
class CreateTable:
    view: ResolvedView


@dataclass(frozen=True, slots=True)
class Backfill:
    view: ResolvedView
    missing: IntervalSet
    estimated_rows: int
    """Source rows to read, from the sources' own statistics."""


@dataclass(frozen=True, slots=True)
class Materialize:
    """Fill the new table of a view that is asked for online, so that its readers are never without an answer."""

    view: ResolvedView


@dataclass(frozen=True, slots=True)
class QuietTime:
    """Time since a view was filled in which its sources have no rows: it counts as filled, with nothing to be done."""

    view: ResolvedView
    time: Interval


@dataclass(frozen=True, slots=True)
class Promote:
    """Make the graph what readers see, in place of the one that was applied as number `replacing`. Always last."""

    graph: Graph
    replacing: int | None


@dataclass(frozen=True, slots=True)
class LateRows:
    """Rows that arrived later than their view's declared lateness: the sources have them, and no table."""

    view: str
    rows: int
    days: IntervalSet

    @property
    def interval(self) -> Interval:
        """From the first of the days to the last, for a backfill that takes the rows in."""
        return Interval(self.days.intervals[0].start, self.days.intervals[-1].end)


@dataclass(frozen=True, slots=True)
class HeldRows:
    """Rows (of a windowed view: tiles) that stay in their view's table although they are gone from these sources."""

    view: str
    rows: int
    days: IntervalSet
    sources: tuple[str, ...]
    is_windowed: bool = False

    @property
    def interval(self) -> Interval:
        """From the first of the days to the last, for a backfill that accepts that the rows are gone."""
        return Interval(self.days.intervals[0].start, self.days.intervals[-1].end)


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """What the new table of a changed view will not hold, since it is made of what sources hold now: rows (of a
    windowed view: tiles) of its present one, `table`."""

    view: str
    table: str
    rows: int | None
    """Those that are gone from the sources; None: all that was captured, of a view that keeps removed rows."""


@dataclass(frozen=True, slots=True)
class ByEngine:
    """An on-demand feature that the batch engine computes, also for lookups, which wait for it; and why."""

    feature: str
    reason: str


@dataclass(frozen=True, slots=True)
class CanFail:
    """What fails on values that a table may well hold: one such row, and its whole fill or request fails."""

    what: str
    """`view:feature`, a view, or an on-demand feature."""
    reason: str
    at_limits: bool
    """Whether only the limits of its types are such values, as where the greatest whole numbers are added."""


Stage = CreateTable | Backfill | Materialize | Promote


@dataclass(frozen=True, slots=True)
class Plan:
    """What must happen for the definitions to be what readers see. Printing it is the dry run."""

    changes: tuple[Change, ...]
    stages: tuple[Stage, ...]
    pinned: tuple[DatasetUse, ...] = ()
    """Datasets and models that stay on fingerprints which this plan replaces or removes."""
    late: tuple[LateRows, ...] = ()
    """Rows that this plan leaves out, since they came too late."""
    held: tuple[HeldRows, ...] = ()
    """Rows that stay in tables although they are gone from their sources."""
    left_behind: tuple[LeftBehind, ...] = ()
    by_engine: tuple[ByEngine, ...] = ()
    """Of the on-demand features that are new or changed, those that make lookups slower."""
    quiet: tuple[QuietTime, ...] = ()
    """What carrying the plan out says in passing. It is nothing to do."""
    can_fail: tuple[CanFail, ...] = ()
    """Of what is new or changed."""

    @property
    def nothing_to_do(self) -> bool:
        return not self.stages
