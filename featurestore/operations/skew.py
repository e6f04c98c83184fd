"""Skew: what was served against the point-in-time answer at the moments of the requests, feature by feature.

The keys and request times of the serving log are a spine; the features are those that were served, at their
fingerprints, so a definition that has changed since is compared with itself and not with what it became.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import DatasetGone, NotApplied, NothingLogged
from featurestore.graph.resolved import Column, FeatureSet, Graph, OutputColumn, ResolvedOnDemand, ResolvedView
from featurestore.operations.differing_values import differing
from featurestore.operations.open_table import open_table
from featurestore.operations.point_in_time import Pull, point_in_time
from featurestore.operations.reach import answers_until, settled_until
from featurestore.operations.read_log import ROWS_AT_ONCE, logged_pieces, nothing_logged
from featurestore.operations.sides import OfflineSide
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.serving_log import REQUEST, REQUESTED_AT, Log, LogQuery, LogShelf, status_column
from featurestore.spec.dtypes import DType
from featurestore.spec.names import FeatureReference


@dataclass(frozen=True, slots=True)
class SkewRequest:
    """Which of the logged answers, and how many examples of each feature that differs."""

    query: LogQuery
    examples: int = 5
    rows_at_once: int = ROWS_AT_ONCE


@dataclass(frozen=True, slots=True)
class SkewExample:
    """One value that was served and is not the point-in-time answer. `status` is what was said of it."""

    request: str
    requested_at: datetime
    key: tuple[tuple[Column, object], ...]
    """What the feature was asked by: join keys and, of on-demand features, request inputs."""
    status: str
    logged: object
    expected: object


@dataclass(frozen=True, slots=True)
class FeatureSkew:
    """One feature at one fingerprint. `compared` rows of the log, of which `differing` are another value; `ahead` are
    later than what is filled offline can answer yet; of `gone`, the table is no longer there (`why_gone`)."""

    reference: str
    dtype: DType
    fingerprint: str
    applied: str | None
    """The fingerprint that the feature has now; None where there is no such feature any more."""
    compared: int
    differing: int
    ahead: int
    gone: int
    why_gone: str
    examples: tuple[SkewExample, ...]

    @property
    def rate(self) -> float:
        """The share of what was compared that differs."""
        return self.differing / self.compared if self.compared else 0.0


@dataclass(frozen=True, slots=True)
class SkewReport:
    """`rows` logged rows, asked for between `first` and `last`."""

    rows: int
    first: datetime
    last: datetime
    features: tuple[FeatureSkew, ...]


def skew(request: SkewRequest, shelf: LogShelf, offline: OfflineSide, graph: Graph) -> SkewReport:
    """Replay the logged requests. `graph` is what is applied now. Raises NothingLogged."""
    tallies = _Tallies(request.examples)
    spans: list[Mapping[str, datetime]] = []
    rows = 0
    for log in shelf.logs():
        replay: _Replay | None = None
        for piece in logged_pieces(log, request.query, shelf, rows=request.rows_at_once):
            replay = replay or _replay(log, offline)  # the tables of logs that nobody asks about need not be whole
            rows += piece.num_rows
            spans.append(pc.min_max(piece[REQUESTED_AT]).as_py())
            _compare(piece, replay, offline, tallies)
    if not rows:
        raise NothingLogged(nothing_logged(request.query))
    applied = _applied_fingerprints(graph)
    features = tuple(tally.told(applied) for tally in tallies.by_feature.values())
    return SkewReport(rows, min(span["min"] for span in spans), max(span["max"] for span in spans), features)


@dataclass(frozen=True, slots=True)
class _Table:
    """A view's table as it is now: what it answers in full, and up to when that is final."""

    files: ParquetFiles
    answers_until: datetime
    settled_until: datetime


@dataclass(frozen=True, slots=True)
class _Replay:
    """How a log is replayed: `features` are those whose tables are there, `gone` says of the other views why not."""

    log: Log
    features: FeatureSet
    tables: Mapping[str, _Table]
    gone: Mapping[str, str]


