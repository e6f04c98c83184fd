"""Rows to try expressions on: nulls, values of every day that are easily forgotten, and the limits of each type."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TypeAlias

import pyarrow as pa
from pyarrow import types

ORDINARY = range(1, 13)
"""The rows with values that any table may hold; the row before them is all nulls, those after them are limits."""
TEXTS = ("größe ✈", "", "1", "2024-02-29 12:30:00", "-" * 300)

_HALF = len(ORDINARY) // 2
_WORD = 32
_BIG = {8: 100, 16: 10_000, 32: 1_000_000, 64: 1_000_000}
_LARGEST = {32: 3.4028234663852886e38, 64: 1.7976931348623157e308}

_Values: TypeAlias = tuple[Sequence[object], Sequence[object]]
"""Of every day, and limits."""


def trial_rows(schema: pa.Schema) -> pa.Table:
    """A row of nulls, twelve rows of every day, twelve with limits. In the first six of a twelve, columns of one type
    hold the same values, so that they are equal and great together; in the others each begins elsewhere.

    Of types that are not known there are only nulls.
    """
    return pa.Table.from_arrays([_column(field.type, place) for place, field in enumerate(schema)], schema.names)


def _column(kind: pa.DataType, place: int) -> pa.Array:
    ordinary, limits = _values(kind.value_type if types.is_dictionary(kind) else kind)
    return pa.array([None, *_cycled(ordinary, place), *_cycled([*limits, *ordinary], place)], kind)


def _cycled(values: Sequence[object], place: int) -> list[object]:
    if not values:
        return [None] * len(ORDINARY)
    return [values[(row + (place if row >= _HALF else 0)) % len(values)] for row in range(len(ORDINARY))]


def _values(kind: pa.DataType) -> _Values:
    return next((values(kind) for fits, values in _KINDS if fits(kind)), ((), ()))


def _integers(kind: pa.DataType) -> _Values:
    """32 bits have no greatest value here: for a list or a text that is as long, an engine would take gigabytes."""
    bits = kind.bit_width
    if types.is_unsigned_integer(kind):
        return [1, 0, _BIG[bits]], [] if bits == _WORD else [2**bits - 1]
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return [1, 0, -1, _BIG[bits]], [low] if bits == _WORD else [low, high]


def _floats(kind: pa.DataType) -> _Values:
    most = _LARGEST[kind.bit_width]
    return [0.5, 0.0, math.nan, -2.0, 10_000.0], [-0.0, math.inf, -math.inf, most, -most]


def _decimals(kind: pa.DataType) -> _Values:
    most = Decimal((0, (9,) * kind.precision, -kind.scale))
    whole = kind.precision - kind.scale
    ordinary = [Decimal(value) for value in (0, 1, -1, 1_000) if len(str(abs(value))) <= whole or not value]
    return ordinary, [most, most.copy_negate()]


def _texts(_: pa.DataType) -> _Values:
    return TEXTS, ["x" * 10_000]


def _binaries(_: pa.DataType) -> _Values:
    return [b"\x00\xff", b""], []


def _dates(_: pa.DataType) -> _Values:
    return [date(1970, 1, 1), date(2024, 2, 29)], [date(1, 1, 1), date(9999, 12, 31)]


def _moments(kind: pa.DataType) -> _Values:
    ordinary = [datetime(1970, 1, 1, tzinfo=UTC), datetime(2024, 2, 29, 12, 30, tzinfo=UTC)]
    if kind.unit == "ns":
        return ordinary, [datetime(1677, 9, 22, tzinfo=UTC), datetime(2262, 4, 11, tzinfo=UTC)]
    return ordinary, [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)]


def _times(_: pa.DataType) -> _Values:
    return [time(0), time(23, 59, 59)], []


def _durations(_: pa.DataType) -> _Values:
    return [timedelta(0), timedelta(days=-1), timedelta(weeks=1)], []


def _lists(kind: pa.DataType) -> _Values:
    ordinary, limits = _values(kind.value_type)
    return [[], list(ordinary), [None]], [list(limits)]


def _arrays(kind: pa.DataType) -> _Values:
    ordinary, limits = _values(kind.value_type)
    return [[value] * kind.list_size for value in ordinary], [[value] * kind.list_size for value in limits]


def _structs(kind: pa.DataType) -> _Values:
    halves = [{field.name: _values(field.type)[half] for field in kind} for half in (0, 1)]
    ordinary, limits = (
        [{name: values[row % len(values)] if values else None for name, values in half.items()} for row in range(_HALF)]
        for half in halves
    )
    return ordinary, limits


_KINDS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], _Values]], ...] = (
    (types.is_boolean, lambda _: ([True, False], [])),
    (types.is_integer, _integers),
    (lambda kind: types.is_floating(kind) and kind.bit_width in _LARGEST, _floats),
    (lambda kind: types.is_decimal(kind) and kind.precision <= pa.decimal128(38).precision, _decimals),
    (lambda kind: types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind), _texts),
    (lambda kind: types.is_binary(kind) or types.is_large_binary(kind), _binaries),
    (types.is_date, _dates),
    (types.is_timestamp, _moments),
    (types.is_time, _times),
    (types.is_duration, _durations),
    (lambda kind: types.is_list(kind) or types.is_large_list(kind), _lists),
    (types.is_fixed_size_list, _arrays),
    (types.is_struct, _structs),
)
