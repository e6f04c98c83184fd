"""The replay: time is moved hour by hour, and every flight is looked up at its moment of prediction.

`replay` asks, `compare` judges: the answers must be the training rows, in every cell.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from docs.demo.folder import NAME, REPLAY_STORE, DemoFolder
from docs.demo.spines import MOMENT
from featurestore.intervals import Interval
from sdk import Project, open_project

HOUR = timedelta(hours=1)
Report = Callable[[int, int], None]
"""Called after each hour with the hours done and the flights looked up so far."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the online store answered, in the order of the flights, and in how many lookups."""

    answers: pa.Table
    hours: int
    lookups: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Cells compared, and how many of them differ in each column that has any."""

    cells: int
    differing: tuple[tuple[str, int], ...]

    @property
    def differences(self) -> int:
        return sum(count for _, count in self.differing)


def open_replay(folder: DemoFolder) -> Project:
    """The same project over an online store of its own, empty: one that has seen later hours can not go back."""
    for file in folder.replay_store.parent.glob(f"{folder.replay_store.name}*"):
        file.unlink()
    # In Redis, which can not be emptied here, it is a namespace that nobody has used.
    apart = {"name": f"{NAME}-replay-{secrets.token_hex(4)}", "online": {"path": REPLAY_STORE}}
    return open_project(folder.root, settings=apart)


def replay(project: Project, service: str, flights: pa.Table, span: Interval, report: Report) -> Replayed:
    """Materialize up to each hour of `span`, then look up the flights of that hour, each at its own moment.

    `flights` are those of `span`, ordered by moment. Flights of one moment are one request.
    """
    questions = _by_hour(flights)
    answers: list[pa.Table] = []
    asked = 0
    hours = list(_hours(span))
    for number, hour in enumerate(hours, start=1):
        for _ in project.materialize(until=hour):
            pass
        for moment, entities in questions.get(hour, []):
            answers.append(project.client.online(service=service, entities=entities, at=moment).to_arrow())
            asked += len(entities)
        report(number, asked)
    return Replayed(pa.concat_tables(answers), len(hours), len(answers))


def compare(answers: pa.Table, training: pa.Table) -> Comparison:
    """Every cell of `training`'s columns against the answers', bit for bit: NaN is NaN, null is null."""
    if answers.num_rows != training.num_rows:
        raise ValueError(f"{answers.num_rows} flights were looked up, the training set has {training.num_rows}")
    counts = ((name, _differences(answers[name], training[name])) for name in training.column_names)
    return Comparison(training.num_rows * training.num_columns, tuple((name, n) for name, n in counts if n))


def _differences(left: pa.ChunkedArray, right: pa.ChunkedArray) -> int:
    if left.type != right.type:
        return len(left)
    both_null = pc.and_(pc.is_null(left), pc.is_null(right))
    same = pc.or_(both_null, pc.fill_null(pc.equal(_bits(left), _bits(right)), fill_value=False))
    if pa.types.is_floating(left.type):
        same = pc.or_(same, pc.fill_null(pc.and_(pc.is_nan(left), pc.is_nan(right)), fill_value=False))
    return int(pc.sum(pc.invert(same)).as_py() or 0)


def _bits(values: pa.ChunkedArray) -> Any:
    """Floating-point numbers as integers of the same bits, so that 0.0 is not -0.0; all else as it is."""
    if not pa.types.is_floating(values.type):
        return values.combine_chunks()
    return values.combine_chunks().view({16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[values.type.bit_width])


def _hours(span: Interval) -> Iterator[datetime]:
    hour = span.start
    while hour < span.end:
        yield hour
        hour += HOUR


def _by_hour(flights: pa.Table) -> dict[datetime, list[tuple[datetime, list[dict[str, Any]]]]]:
    """The requests of each hour: a moment, and the flights that are asked about at it."""
    hours: dict[datetime, list[tuple[datetime, list[dict[str, Any]]]]] = {}
    for moment, rows in groupby(flights.to_pylist(), key=itemgetter(MOMENT)):
        hour = moment.replace(minute=0, second=0, microsecond=0)
        hours.setdefault(hour, []).append((moment, list(rows)))
    return hours
