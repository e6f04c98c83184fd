"""The point-in-time join in this process: merges the files of tables, and no rows pass through an engine.

Of row-level views only keys and times are read at first; which rows are the answers is known then, and only their
features are taken out of the files. Of windowed views the tiles of asked keys are merged. What was measured before this
was written is in docs/decisions/0014-merging-sorted-files.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.adapters.served_rows import as_served, online_from
from featurestore.adapters.table_files import FileReader, TableFile, grouped
from featurestore.compiler.hops import HOP, MICROSECOND, hop_at, longest_window
from featurestore.compiler.stored_rows import REMOVED
from featurestore.compiler.tiles import EVENT_HOP, KNOWN_HOP, empty_value, parts_of
from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import Column, ResolvedFeature, ResolvedView, ViewUse
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.merging.asked import Asked, boundaries
from featurestore.merging.keys import Integers, KeyIndex, whole_numbers
from featurestore.merging.newest import (
    NO_ROW,
    Answers,
    Points,
    Rows,
    joined_rows,
    newest_by_visibility,
    newest_in_order,
)
from featurestore.merging.removed import newest_standing
from featurestore.merging.served import OnlineFrom
from featurestore.merging.visible import Boundaries, TileTimes
from featurestore.merging.windows import Tiles, window_values
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.joins import MOMENT, JoinRequest, Knowledge

_PASS_ROWS = 24_000_000
"""Tables of more rows are merged in several passes, each over some of the keys, so that memory stays bounded."""
_BATCH_ROWS = 131_072
_LEAST_BATCHES = 4
"""So that the threads that read share even a small table."""
_KEPT_VALUES = 4_000_000
_BLOCK_ROWS = 500_000
_MOST_BLOCKS = 1_000
_NUMBER = "__number"
Columns = list[pa.ChunkedArray | pa.Array]


class MergeJoin:
    """Safe to use from several threads at once."""

    def __init__(self, *, threads: int) -> None:
        self._reader = FileReader(threads)

    def close(self) -> None:
        self._reader.close()

    def join(self, request: JoinRequest) -> pa.Table:
        by_columns: dict[tuple[str, ...], Asked] = {}
        names: list[str] = []
        columns: Columns = []
        for use in request.features.uses:
            if use.join_columns not in by_columns:
                by_columns[use.join_columns] = Asked.of(request.spine, use.join_columns, MOMENT)
            view, asked = request.features.view(use.view), by_columns[use.join_columns]
            if request.served is not None:
                asked = as_served(asked, view, request.served[view.name])
            columns += (self._windowed if view.is_windowed else self._row_level)(use, request, asked)
            names += [use.column(feature) for feature in use.features]
        return pa.table(columns, names=names)

    def window_values(
        self, view: ResolvedView, features: tuple[ResolvedFeature, ...], points: pa.Table, tiles: ParquetFiles
    ) -> pa.Table:
        asked = Asked.of(points, tuple(key.name for key in view.keys), HOP)
        merge = _Windows(self._reader, view, features, Knowledge.KNOWN)
        return pa.table(merge.values(asked, asked.points.moments, tiles), names=[feature.name for feature in features])

    def _row_level(self, use: ViewUse, request: JoinRequest, asked: Asked) -> Columns:
        view, points = request.features.view(use.view), asked.points
        life = None if view.ttl is None else view.ttl // MICROSECOND
        files = self._files_for(points.moments, life, request.tables[view.name])
        features = arrow_schema(tuple(Column(name, view.feature(name).dtype) for name in use.features))
        pushed = None if request.served is None else online_from(asked, view, request.served[view.name])
        rows = _RowLevel(self._reader, view, files, features, pushed)
        places = asked.places(rows.newest(asked, request.knowledge).alive(asked.moments, life))
        return rows.taken(places)

    def _files_for(self, moments: Integers, life: int | None, table: ParquetFiles) -> list[TableFile]:
        """The files with rows that can be an answer at some moment."""
        if not len(moments):
            return []
        since = None if life is None else int(moments.min()) - life
        return self._reader.files(table, since=since, until=int(moments.max()))

    def _windowed(self, use: ViewUse, request: JoinRequest, asked: Asked) -> Columns:
        view = request.features.view(use.view)
        assert view.every is not None  # noqa: S101 - only windowed views come here
        delay = timedelta(0) if request.knowledge is Knowledge.EVENT_TIME_ONLY else view.publish_delay
        hops = (asked.points.moments - delay // MICROSECOND) // (view.every // MICROSECOND)
        last = hop_at(request.answers_until[view.name] - delay, view.every)
        features = tuple(view.feature(name) for name in use.features)
        merge = _Windows(self._reader, view, features, request.knowledge)
        return merge.values(asked, np.minimum(hops, last), request.tables[view.name])


@dataclass(frozen=True, slots=True)
class _Located:
    """The rows of asked keys, when each was known where rows say that themselves, and which of them are tombstones
    where there are such."""

    rows: Rows
    known: Integers
    removed: np.ndarray | None = None


class _RowLevel:
    """One row-level view: which of its rows are the answers, and their features.

    A small table's features are read along with its keys: opening a file costs more than reading them."""

    def __init__(
        self,
        reader: FileReader,
        view: ResolvedView,
        files: Sequence[TableFile],
        features: pa.Schema,
        online: OnlineFrom | None,
    ) -> None:
        self._reader, self._view, self._files, self._features = reader, view, files, features
        self._online = online
        """With it a row counts from when on it was online, instead of from when on it is visible."""
        self._in_order = view.delay is not None and online is None
        self._keys = [key.name for key in view.keys]
        values = sum(file.rows for file in files) * len(features)
        self._kept: dict[int, pa.Table] | None = {} if view.delay is not None and values < _KEPT_VALUES else None

    def newest(self, asked: Asked, knowledge: Knowledge) -> Answers:
        by_event = knowledge is Knowledge.EVENT_TIME_ONLY
        if not self._in_order or self._view.delay is None:
            return self._by_visibility(asked, by_event=by_event)
        delay = timedelta(0) if by_event else self._view.delay + self._view.publish_delay

        def located(files: Sequence[TableFile]) -> Rows:
            return self._located(files, asked.index).rows

        batches = self._reader.map(located, _batches(self._files, asked.index))
        return newest_in_order(asked.points, batches, delay=delay // MICROSECOND)

    def taken(self, places: Integers) -> Columns:
        """The features of the rows at `places`; null for NO_ROW."""
        if self._kept is None:
            return list(self._reader.taken(self._files, places, self._features))
        pieces = [piece.cast(self._features) for _, piece in sorted(self._kept.items())]
        rows = pa.concat_tables([self._features.empty_table(), *pieces]).combine_chunks()
        return list(rows.take(pa.array(places, mask=places == NO_ROW)).columns)

    def _by_visibility(self, asked: Asked, *, by_event: bool) -> Answers:
        points = asked.points
        answers = Answers(np.full(len(points.moments), NO_ROW, np.int64), np.zeros(len(points.moments), np.int64))
        for chosen in _passes(self._files):

            def located(files: Sequence[TableFile], chosen: _Chosen = chosen) -> _Located:
                return self._located(files, asked.index, chosen)

            found = list(self._reader.map(located, _batches(self._files, asked.index)))
            rows = joined_rows([one.rows for one in found])
            known = np.concatenate([np.zeros(0, np.int64), *(one.known for one in found)])
            published = np.maximum(rows.events, known + self._view.publish_delay // MICROSECOND)
            visible = rows.events if by_event else published
            if self._online is not None:
                online = self._online.moments(rows.numbers, rows.events, known, visible)
                visible = np.minimum(online, int(points.moments.max(initial=0)) + 1)  # fewer digits than NEVER has
            some = np.flatnonzero(chosen(points.numbers))
            part = Points(points.numbers[some], points.moments[some], points.count)
            if self._view.keeps_removed:
                marks = (one.removed for one in found if one.removed is not None)
                removed = np.concatenate([np.zeros(0, np.bool_), *marks])
                # That a row is gone did not happen at its event: on event time alone, too, it is known later.
                newest = newest_standing(part, rows, (visible, known), removed, taken=published)
            else:
                newest = newest_by_visibility(part, rows, visible, known)
            answers.places[some], answers.events[some] = newest.places, newest.events
        return answers

    def _located(self, files: Sequence[TableFile], index: KeyIndex, chosen: _Chosen | None = None) -> _Located:
        times = [EVENT_TIMESTAMP] if self._in_order else [EVENT_TIMESTAMP, KNOWN_AT]
        marks = [REMOVED] if self._view.keeps_removed else []
        features = [] if self._kept is None else self._features.names
        table = self._reader.read_together(files, [*self._keys, *times, *marks, *features])
        if self._kept is not None:
            self._kept[files[0].first] = table.select(features)
        numbers = index.locate([table[key] for key in self._keys], table.num_rows)
        kept = np.flatnonzero(numbers >= 0 if chosen is None else (numbers >= 0) & chosen(numbers))
        events, known = (whole_numbers(table[name])[kept] for name in (times[0], times[-1]))
        rows = Rows(numbers[kept], events, kept + files[0].first)
        return _Located(rows, known, *(table[name].to_numpy()[kept] for name in marks))


class _Windows:
    """One windowed view: the values of some of its features."""

    def __init__(
        self, reader: FileReader, view: ResolvedView, features: tuple[ResolvedFeature, ...], knowledge: Knowledge
    ) -> None:
        assert view.every is not None  # noqa: S101 - only windowed views come here
        self._reader, self._view, self._features = reader, view, features
        self._hop = view.every // MICROSECOND
        self._by_event = knowledge is Knowledge.EVENT_TIME_ONLY
        self._states = list(dict.fromkeys(state.name for feature in features for state in parts_of(feature, view)))

    def values(self, asked: Asked, hops: Integers, table: ParquetFiles) -> Columns:
        """The features for each row that asks, in their order: those with equal keys and hops are computed once."""
        points, own = boundaries(asked.points, hops)
        files = self._files(table, hops)
        pieces: list[list[pa.Array]] = []
        places: list[Integers] = []
        for chosen in _passes(files):
            some = np.flatnonzero(chosen(points.numbers))
            part = Boundaries(points.numbers[some], points.hops[some])
            pieces += self._blocks(part, self._tiles(files, asked.index, chosen, table.schema), asked.index.count)
            places.append(some)
        back = np.empty(len(points), np.int64)
        back[np.concatenate(places)] = np.arange(len(points))
        at = asked.places(back[own])
        rows = pa.array(at, mask=at < 0)
        arrays = [pa.concat_arrays(piece).take(rows) for piece in zip(*pieces, strict=True)]
        empty = [empty_value(feature) for feature in self._features]
        return [a if e is None else pc.fill_null(a, e) for a, e in zip(arrays, empty, strict=True)]

    def _blocks(self, points: Boundaries, tiles: Tiles, keys: int) -> list[list[pa.Array]]:
        """The values at sorted points, in pieces that follow each other."""
        count = max(1, min(len(tiles.times.numbers) // _BLOCK_ROWS, keys, _MOST_BLOCKS))
        bounds = np.arange(count + 1) * keys // count
        cuts = np.searchsorted(points.numbers, bounds)
        parts = [
            Boundaries(points.numbers[start:end], points.hops[start:end]) for start, end in pairwise(cuts.tolist())
        ]

        def merged(block: tuple[Boundaries, Tiles]) -> list[pa.Array]:
            return window_values(self._view, self._features, *block)

        return list(self._reader.map(merged, list(zip(parts, tiles.blocks(bounds), strict=True))))

    def _files(self, table: ParquetFiles, hops: Integers) -> list[TableFile]:
        if not len(hops):
            return []
        longest = longest_window(self._view, self._features)
        since = None if longest is None else (int(hops.min()) - longest) * self._hop
        return self._reader.files(table, since=since, until=int(hops.max()) * self._hop)

    def _tiles(self, files: Sequence[TableFile], index: KeyIndex, chosen: _Chosen, schema: pa.Schema) -> Tiles:
        keys = [key.name for key in self._view.keys]
        columns = [EVENT_HOP, KNOWN_HOP, *self._states]

        def read(some: Sequence[TableFile]) -> pa.Table:
            table = self._reader.read_together(some, [*keys, *columns])
            numbers = index.locate([table[key] for key in keys], table.num_rows)
            kept = (numbers >= 0) & chosen(numbers)
            numbered = table.select(columns).append_column(_NUMBER, pa.array(numbers))
            return numbered if kept.all() else numbered.filter(pa.array(kept))

        empty = pa.schema([*(schema.field(name) for name in columns), pa.field(_NUMBER, pa.int64())]).empty_table()
        pieces = self._reader.map(read, _batches(files, index))
        table = pa.concat_tables([empty, *(piece.cast(empty.schema) for piece in pieces)])
        numbers, events, knowns = (whole_numbers(table[name]) for name in (_NUMBER, EVENT_HOP, KNOWN_HOP))
        times = TileTimes(numbers, events, events + 1 if self._by_event else knowns)
        return Tiles(times, {name: table[name].combine_chunks() for name in self._states})


def _batches(files: Sequence[TableFile], index: KeyIndex) -> list[Sequence[TableFile]]:
    """Files to look up keys in together: looking up begins with work for every key that is asked for."""
    share = sum(file.rows for file in files) // _LEAST_BATCHES
    return grouped(files, max(min(_BATCH_ROWS, share), index.count))


_Chosen = Callable[[Integers], np.ndarray]
"""Which keys, by their numbers, a pass is about."""


def _passes(files: Iterable[TableFile]) -> list[_Chosen]:
    count = 1 + sum(file.rows for file in files) // _PASS_ROWS

    def one_of(own: int) -> _Chosen:
        return lambda numbers: numbers % count == own

    return [one_of(own) for own in range(count)]
