"""Answers of lookups as bytes: JSON by columns or by rows, or an Arrow stream.

Written for speed: what describes a column is encoded once for each feature set, and values go through msgspec as whole
columns. What JSON does not know is spelled as everywhere (`wire.value_json`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

import msgspec
import pyarrow as pa

from featurestore.graph.arrow_types import arrow_type
from featurestore.graph.resolved import OutputColumn
from featurestore.operations.answered_rows import AnsweredRows, OnlineAnswer, Status
from featurestore.service.wire import Json, moment_json, value_json
from featurestore.spec.dtypes import Kind

_encode = msgspec.json.Encoder().encode
_FLOATS = frozenset({Kind.FLOAT32, Kind.FLOAT64})
_AS_THEY_ARE = frozenset({Kind.BOOL, Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.STRING})
_MOST_DESCRIBED = 1_024
_WRITTEN_AT_ONCE = 20_000
"""Values that are written between two other requests; more are written beside them. 100,000 took up to 0.3 s."""

Write = Callable[["OnlineAnswer", frozenset["Include"]], bytes]


class Include(Enum):
    """What an answer may say beside the values."""

    STATUSES = "statuses"
    EVENT_TIMESTAMPS = "event_timestamps"


class AnswerWriter:
    """Writes answers; keeps the descriptions of the feature sets it has met."""

    def __init__(self) -> None:
        self._described: dict[int, tuple[tuple[OutputColumn, ...], list[bytes]]] = {}

    def columns(self, answer: OnlineAnswer, include: frozenset[Include]) -> bytes:
        """`{"rows", "at", "columns": [{name, reference, dtype, fingerprint, values, …}]}`."""
        more = _More(answer, include) if include else None
        told = zip(self._descriptions(answer.outputs), answer.outputs, answer.values, strict=True)
        parts = [
            description + b',"values":' + encoded_values(values, output) + (more.of(index) if more else b"") + b"}"
            for index, (description, output, values) in enumerate(told)
        ]
        return b"".join((_head(answer), b',"columns":[', b",".join(parts), b"]}"))

    def rows(self, answer: OnlineAnswer, include: frozenset[Include]) -> bytes:
        """`{"rows", "at", "columns": [descriptions], "entities": [{"values": {…}, …}]}`."""
        described = b",".join(description + b"}" for description in self._descriptions(answer.outputs))
        names = [output.name for output in answer.outputs]
        told: dict[str, list[list[Json]]] = {"values": [list(map(value_json, values)) for values in answer.values]}
        if Include.STATUSES in include:
            told["statuses"] = [[status.value for status in column.statuses] for column in answer.columns]
        if Include.EVENT_TIMESTAMPS in include:
            told["event_timestamps"] = [list(map(moment_json, column.event_timestamps)) for column in answer.columns]
        entities = [
            {what: dict(zip(names, (column[row] for column in columns), strict=True)) for what, columns in told.items()}
            for row in range(answer.rows)
        ]
        return b"".join((_head(answer), b',"columns":[', described, b'],"entities":', _encode(entities), b"}"))

    def _descriptions(self, outputs: tuple[OutputColumn, ...]) -> list[bytes]:
        """By identity: hashing fifty records takes longer than their values."""
        known = self._described.get(id(outputs))
        if known is None:
            if len(self._described) >= _MOST_DESCRIBED:
                self._described.clear()
            # The outputs are kept with it, so that their number is nobody else's.
            known = self._described[id(outputs)] = (outputs, [_encode(_description(one))[:-1] for one in outputs])
        return known[1]


async def written(write: Write, answer: OnlineAnswer, include: frozenset[Include]) -> bytes:
    """The answer's bytes; those of a large one are made in a thread, so that the event loop goes on."""
    if answer.rows * len(answer.outputs) <= _WRITTEN_AT_ONCE:
        return write(answer, include)
    return await asyncio.to_thread(write, answer, include)


def answer_table(answer: OnlineAnswer, include: frozenset[Include]) -> pa.Table:
    """A column for each feature, of its own type; `<name>__status` and `<name>__event_timestamp` as asked for."""
    columns: dict[str, pa.Array] = {}
    for column in answer.columns:
        name = column.column.name
        columns[name] = pa.array(column.values, arrow_type(column.column.dtype))
        if Include.STATUSES in include:
            columns[f"{name}__status"] = pa.array([status.value for status in column.statuses], pa.string())
        if Include.EVENT_TIMESTAMPS in include:
            columns[f"{name}__event_timestamp"] = pa.array(column.event_timestamps, pa.timestamp("us", tz="UTC"))
    return pa.table(columns).replace_schema_metadata({"at": str(moment_json(answer.at))})


def encoded_values(values: Sequence[object], output: OutputColumn) -> bytes:
    kind = output.dtype.kind
    if kind in _AS_THEY_ARE or (kind in _FLOATS and _are_finite(values)):
        return _encode(values)
    return _encode([value_json(value) for value in values])


def _are_finite(values: Sequence[object]) -> bool:
    """Whether no float is one that JSON does not know: the sum tells, and overflows in doubt."""
    try:
        return math.isfinite(sum(values))  # type: ignore[arg-type]  # nulls are met below
    except TypeError:
        return math.isfinite(sum(value for value in values if value is not None))  # type: ignore[misc]


class _More:
    """What is said beside the values, as the end of a column's object."""

    def __init__(self, answer: OnlineAnswer, include: frozenset[Include]) -> None:
        self._answer = answer
        self._statuses = Include.STATUSES in include
        self._moments: Mapping[int, bytes] = (
            {index: _event_timestamps(rows) for index, rows in enumerate(answer.answered)}
            if Include.EVENT_TIMESTAMPS in include
            else {}
        )
        self._all_present = _encode([Status.PRESENT.value] * answer.rows)

    def of(self, index: int) -> bytes:
        source = self._answer.sources[index]
        statuses = b',"statuses":' + self._encoded_statuses(index, source) if self._statuses else b""
        return statuses + self._moments.get(source, b"")

    def _encoded_statuses(self, index: int, source: int) -> bytes:
        values, rows = self._answer.values[index], self._answer.answered[source]
        if rows.states is None and None not in values:
            return self._all_present
        return _encode([status.value for status in rows.statuses(values)])


def _event_timestamps(rows: AnsweredRows) -> bytes:
    return b',"event_timestamps":' + _encode(list(map(moment_json, rows.moments)))


def _head(answer: OnlineAnswer) -> bytes:
    return b'{"rows":%d,"at":"%b"' % (answer.rows, str(moment_json(answer.at)).encode())


def _description(output: OutputColumn) -> dict[str, str]:
    return {
        "name": output.name,
        "reference": output.reference,
        "dtype": output.dtype.value,
        "fingerprint": output.fingerprint,
    }
