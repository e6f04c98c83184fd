"""Explain known timestamps: how many cells of a training set would differ if event time alone were used.

The same pull runs twice over the same pinned tables: as it is, and with everything known and published the moment it
happened. What differs is what a join on event time would have let a model know before anybody could.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa

from featurestore.compiler.differing_cells import differing_cells
from featurestore.compiler.on_demand import ROW
from featurestore.graph.resolved import FeatureSet
from featurestore.operations.point_in_time import Pull, point_in_time
from featurestore.operations.reach import answers_until
from featurestore.operations.sides import OfflineSide
from featurestore.operations.spine import as_kept, check_spine
from featurestore.operations.training_set import TrainingSetRequest, ends_of, pin_tables
from featurestore.ports.engine import Query
from featurestore.ports.joins import Knowledge
from featurestore.ports.state import PinnedTable

ROWS_AT_ONCE = 500_000
"""Of the spine: both answers of so many rows are held in memory to be compared."""
_KNOWN, _ALONE = "as_known", "event_time_alone"


@dataclass(frozen=True, slots=True)
class FeatureDifference:
    """In how many rows a feature would be another value."""

    name: str
    reference: str
    differing: int


@dataclass(frozen=True, slots=True)
class KnownReport:
    """How many cells of `rows` rows would differ, by feature."""

    rows: int
    features: tuple[FeatureDifference, ...]

    @property
    def cells(self) -> int:
        return self.rows * len(self.features)

    @property
    def differing(self) -> int:
        return sum(feature.differing for feature in self.features)


def explain_known(request: TrainingSetRequest, offline: OfflineSide) -> KnownReport:
    """Compare the pull with one on event time alone. Keeps nothing. Raises SpineError, NotApplied."""
    check_spine(request.spine, request.features, timestamp=request.timestamp, label=request.label)
    tables, files = pin_tables(request.features, offline)
    pull = Pull(as_kept(request.spine), request.features, request.timestamp, files, ends_of(tables))
    ends = {table.view: _reached(table, pull.features, offline) for table in tables}
    alone = replace(pull, answers_until=ends, knowledge=Knowledge.EVENT_TIME_ONLY)
    counts = dict.fromkeys((output.name for output in request.features.outputs), 0)
    answers = (point_in_time(one, offline, rows=ROWS_AT_ONCE) for one in (pull, alone))
    for known, happened in zip(*answers, strict=True):
        for name, count in _compared(known, happened, offline):
            counts[name] += count
    features = (FeatureDifference(one.name, one.reference, counts[one.name]) for one in request.features.outputs)
    return KnownReport(pull.spine.num_rows, tuple(features))


def _reached(table: PinnedTable, features: FeatureSet, offline: OfflineSide) -> datetime:
    """The last moment that the table answers in full if everything is known and published at once."""
    filled_to = offline.coverage.coverage(table.table).filled_to
    at_once = replace(features.view(table.view), delay=timedelta(0), publish_delay=timedelta(0))
    return table.answers_until if filled_to is None else answers_until(at_once, filled_to)


def _compared(known: pa.Table, alone: pa.Table, offline: OfflineSide) -> Iterator[tuple[str, int]]:
    """Each output's name, and in how many rows it differs."""
    relations = {_KNOWN: _numbered(known), _ALONE: _numbered(alone)}
    query = Query(differing_cells(known.column_names, left=_KNOWN, right=_ALONE, row=ROW), relations)
    with offline.engine.stream(query) as rows:
        [row] = rows.read_all().to_pylist()
    yield from ((name, int(count or 0)) for name, count in row.items())  # of no rows, SQL counts null


def _numbered(table: pa.Table) -> pa.Table:
    return table.append_column(ROW, pa.array(range(table.num_rows), pa.int64()))
