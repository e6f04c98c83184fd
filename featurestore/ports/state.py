"""State: what has been applied, filled and pulled. Progress lives here, never in definitions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from featurestore.errors import ConcurrentChange
from featurestore.graph.resolved import FeatureSet, Graph
from featurestore.intervals import DAY, Interval, IntervalSet, ceil_to, floor_to


@dataclass(frozen=True, slots=True)
class AppliedGraph:
    """What readers see now: the graph that was last applied, and when."""

    serial: int
    graph: Graph
    applied_at: datetime


def check_replaced(newest: int | None, replacing: int | None) -> None:
    """What every CatalogState does before it promotes. Raises ConcurrentChange."""
    if newest != replacing:
        raise ConcurrentChange(
            "Another process applied definitions since this plan was made. Readers see those; run `knownat plan` again."
        )


class CatalogState(Protocol):
    def current(self) -> AppliedGraph | None:
        """The graph that was applied last; None before the first apply."""
        ...

    def serial(self) -> int | None:
        """The serial of what `current` would return, without reading the graph: cheap enough for every request."""
        ...

    def promote(self, graph: Graph, applied_at: datetime, *, replacing: int | None) -> AppliedGraph:
        """Make `graph` what readers see, in one transaction. Call it when everything it names is whole.

        `replacing` is the serial it was planned on, None for nothing. Raises ConcurrentChange when that is no longer
        the newest.
        """
        ...

    def history(self) -> tuple[AppliedGraph, ...]:
        """Every graph that was ever applied, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class FilledPart:
    """A part of a source as a fill saw it: what it is compared with later, to tell what has changed since."""

    source: str
    name: str
    version: str
    rows: int
    first: datetime | None
    """The earliest event timestamp in it; None where it may touch any day."""
    last: datetime | None


@dataclass(frozen=True, slots=True)
class DayRows:
    """How many of the view's source rows a day had when it was filled."""

    day: date
    rows: int


@dataclass(frozen=True, slots=True)
class HeldDay:
    """Stored rows of a day (of a windowed view: tiles) that a fill left in the table although they are gone from the
    sources."""

    day: date
    rows: int
    sources: tuple[str, ...]
    """Those that had changed, and that say of gone rows that they are to stay."""


