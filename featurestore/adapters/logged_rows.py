"""Answers as rows of their log: the Python values of many requests become Arrow columns at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.graph.resolved import FeatureSet
from featurestore.ports.serving_log import (
    MODEL,
    REQUESTED_AT,
    SERVICE,
    LogQuery,
    ServedAnswer,
    log_inputs,
    log_schema,
)

_ROWS_AT_ONCE = 500


def logged_rows(
    features: FeatureSet, answers: Sequence[ServedAnswer], pause: Callable[[], None] = lambda: None
) -> pa.Table:
    """A row for each row that was asked for, in the order of the answers, all of which are of these features.

    `pause` is called between two columns of few rows, to let other threads have the interpreter.
    """
    schema = log_schema(features)
    batches = []
    for part in _parts(answers):
        arrays = []
        for field, values in zip(schema, _columns(features, part), strict=True):
            arrays.append(pa.array(values, field.type))
            pause()
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return pa.Table.from_batches(batches, schema)


def _columns(features: FeatureSet, answers: Sequence[ServedAnswer]) -> Iterator[list[object]]:
    """Of each column of the log its values, one column after the other, as they are asked for."""
    yield _repeated([uuid4().hex for _ in answers], answers)
    yield [row for answer in answers for row in range(answer.rows)]
    yield _repeated([answer.at for answer in answers], answers)
    yield _repeated([answer.service for answer in answers], answers)
    yield _repeated([answer.model for answer in answers], answers)
    for column in log_inputs(features):
        yield [value for answer in answers for value in answer.inputs[column.name]]
    answered = [answer.answer.columns for answer in answers]
    outputs = range(len(features.outputs))
    for position in outputs:
        yield [value for columns in answered for value in columns[position].values]
    for position in outputs:
        yield [status.value for columns in answered for status in columns[position].statuses]


def _parts(answers: Sequence[ServedAnswer]) -> Iterator[Sequence[ServedAnswer]]:
    """The answers in their order, about so many rows at once."""
    start = rows = 0
    for end, answer in enumerate(answers, start=1):
        rows += answer.rows
        if rows >= _ROWS_AT_ONCE or end == len(answers):
            yield answers[start:end]
            start, rows = end, 0


def asked_rows(rows: pa.Table, query: LogQuery) -> pa.Table:
    """Those of the rows that the query asks for."""
    condition = query_condition(query)
    return rows if condition is None else rows.filter(condition)


def query_condition(query: LogQuery) -> pc.Expression | None:
    """The query as Arrow's own filter; None where it asks for everything."""
    conditions = [pc.field(name) == value for name, value in _wanted(query)]
    if query.since is not None:
        conditions.append(pc.field(REQUESTED_AT) >= pa.scalar(query.since, pa.timestamp("us", tz="UTC")))
    whole: pc.Expression | None = None
    for condition in conditions:
        whole = condition if whole is None else whole & condition
    return whole


def _wanted(query: LogQuery) -> list[tuple[str, str]]:
    asked = ((SERVICE, query.service), (MODEL, query.model))
    return [(name, value) for name, value in asked if value is not None]


def _repeated(values: Sequence[object], answers: Sequence[ServedAnswer]) -> list[object]:
    """One value of each answer, as often as it has rows."""
    return [value for value, answer in zip(values, answers, strict=True) for _ in range(answer.rows)]
