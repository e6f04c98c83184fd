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
from dataclasses import dataclass
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
from featurestore.operations.drift import all_of_them, read_sources
from featurestore.operations.open_table import record_commits, version_to_replace
from featurestore.operations.replace_days import Replacement, replace_days
from featurestore.operations.sides import OfflineSide
from featurestore.operations.source_parts import parts_seen, parts_within
from featurestore.ports.engine import DataFile, Query
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


def fill_chunks(chunks: Iterable[Chunk], offline: OfflineSide, *, now: datetime) -> Iterator[ChunkFilled]:
    """Fill the chunks, reporting each in its order when it is durable and recorded.

    Up to `offline.workers` are computed at once. The first error stops it: the chunks before that one stay done, those
    after it are dropped, and the same call finishes the job. Only a source that can not be read, or has drifted, stops
    no other view than its own: SourceError or SourceDrifted comes after the last chunk. Raises ConcurrentChange when
    another process fills the same table.
    """
    commits = _Commits(offline, now)
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
        yield from ((chunk, partial(_computed, chunk, offline, commits.version_of(chunk))) for chunk in chunks)
        return
    waiting = iter(chunks)
    with ThreadPoolExecutor(offline.workers, thread_name_prefix="knownat-fill") as pool:

        def start(chunk: Chunk) -> tuple[Chunk, Future[_Computed]]:
            return chunk, pool.submit(_computed, chunk, offline, commits.version_of(chunk))

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
    based_on: int
    files: tuple[DataFile, ...]
    sources: tuple[SourceSnapshot, ...]
    day_rows: tuple[DayRows, ...] | None


class _Commits:
    """The commits of one process, each on top of the one before."""

    def __init__(self, offline: OfflineSide, now: datetime) -> None:
        self._offline = offline
        self._now = now
        self._own: dict[str, frozenset[int]] = {}

    def version_of(self, chunk: Chunk) -> int:
        """The table's version, asked before the sources are read: a fill that came after it makes ours fail."""
        return version_to_replace(chunk.view.table, self._offline)

    def commit(self, computed: _Computed) -> ChunkFilled:
        view, interval = computed.chunk.view, computed.chunk.interval
        replacement = Replacement(view, interval, computed.files, computed.based_on)
        version = replace_days(replacement, self._own.get(view.table, frozenset()), self._offline)
        record_commits(view.table, self._offline.ledger)
        if version > computed.based_on:
            self._own[view.table] = self._own.get(view.table, frozenset()) | {version}
        rows = sum(file.rows for file in computed.files)
        versions = tuple((source.source, source.version) for source in computed.sources)
        parts = parts_within(parts_seen(view, computed.sources), interval)
        fill = FilledInterval(interval, version, rows, versions, self._now, parts, computed.day_rows)
        self._offline.coverage.record(view.table, fill)
        return ChunkFilled(view.name, interval, rows, computed.chunk.number, computed.chunk.chunks)


def _computed(chunk: Chunk, offline: OfflineSide, based_on: int) -> _Computed:
    view = chunk.view
    # What was pushed is in the table before its time is filled, and has to be there afterwards.
    stored = _whole_days(chunk.interval) if takes_pushes(view) else chunk.interval
    # Rows of a view's own SQL may be made of source rows of any time.
    within = stored if is_dated_by_source(view) else None
    sources = read_sources(view, offline, within=within)
    relations = {source.source: source.relation for source in sources}
    query = Query(stored_rows(view, stored), relations)
    files = offline.engine.write(query, offline.tables.staging_folder(view.table), partition_by=EVENT_DAY)
    if view.lateness is None:
        return _Computed(chunk, based_on, files, sources, None)
    counted = Query(rows_of_days(view, IntervalSet((chunk.interval,))), relations)
    with offline.engine.stream(counted) as rows:
        days = sorted((row[EVENT_DAY], row[ROWS]) for row in rows.read_all().to_pylist())
    return _Computed(chunk, based_on, files, sources, tuple(DayRows(day, count) for day, count in days))


def _whole_days(interval: Interval) -> Interval:
    return Interval(floor_to(interval.start, DAY), ceil_to(interval.end, DAY))