@dataclass(frozen=True, slots=True)
class Settled:
    """As long as the sources have these versions, nothing of the table is missing or outdated, and they have no row
    between what is filled and `until`."""

    source_versions: tuple[tuple[str, str], ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class FilledInterval:
    """One chunk of a backfill: these rows went into this version of the view's table."""

    interval: Interval
    version: int
    rows: int
    source_versions: tuple[tuple[str, str], ...]
    filled_at: datetime
    parts: tuple[FilledPart, ...] | None = None
    """Everything of the sources that could have a row in the interval; None: filled before that was remembered."""
    day_rows: tuple[DayRows, ...] | None = None
    """Counted where the view declares a lateness, or stores nothing else that tells it when rows are gone; None
    elsewhere. Days without rows are left out, and one with gone rows that were held has as many as before."""
    held: tuple[HeldDay, ...] = ()
    settled: Settled | None = None
    """Of the fill that what is covered ends with: what was found when nothing was to be filled; None: not looked."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A piece of a table, and the fill that its rows are of."""

    interval: Interval
    fill: FilledInterval

    @property
    def held(self) -> tuple[HeldDay, ...]:
        """The days of the piece in which rows stayed that are gone from the sources."""
        first, last = self.interval.start.date(), (self.interval.end - timedelta(microseconds=1)).date()
        return tuple(one for one in self.fill.held if first <= one.day <= last)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is filled of one table, newest fill first where they overlap."""

    table: str
    fills: tuple[FilledInterval, ...] = ()

    @property
    def covered(self) -> IntervalSet:
        """What the newest version of the table holds."""
        return IntervalSet.of(holding.interval for holding in self.holdings)

    @property
    def holdings(self) -> tuple[Holding, ...]:
        """What the newest version of the table holds, by the fill it is of. A fill replaces whole days, so of what was
        filled in an earlier version of the table nothing is left in them: whichever of two processes was the first to
        say so."""
        held: list[Holding] = []
        replaced = IntervalSet()
        for version in sorted({fill.version for fill in self.fills}, reverse=True):
            fills = [fill for fill in self.fills if fill.version == version]
            same_version = IntervalSet()
            for fill in fills:
                pieces = IntervalSet((fill.interval,)) - replaced - same_version
                held += (Holding(piece, fill) for piece in pieces)
                same_version |= pieces
            whole = (Interval(floor_to(f.interval.start, DAY), ceil_to(f.interval.end, DAY)) for f in fills)
            replaced |= IntervalSet.of(whole)
        return tuple(held)

    @property
    def filled_to(self) -> datetime | None:
        """The end of what is filled without a hole from the beginning; None when nothing is."""
        return self.covered.intervals[0].end if self.fills else None

    @property
    def last(self) -> FilledInterval | None:
        """The fill that what is filled ends with; None when nothing is."""
        last = max(self.holdings, key=lambda holding: holding.interval.end, default=None)
        return None if last is None else last.fill

    @property
    def rows(self) -> int:
        return sum(fill.rows for fill in self.fills)

    @property
    def version(self) -> int:
        return max((fill.version for fill in self.fills), default=0)


class CoverageState(Protocol):
    def coverage(self, table: str) -> Coverage: ...

    def record(self, table: str, fill: FilledInterval) -> None:
        """Remember that an interval is filled; fills of earlier versions that it contains wholly are forgotten, and
        what was settled is not any more. In one transaction."""
        ...

    def replace(self, table: str, fill: FilledInterval, by: FilledInterval) -> bool:
        """Say `by` where `fill` was said, in its place among the others; False, and nothing changed, where `fill` is no
        longer what is recorded."""
        ...

    def cut(self, table: str, end: datetime, at: datetime) -> None:
        """Nothing is filled from `end` on, whatever was recorded, and what is filled before it was so by `at`. In one
        transaction."""
        ...

    def forget(self, table: str) -> None:
        """Nothing of the table is filled: it is about to be created."""
        ...


@dataclass(frozen=True, slots=True)
class Unchanging:
    """No answer from this version of a table changes between what is copied and `until`."""

    version: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Materialization:
    """How far one table has been copied into the online store, and from which version of it."""

    table: str
    filled_to: datetime
    version: int
    rows: int
    materialized_at: datetime
    is_dated_by_data: bool = True
    """False: by a release before the timestamps of a windowed view's rows followed from the data alone. Its rows may be
    dated later than what is to replace them."""
    unchanging: Unchanging | None = None
    """Found when nothing was to be copied; None: not looked."""


class MaterializationState(Protocol):
    """Kept for each online store, named by its address: two stores do not share progress."""

    def last(self, store: str, table: str) -> Materialization | None: ...

    def record(self, store: str, materialization: Materialization, *, after: Materialization | None) -> None:
        """Remember how far the table is copied. `after` is what `last` said before the copy began: if another process
        recorded something meanwhile, both are forgotten, so that the next run copies every key."""
        ...

    def all(self, store: str) -> tuple[Materialization, ...]:
        """Every table that was copied into the store, by name."""
        ...

    def forget(self, store: str, table: str) -> None:
        """The table is about to be dropped from the store."""
        ...


@dataclass(frozen=True, slots=True)
class PinnedTable:
    """The version of a view's table that a dataset was pulled from."""

    table: str
    view: str
    fingerprint: str
    version: int
    answers_until: datetime
    """Up to when this version holds everything that is visible."""
    source_versions: tuple[tuple[str, str], ...]
    commit: str | None = None
    """The sha256 of this version's log entry; None where it was pulled before that was kept."""


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What one column of a result looked like. The statistics are of its finite numbers."""

    name: str
    dtype: str
    nulls: int
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything a training set was made of. `id` is a hash of its inputs: the same pull has the same id."""

    id: str
    features: FeatureSet
    tables: tuple[PinnedTable, ...]
    spine: str
    """sha256 of the spine, an object of the object store when `spine_kept`."""
    spine_kept: bool
    timestamp: str
    label: str | None
    rows: int
    first: datetime | None
    last: datetime | None
    result: str
    """sha256 of the result's Parquet bytes."""
    result_size: int
    profile: tuple[ColumnProfile, ...]
    libraries: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    created_at: datetime
    served: str | None = None
    """Where rows hold what an online store answered: the sha256 of the history they were joined by, an object of the
    object store."""

    @property
    def objects(self) -> tuple[str, ...]:
        """Everything of it that an object store keeps."""
        kept = (self.result, self.spine if self.spine_kept else None, self.served)
        return tuple(sha256 for sha256 in kept if sha256 is not None)


class DatasetState(Protocol):
    def put(self, manifest: Manifest) -> Manifest:
        """Keep the manifest unless there is one with its id; return the one that is kept."""
        ...

    def get(self, dataset: str) -> Manifest:
        """The manifest with this id, or the only one whose id starts so. Raises UnknownName."""
        ...

    def all(self) -> tuple[Manifest, ...]:
        """Every manifest, oldest first."""
        ...

    def delete(self, dataset: str) -> None:
        """Forget the manifest with exactly this id, if there is one. What only it pins is then free to go."""
        ...
