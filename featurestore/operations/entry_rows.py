"""Entries of a stream as rows of a frame source: fields are text, and are typed as JSON values of a request are.

An entry either has a field for each column, or one field `json` that holds an object. Fields that the source does not
declare are left out. What is no row is told with its reason, and never keeps the others from being rows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, NoReturn

import pyarrow as pa

from featurestore.errors import EntityRowsError, suggestion
from featurestore.graph.arrow_types import arrow_type
from featurestore.graph.resolved import Column
from featurestore.operations.entity_rows import hint, typed_value
from featurestore.operations.fitted_frame import EARLIEST, LATEST
from featurestore.ports.entries import Entry
from featurestore.ports.stream import Rejected
from featurestore.spec.dtypes import DType, Kind
from featurestore.spec.source import FrameSource

JSON_FIELD = b"json"
_AS_WRITTEN = frozenset({Kind.STRING, Kind.DATE, Kind.TIMESTAMP, Kind.DECIMAL})
"""Types whose values are texts in JSON, too, without its quotation marks here."""
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry that is a row: a value for each column of the source, in their order."""

    entry: Entry
    values: tuple[object, ...]


def read_entries(
    source: FrameSource, entries: Iterable[Entry], *, now: datetime
) -> tuple[list[EntryRow], list[Rejected]]:
    """The entries that are rows, and those that are none, each in the order of the stream. A row that does not say when
    it was known, in a source that wants to be told, is known `now`."""
    rows, rejected = [], []
    for entry in entries:
        try:
            rows.append(EntryRow(entry, _values(source, entry, now)))
        except EntityRowsError as error:
            rejected.append(Rejected(entry, error.message))
    return rows, rejected


def without_late_rows(
    source: FrameSource, rows: Sequence[EntryRow], answered_to: datetime | None
) -> tuple[list[EntryRow], list[Rejected]]:
    """The rows, and those that can not be told from rows that were always there: of a source that does not say when
    rows became known, and from a time for which readers have been answered without them."""
    position = [name for name, _ in source.columns].index(source.event_timestamp)
    kept, late = [], []
    for row in rows:
        happened = row.values[position]
        assert isinstance(happened, date)  # noqa: S101 - it is typed as the source declares it
        if answered_to is None or _moment(happened) >= answered_to:
            kept.append(row)
        else:
            reason = (
                f"happened at {happened.isoformat()}, and readers have been answered up to {answered_to.isoformat()} "
                f"without it: declare known_at= on source '{source.name}', and late rows are known when they arrive"
            )
            late.append(Rejected(row.entry, reason))
    return kept, late


def without_refused_rows(
    source: FrameSource, rows: Sequence[EntryRow], refusal: Callable[[pa.Table], str | None]
) -> tuple[list[EntryRow], list[Rejected]]:
    """The rows, and those that are refused. They are asked about together, and in ever smaller parts where a part is
    refused, until it is known which rows it is for."""
    if not rows or (reason := refusal(rows_table(source, rows))) is None:
        return list(rows), []
    if len(rows) == 1:
        return [], [Rejected(rows[0].entry, reason)]
    half = len(rows) // 2
    first, of_first = without_refused_rows(source, rows[:half], refusal)
    second, of_second = without_refused_rows(source, rows[half:], refusal)
    return [*first, *second], [*of_first, *of_second]


def _moment(happened: date) -> datetime:
    return happened if isinstance(happened, datetime) else datetime.combine(happened, time(), UTC)


def rows_table(source: FrameSource, rows: Sequence[EntryRow]) -> pa.Table:
    """The rows as a table with exactly the source's columns."""
    columns = zip(*(row.values for row in rows), strict=True) if rows else ((),) * len(source.columns)
    typed = zip(source.columns, columns, strict=True)
    return pa.table({name: pa.array(list(values), arrow_type(dtype)) for (name, dtype), values in typed})


def _values(source: FrameSource, entry: Entry, now: datetime) -> tuple[object, ...]:
    given = _given(entry, dict(source.columns))
    stamps = {}
    if source.known_at is not None and dict(source.columns)[source.known_at].kind is Kind.TIMESTAMP:
        stamps = {source.known_at: now}
    told = {**stamps, **given}
    for name, dtype in source.columns:
        if name not in told:
            there = {*told, *(field.decode(errors="replace") for field in entry.fields)}
            raise EntityRowsError(f"'{name}' ({dtype.value}) is missing. {suggestion(name, there)}")
    values = {name: _typed(told[name], Column(name, dtype)) for name, dtype in source.columns}
    if null := [
        name for name in (source.event_timestamp, source.known_at) if name is not None and values[name] is None
    ]:
        raise EntityRowsError(f"'{null[0]}' is null: a row without it could never be a value")
    happened = values[source.event_timestamp]
    if isinstance(happened, date) and not EARLIEST <= _moment(happened) < LATEST:
        raise EntityRowsError(
            f"'{source.event_timestamp}' is {happened.isoformat()}, before the year {EARLIEST.year} or after "
            f"{LATEST.year - 1}"
        )
    known_at = values[source.known_at] if source.known_at is not None else None
    if isinstance(known_at, datetime) and known_at > now:
        raise EntityRowsError(
            f"'{source.known_at}' says that the row is known at {known_at.isoformat()}, and it was read at "
            f"{now.isoformat()}: leave it out, and the row is known when it is read"
        )
    return tuple(values.values())


def _given(entry: Entry, declared: Mapping[str, DType]) -> Mapping[str, object]:
    """The values of the columns that the entry has, as JSON has them."""
    if JSON_FIELD.decode() not in declared and entry.fields.keys() == {JSON_FIELD}:
        return _object(_text(entry.fields[JSON_FIELD], "json"))
    named = {name.decode(errors="replace"): value for name, value in entry.fields.items()}
    return {
        name: _json_value(_text(value, name), Column(name, declared[name]))
        for name, value in named.items()
        if name in declared
    }


def _text(value: bytes, field: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise EntityRowsError(f"field '{field}' is not text in UTF-8") from error


def _json_value(text: str, column: Column) -> object:
    """A field's text as the JSON value that it stands for. Only a text column has no way to say null."""
    if column.dtype.kind is Kind.STRING:
        return text
    if text == "null":
        return None
    if column.dtype.kind in _AS_WRITTEN or (column.dtype.is_float and text in _NOT_FINITE):
        return text
    try:
        return _parsed(text)
    except ValueError:
        raise _wrong(column.name, text, column.dtype) from None


def _object(text: str) -> Mapping[str, Any]:
    try:
        given = _parsed(text)
    except ValueError as error:
        raise EntityRowsError(f"field 'json' is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise EntityRowsError(f"field 'json' holds {_shown(given)}, expected an object with a value for each column")
    return given


def _parsed(text: str) -> Any:
    """Strict JSON. Raises ValueError."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refused, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name is there twice in one object")
    return made


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:80]} is beyond every float")
    return value


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON; write it as a text")


def _typed(value: object, column: Column) -> object:
    if value is None:
        return None
    typed = typed_value(value, column.dtype)
    if typed is None:
        raise _wrong(column.name, value, column.dtype)
    return typed


def _wrong(name: str, value: object, dtype: DType) -> EntityRowsError:
    return EntityRowsError(f"'{name}' is {_shown(value)}, expected {dtype.value}{hint(value, dtype)}")


def _shown(value: object) -> str:
    return f"{value!r}"[:80]
