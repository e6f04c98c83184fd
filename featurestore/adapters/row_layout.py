"""Where each value of a table stands in a stored row: one `struct` decodes it, one NumPy array encodes a batch."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any
from zlib import crc32

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.adapters.packed_values import from_wire, tuple_type, typed_array
from featurestore.adapters.stored_moments import SIGN
from featurestore.graph.resolved import Column
from featurestore.spec.dtypes import DType, Kind

_FIXED: dict[Kind, tuple[str, str]] = {
    Kind.BOOL: ("?", "?"),
    Kind.INT8: ("b", ">i1"),
    Kind.INT16: ("h", ">i2"),
    Kind.INT32: ("i", ">i4"),
    Kind.INT64: ("q", ">i8"),
    Kind.FLOAT32: ("f", ">f4"),
    Kind.FLOAT64: ("d", ">f8"),
    Kind.DATE: ("i", ">i4"),
    Kind.TIMESTAMP: ("q", ">i8"),
}
"""For `struct` and for NumPy. Embeddings have a place too; all others travel in the msgpack list."""
_ITEM_BYTES = 4
_NULLS, _VALUES = 3, 4
"""Positions in an unpacked row, after generation, event timestamp and known timestamp."""
_CHECK_BYTES = 4
_WHOLE = 0x2144DF1C
"""The CRC-32 of any bytes that their own CRC-32 follows, little-endian."""

Unpacked = tuple[Any, ...]


class RowLayout:
    """The layout of rows with these values. Each row ends with a check over its bytes and `seed`: damage is noticed,
    and so is a row that was written with another seed, as one of other columns is."""

    def __init__(self, columns: tuple[Column, ...], seed: bytes) -> None:
        fixed = [column for column in columns if _has_place(column.dtype)]
        self.rest = tuple(column for column in columns if not _has_place(column.dtype))
        """What travels in the msgpack list."""
        self._seed = crc32(seed)
        self._columns = (*fixed, *self.rest)
        self._order = [self._columns.index(column) for column in columns]
        self._from_wire = [from_wire(column.dtype) for column in self._columns]
        in_order = self._order == list(range(len(columns)))
        self._is_plain = in_order and all(convert is None for convert in self._from_wire)
        """Whether values stand in the table's order and are what they stand for, as those of most tables are."""
        null_bytes = -(-len(columns) // 8)
        self._no_nulls = {bytes(null_bytes), None}
        self._absent: Unpacked = (None,) * (_VALUES + len(columns))
        places = "".join(_places(column.dtype)[0] for column in fixed)
        self._struct = Struct(f">IQQ{null_bytes}s{places}")
        self._whole = Struct(f"{self._struct.format}{_CHECK_BYTES}x")
        self._dtype = np.dtype([
            ("generation", ">u4"), ("event", ">u8"), ("known", ">u8"), ("nulls", "u1", (null_bytes,)),
            *((f"value {index}", _places(column.dtype)[1]) for index, column in enumerate(fixed)),
        ])  # fmt: skip
        self._decode_rest = msgspec.msgpack.Decoder(tuple_type(self.rest, nullable=True)).decode
        self._unpack = self._unpack_both if self.rest else self._whole.unpack

    def encode(self, batch: pa.RecordBatch, generation: int, moments: Sequence[npt.NDArray[np.int64]]) -> list[bytes]:
        """The rows but for their msgpack lists and checks. `moments` are the event and known timestamps, in
        microseconds."""
        rows = np.zeros(batch.num_rows, self._dtype)
        rows["generation"] = generation
        rows["event"], rows["known"] = (moment.view(np.uint64) + np.uint64(SIGN) for moment in moments)
        self._fill(rows, batch)
        stored, width = rows.tobytes(), self._struct.size
        return [stored[start : start + width] for start in range(0, len(stored), width)]

    def sealed(self, rows: Sequence[bytes]) -> list[bytes]:
        """The rows, each with its check."""
        seed = self._seed
        return [row + crc32(row, seed).to_bytes(_CHECK_BYTES, "little") for row in rows]

    def unpack(self, stored: Sequence[bytes | None]) -> list[Sequence[Any]]:
        """Columns of what the bytes hold, an entry for each row. Raises struct.error, msgspec.DecodeError or ValueError
        for what is no row, or not the one that was written."""
        unpack, absent, seed = self._unpack, self._absent, self._seed
        if [1 for data in stored if data is not None and crc32(data, seed) != _WHOLE]:
            raise ValueError("the row is not what was written")
        rows = [absent if data is None else unpack(data) for data in stored]
        return list(zip(*rows, strict=True)) if rows else [()] * len(absent)

    def values(self, columns: list[Sequence[Any]]) -> list[Sequence[object]]:
        """The table's values in its own order. Raises OverflowError or ValueError for what is no value."""
        stored = columns[_VALUES:]
        if not self._no_nulls.issuperset(columns[_NULLS]):
            stored = _with_nulls(stored, columns[_NULLS])
        if self._is_plain:
            return stored
        values = [
            column if convert is None else [None if value is None else convert(value) for value in column]
            for column, convert in zip(stored, self._from_wire, strict=True)
        ]
        return [values[position] for position in self._order]

    def readable_values(self, columns: list[Sequence[Any]]) -> tuple[list[Sequence[object]], dict[int, frozenset[int]]]:
        """As `values`, with None for what is no value; and for each row that has some, their positions."""
        stored = columns[_VALUES:]
        if not self._no_nulls.issuperset(columns[_NULLS]):
            stored = _with_nulls(stored, columns[_NULLS])
        found: list[list[object]] = [[] for _ in stored]
        unreadable: dict[int, set[int]] = {}
        for place, position in enumerate(self._order):
            convert = self._from_wire[position]
            for row, value in enumerate(stored[position]):
                try:
                    told = value if value is None or convert is None else convert(value)
                except (OverflowError, ValueError):
                    told = None
                    unreadable.setdefault(row, set()).add(place)
                found[place].append(told)
        return list(found), {row: frozenset(places) for row, places in unreadable.items()}

    def _fill(self, rows: npt.NDArray[np.void], batch: pa.RecordBatch) -> None:
        nulls = np.zeros((len(rows), 8 * rows["nulls"].shape[1]), np.bool_)
        for index, column in enumerate(self._columns):
            array = typed_array(batch, column)
            if array.null_count:
                nulls[:, index] = array.is_null().to_numpy(zero_copy_only=False)
            if _has_place(column.dtype):
                rows[f"value {index}"] = _placed(array, column.dtype)
        if nulls.size:
            rows["nulls"] = np.packbits(nulls, axis=1, bitorder="little")

    def _unpack_both(self, data: bytes) -> Unpacked:
        rest: Unpacked = self._decode_rest(data[self._struct.size : -_CHECK_BYTES])
        return self._struct.unpack_from(data) + rest


def _with_nulls(stored: list[Sequence[Any]], nulls: Sequence[bytes | None]) -> list[Sequence[Any]]:
    changed = [list(column) for column in stored]
    for row, data in enumerate(nulls):
        bits = int.from_bytes(data or b"", "little")
        while bits:
            lowest = bits & -bits
            changed[lowest.bit_length() - 1][row] = None
            bits ^= lowest
    return list(changed)


def _has_place(dtype: DType) -> bool:
    return dtype.kind in _FIXED or dtype.kind is Kind.EMBEDDING


def _places(dtype: DType) -> tuple[str, str]:
    width = _ITEM_BYTES * dtype.size
    return (f"{width}s", f"V{width}") if dtype.kind is Kind.EMBEDDING else _FIXED[dtype.kind]


def _placed(array: pa.Array, dtype: DType) -> npt.NDArray[Any]:
    """The values as NumPy has them; zero where they are null."""
    match dtype.kind:
        case Kind.EMBEDDING:
            return _bytes_of(array, dtype.size)
        case Kind.DATE:
            array = array.cast(pa.int32())
        case Kind.TIMESTAMP:
            array = array.cast(pa.int64())
        case _:
            pass
    if array.null_count:
        array = pc.fill_null(array, pa.scalar(0).cast(array.type))
    placed: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return placed


def _bytes_of(embeddings: pa.FixedSizeListArray, size: int) -> npt.NDArray[np.void]:
    """The bytes of each embedding's items, little-endian; raises ArrowInvalid for a null item, which nobody can have
    stored."""
    rows = np.zeros((len(embeddings), size), "<f4")
    there = embeddings.is_valid().to_numpy(zero_copy_only=False)
    rows[there] = embeddings.flatten().to_numpy(zero_copy_only=True).reshape(-1, size)
    return rows.view(f"V{_ITEM_BYTES * size}").reshape(-1)