@dataclass(slots=True)
class _Tally:
    """What was counted of one feature so far."""

    output: OutputColumn
    compared: int = 0
    differing: int = 0
    ahead: int = 0
    gone: int = 0
    why_gone: str = ""
    examples: list[SkewExample] = field(default_factory=list)

    def told(self, applied: Mapping[str, str]) -> FeatureSkew:
        output = self.output
        return FeatureSkew(
            output.reference, output.dtype, output.fingerprint, applied.get(output.reference),
            self.compared, self.differing, self.ahead, self.gone, self.why_gone, tuple(self.examples),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Tallies:
    """Of each feature at each fingerprint: several logs may have it."""

    most_examples: int
    by_feature: dict[tuple[str, str], _Tally] = field(default_factory=dict)

    def of(self, output: OutputColumn) -> _Tally:
        return self.by_feature.setdefault((output.reference, output.fingerprint), _Tally(output))


def _replay(log: Log, offline: OfflineSide) -> _Replay:
    found = {view.name: _open(view, offline) for view in log.features.views}
    tables = {name: table for name, table in found.items() if isinstance(table, _Table)}
    gone = {name: why for name, why in found.items() if isinstance(why, str)}
    return _Replay(log, _without(log.features, gone), tables, gone)


def _open(view: ResolvedView, offline: OfflineSide) -> _Table | str:
    """The table, or why there is none to compare with."""
    filled_to = offline.coverage.coverage(view.table).filled_to
    if filled_to is None:
        return f"nothing is filled of the table {view.table}"
    try:
        snapshot = open_table(view.table, offline)
    except (NotApplied, DatasetGone) as error:
        return error.message
    return _Table(snapshot.files, answers_until(view, filled_to), settled_until(view, filled_to))


def _without(features: FeatureSet, gone: Mapping[str, str]) -> FeatureSet:
    """The features that need none of these views."""
    if not gone:
        return features
    kept = tuple(output for output in features.outputs if not _views_of(output, features) & gone.keys())
    names = {output.reference for output in kept}
    return FeatureSet(
        features.service,
        tuple(view for view in features.views if view.name not in gone),
        tuple(use for use in features.uses if use.view not in gone),
        tuple(feature for feature in features.on_demand if feature.name in names),
        kept,
    )


def _compare(piece: pa.Table, replay: _Replay, offline: OfflineSide, tallies: _Tallies) -> None:
    """Count what differs in the piece, output by output."""
    expected = _expected(piece, replay, offline)
    for output in replay.log.features.outputs:
        tally = tallies.of(output)
        views = _views_of(output, replay.log.features)
        if lost := sorted(views & replay.gone.keys()):
            tally.gone += piece.num_rows
            tally.why_gone = replay.gone[lost[0]]
            continue
        settled = _settled(piece, [replay.tables[view].settled_until for view in views])
        compared = int(pc.sum(settled).as_py() or 0)
        logged, answers = (table[output.name].combine_chunks() for table in (piece, expected))
        places = pc.indices_nonzero(pc.and_(settled, differing(logged, answers)))
        tally.compared += compared
        tally.ahead += piece.num_rows - compared
        tally.differing += len(places)
        wanted = places.slice(0, max(tallies.most_examples - len(tally.examples), 0))
        keys = _keys_of(output, replay.log.features)
        tally.examples += _examples(piece.take(wanted), answers.take(wanted), output, keys)


def _expected(piece: pa.Table, replay: _Replay, offline: OfflineSide) -> pa.Table:
    if not replay.features.outputs:
        return pa.table({})
    files = {name: table.files for name, table in replay.tables.items()}
    ends = {name: table.answers_until for name, table in replay.tables.items()}
    return pa.concat_tables(point_in_time(Pull(piece, replay.features, REQUESTED_AT, files, ends), offline))


def _settled(piece: pa.Table, ends: list[datetime]) -> pa.Array:
    """Which rows ask about a moment whose answer can not change any more by filling further."""
    moments = piece[REQUESTED_AT].combine_chunks()
    if not ends:  # made of the request alone
        return pc.is_valid(moments)
    return pc.less_equal(moments, pa.scalar(min(ends), moments.type))


def _examples(
    rows: pa.Table, expected: pa.Array, output: OutputColumn, keys: tuple[Column, ...]
) -> Iterator[SkewExample]:
    for row, wanted in zip(rows.to_pylist(), expected.to_pylist(), strict=True):
        yield SkewExample(
            request=row[REQUEST],
            requested_at=row[REQUESTED_AT],
            key=tuple((column, row[column.name]) for column in keys),
            status=row[status_column(output.name)],
            logged=row[output.name],
            expected=wanted,
        )


def _views_of(output: OutputColumn, features: FeatureSet) -> set[str]:
    """The views that an output is made of."""
    uses = {use.name: use.view for use in features.uses}
    return {uses[name] for name in _uses_of(output, features)}


def _keys_of(output: OutputColumn, features: FeatureSet) -> tuple[Column, ...]:
    """The columns of a request that decide an output."""
    needed = {name for use in features.uses if use.name in _uses_of(output, features) for name in use.join_columns}
    computed = _on_demand(output, features)
    columns = [column for column in features.join_columns if column.name in needed]
    return (*columns, *(computed.inputs if computed else ()))


def _uses_of(output: OutputColumn, features: FeatureSet) -> set[str]:
    computed = _on_demand(output, features)
    references = computed.features if computed else (output.reference,)
    return {FeatureReference.parse(reference).view for reference in references}


def _on_demand(output: OutputColumn, features: FeatureSet) -> ResolvedOnDemand | None:
    return next((feature for feature in features.on_demand if feature.name == output.reference), None)


def _applied_fingerprints(graph: Graph) -> dict[str, str]:
    """What each reference means now; views in their roles too."""
    views = {view.name: view for view in graph.views}
    names = {name: name for name in views} | {use.name: use.view for one in graph.services for use in one.uses}
    found = {
        f"{name}:{feature.name}": feature.fingerprint
        for name, view in names.items()
        for feature in views[view].features
    }
    return found | {feature.name: feature.fingerprint for feature in graph.on_demand}
