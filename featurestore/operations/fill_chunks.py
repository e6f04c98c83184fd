"""Fill chunks: compute them, a few at a time, and commit them one after another in their order.

Computing is what takes long and may overlap, within one view and from one view to the next. Commits never do: each is
based on the version of the table before its sources were read, or on the commits of this very process since, and on
pushes. A fill of anybody else in between makes ours fail, so a chunk is committed once, whoever else is at it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice

from featurestore.compiler.first_event import is_dated_by_source
from featurestore.compiler.late_rows import ROWS, rows_of_days
from featurestore.compiler.row_wise import takes_pushes
from featurestore.compiler.stored_rows import EVENT_DAY, stored_rows
from featurestore.errors import KnownatError, SourceDrifted, SourceError
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import DAY, Interval, IntervalSet, ceil_to, floor_to
from featurestore.operations.computed_days import ComputedDays
from featurestore.operations.drift import all_of_them, read_sources
from featurestore.operations.hold_rows import counts_days, with_held_rows
from featurestore.operations.keep_rows import with_kept_rows
from featurestore.operations.open_table import record_commits, version_to_replace
from featurestore.operations.replace_days import Replacement, replace_days
from featurestore.operations.sides import OfflineSide
from featurestore.operations.source_parts import parts_seen, parts_within
from featurestore.operations.source_rows import naming_view
from featurestore.ports.engine import Query
from featurestore.ports.source_reader import SourceSnapshot
from featurestore.ports.state import DayRows, FilledInterval


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some days of a view: the unit of work."""

    view: ResolvedView
    interval: Interval
    number: int
    """From 1."""
    chunks: int


@dataclass(frozen=True, slots=True)
class ChunkFilled:
    """One chunk of a backfill is done."""

    view: str
    interval: Interval
    rows: int
    """Rows (or tiles) now stored for the chunk."""
    chunk: int
    """Its number, from 1."""
    chunks: int
    held: int = 0
    """Of these rows, those that are gone from the sources and stayed."""


def fill_chunks(
    chunks: Iterable[Chunk], offline: OfflineSide, *, now: datetime, accept_removed: bool = False
) -> Iterator[ChunkFilled]:
    """Fill the chunks, reporting each in its order when it is durable and recorded.

    Up to `offline.workers` are computed at once. The first error stops it: the chunks before that one stay done, those
    after it are dropped, and the same call finishes the job. Only a source that can not be read, or has drifted, stops
    no other view than its own: SourceError or SourceDrifted comes after the last chunk. Rows that are gone from a
    source which holds them stay, unless `accept_removed`. Raises ConcurrentChange when another process fills the same
    table.
    """
    offline.claim()
    commits = _Commits(offline, now, accept_removed=accept_removed)
    broken: dict[str, KnownatError] = {}
    with closing(_computing(chunks, offline, commits)) as computing:
        for chunk, computed in computing:
            if chunk.view.table in broken:
                continue
            try:
                ready = computed()
            except (SourceError, SourceDrifted) as error:
                broken[chunk.view.table] = error
            else:
                yield commits.commit(ready)
    if broken:
        raise all_of_them(list(broken.values()))


def _computing(
    chunks: Iterable[Chunk], offline: OfflineSide, commits: _Commits
) -> Generator[tuple[Chunk, Callable[[], _Computed]]]:
    """The chunks in their order, each with what gives it computed: right then, or by a worker that began before."""
    if offline.workers == 1:
        yield from ((chunk, partial(commits.computed, chunk, commits.version_of(chunk))) for chunk in chunks)
        return
    waiting = iter(chunks)
    with ThreadPoolExecutor(offline.workers, thread_name_prefix="knownat-fill") as pool:

        def start(chunk: Chunk) -> tuple[Chunk, Future[_Computed]]:
            return chunk, pool.submit(commits.computed, chunk, commits.version_of(chunk))

        under_way = deque(map(start, islice(waiting, offline.workers)))
        try:
            while under_way:
                chunk, future = under_way.popleft()
                wait((future,))
                under_way += map(start, islice(waiting, 1))
                yield chunk, future.result
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Computed:
    """A chunk whose files are written, and what they were made from."""

    chunk: Chunk
    days: ComputedDays
    sources: tuple[SourceSnapshot, ...]


class _Commits:
    """The commits of one process, each on top of the one before."""

    def __init__(self, offline: OfflineSide, now: datetime, *, accept_removed: bool) -> None:
        self._offline = offline
        self._now = now
        self._accept_removed = accept_removed
        self._own: dict[str, frozenset[int]] = {}

    def version_of(self, chunk: Chunk) -> int:
        """The table's version, asked before the sources are read: a fill that came after it makes ours fail."""
        return version_to_replace(chunk.view.table, self._offline)

    def computed(self, chunk: Chunk, based_on: int) -> _Computed:
        """The chunk's files, with the rows that stay although they are gone from their sources."""
        computed, offline, accept = _computed(chunk, self._offline, based_on), self._offline, self._accept_removed
        if chunk.view.keeps_removed:
            at = max(self._now, offline.clock())
            return replace(computed, days=with_kept_rows(computed.days, offline, at=at, accept_lost=accept))
        if accept:
            return computed
        return replace(computed, days=with_held_rows(computed.days, offline))

    def commit(self, computed: _Computed) -> ChunkFilled:
        view, interval, days = computed.chunk.view, computed.chunk.interval, computed.days
        replacement = Replacement(view, interval, days.files, days.based_on)
        version = replace_days(replacement, self._own.get(view.table, frozenset()), self._offline)
        record_commits(view.table, self._offline.ledger)
        if version > days.based_on:
            self._own[view.table] = self._own.get(view.table, frozenset()) | {version}
        rows = sum(file.rows for file in days.files)
        versions = tuple((source.source, source.version) for source in computed.sources)
        parts = parts_within(days.parts, interval)
        fill = FilledInterval(interval, version, rows, versions, self._now, parts, days.day_rows, days.held)
        self._offline.coverage.record(view.table, fill)
        held = sum(one.rows for one in days.held)
        return ChunkFilled(view.name, interval, rows, computed.chunk.number, computed.chunk.chunks, held)


def _computed(chunk: Chunk, offline: OfflineSide, based_on: int) -> _Computed:
    view = chunk.view
    # What was pushed is in the table before its time is filled, and has to be there afterwards.
    stored = _whole_days(chunk.interval) if takes_pushes(view) else chunk.interval
    # Rows of a view's own SQL may be made of source rows of any time.
    within = stored if is_dated_by_source(view) else None
    sources = read_sources(view, offline, within=within)
    relations = {source.source: source.relation for source in sources}
    query = Query(stored_rows(view, stored), relations)
    with naming_view(view):
        files = offline.engine.write(query, offline.tables.staging_folder(view.table), partition_by=EVENT_DAY)
    days = ComputedDays(view, chunk.interval, based_on, files, parts_seen(view, sources))
    if not counts_days(view):
        return _Computed(chunk, days, sources)
    counted = Query(rows_of_days(view, IntervalSet((chunk.interval,))), relations)
    with offline.engine.stream(counted) as rows:
        by_day = sorted((row[EVENT_DAY], row[ROWS]) for row in rows.read_all().to_pylist())
    day_rows = tuple(DayRows(day, count) for day, count in by_day)
    return _Computed(chunk, replace(days, day_rows=day_rows), sources)


def _whole_days(interval: Interval) -> Interval:
    return Interval(floor_to(interval.start, DAY), ceil_to(interval.end, DAY))
