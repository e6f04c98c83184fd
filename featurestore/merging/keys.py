"""Keys as dense numbers: the distinct keys that are asked for, and which of a table's rows have one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Integers: TypeAlias = npt.NDArray[np.int64]
Column: TypeAlias = pa.ChunkedArray | pa.Array

NOT_ASKED = -1
_DENSE_FACTOR = 8
_DENSE_AT_LEAST = 1 << 16


class KeyIndex:
    """Numbers the distinct keys of some points from 0 to `count - 1`. A key with a null in it has no number."""

    def __init__(self, columns: Sequence[Column], rows: int) -> None:
        self._columns = [_ColumnIndex(column) for column in columns]
        self._combined: list[Integers] = []
        numbers = np.zeros(rows, np.int64)
        for position, (column, index) in enumerate(zip(columns, self._columns, strict=True)):
            found = index.locate(column)
            if position == 0:
                numbers = found
                continue
            joint = _joint(numbers, found, index.count)
            distinct = np.unique(joint[joint >= 0])
            self._combined.append(distinct)
            numbers = _position_in(distinct, joint)
        self.numbers = numbers
        """Each point's number; NOT_ASKED where its key has a null."""

    @property
    def count(self) -> int:
        if self._combined:
            return len(self._combined[-1])
        return self._columns[0].count if self._columns else 1

    def locate(self, columns: Sequence[Column], rows: int) -> Integers:
        """The number of each row's key; NOT_ASKED where no point has it."""
        if not columns:
            return np.zeros(rows, np.int64)
        numbers = self._columns[0].locate(columns[0])
        for column, index, distinct in zip(columns[1:], self._columns[1:], self._combined, strict=True):
            numbers = _position_in(distinct, _joint(numbers, index.locate(column), index.count))
        return numbers


class _ColumnIndex:
    """The distinct values of one column, sorted, and the position of any value among them."""

    def __init__(self, column: Column) -> None:
        distinct = pc.unique(column).drop_null()
        self._distinct = distinct.take(pc.sort_indices(distinct))
        self.count = len(self._distinct)
        self._whole: Integers | None = None
        self._table: npt.NDArray[np.int32] | None = None
        if _is_whole(distinct.type):
            self._whole = whole_numbers(self._distinct)
            self._table = _lookup_table(self._whole)

    def locate(self, column: Column) -> Integers:
        if self._whole is None:
            found = pc.index_in(column, value_set=self._distinct).fill_null(NOT_ASKED)
            return to_numpy(found).astype(np.int64)
        values = whole_numbers(column)
        positions = self._position(values)
        if column.null_count:
            positions[to_numpy(column.is_null())] = NOT_ASKED
        return positions

    def _position(self, values: Integers) -> Integers:
        assert self._whole is not None  # noqa: S101 - only called for whole numbers
        if self._table is None:
            return _position_in(self._whole, values)
        offset = values - self._whole[0]
        inside = (offset >= 0) & (offset < len(self._table))
        return np.where(inside, self._table[np.where(inside, offset, 0)], NOT_ASKED).astype(np.int64)


def whole_numbers(column: Column) -> Integers:
    """Integers, booleans, dates and timestamps as 64-bit integers; nulls as 0."""
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if column.null_count:
        column = column.fill_null(0)
    return to_numpy(column).astype(np.int64, copy=False)


def to_numpy(column: Column) -> npt.NDArray[np.generic]:
    """A column without nulls as an array, not copied where it is in one piece."""
    if isinstance(column, pa.ChunkedArray):
        if column.num_chunks == 1:
            column = column.chunk(0)
        else:
            array: npt.NDArray[np.generic] = column.to_numpy()
            return array
    piece: npt.NDArray[np.generic] = column.to_numpy(zero_copy_only=False)
    return piece


def _is_whole(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_signed_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_date32(kind)
        or pa.types.is_timestamp(kind)
    )


def _lookup_table(distinct: Integers) -> npt.NDArray[np.int32] | None:
    """The position of every number from the least to the greatest, where they lie close enough for that."""
    if not len(distinct):
        return None
    span = int(distinct[-1]) - int(distinct[0]) + 1
    if span > max(_DENSE_AT_LEAST, _DENSE_FACTOR * len(distinct)):
        return None
    table = np.full(span, NOT_ASKED, np.int32)
    table[distinct - distinct[0]] = np.arange(len(distinct), dtype=np.int32)
    return table


def _joint(left: Integers, right: Integers, count: int) -> Integers:
    return np.where((left >= 0) & (right >= 0), left * count + right, NOT_ASKED)


def _position_in(distinct: Integers, values: Integers) -> Integers:
    if not len(distinct):
        return np.full(len(values), NOT_ASKED, np.int64)
    positions = np.minimum(np.searchsorted(distinct, values), len(distinct) - 1)
    return np.where(distinct[positions] == values, positions, NOT_ASKED).astype(np.int64)
