"""How keys and rows become bytes, the same for every online store.

A key is the msgpack list of its values: typed and length-prefixed, so 1 and "1", or ("a", "bc") and ("ab", "c"),
differ. A row has one layout for each table:

    generation (4) | event_timestamp (8) | known_at (8) | nulls | fixed | msgpack of the rest | check (4)

The generation says which replacement of the table's content wrote the row. Both timestamps are microseconds since 1970
in UTC, with the sign flipped, and all numbers are big-endian: comparing the bytes of two rows' times tells which is
newer, in any store and any language. A bit for each value says whether it is null. Numbers, dates (days), timestamps
(microseconds) and embeddings (32 bits an item) have their places; texts, lists and decimals follow in a msgpack list.
The check is a CRC-32 of the row's bytes and of the table's columns, so that no damage is read as a value. Where the
bytes are kept is left to the stores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from struct import error as StructError  # noqa: N812 - an exception, named as one
from types import MappingProxyType

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.adapters.packed_values import (
    conversions,
    converted,
    from_wire,
    key_types,
    to_wire,
    tuple_type,
    typed_array,
    wire_rows,
)
from featurestore.adapters.row_layout import RowLayout
from featurestore.adapters.stored_moments import SIGN
from featurestore.errors import EntityRowsError, StoreCorrupted
from featurestore.graph.resolved import Column
from featurestore.ports.online_store import Filled, Key, OnlineTable, TableRows
from featurestore.spec.dtypes import DType

GENERATION = slice(0, 4)
TIMES = slice(4, 20)
KNOWN_AT = slice(12, 20)

_LAYOUT = 3
"""Part of a table's identity: rows of another layout are another table's."""
_EARLIER_LAYOUT = 2
_TIMES = (Column("event_timestamp", DType.TIMESTAMP), Column("known_at", DType.TIMESTAMP))
_ALL_READABLE: Mapping[int, frozenset[int]] = MappingProxyType({})
_UNREADABLE = (StructError, msgspec.DecodeError, OverflowError, ValueError)


@dataclass(frozen=True, slots=True)
class EarlierTable:
    """The same table as the release before laid it out. Nobody reads it any more once it has been copied anew."""

    identity: bytes

    @property
    def digest(self) -> bytes:
        return _short(self.identity)


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """Some rows as they are stored. `event_timestamps` are microseconds since 1970."""

    keys: list[bytes]
    values: list[bytes]
    event_timestamps: npt.NDArray[np.int64]


class RowCodec:
    """Encodes and decodes the keys and rows of one table."""

    def __init__(self, table: OnlineTable) -> None:
        self.table = table
        self.identity = _identity(table, _LAYOUT)
        """Bytes that only tables with the same name and columns share; a msgpack list, so no prefix of another."""
        self.digest = _short(self.identity)
        """Stands for the identity in keys; a store that uses it keeps the identity beside the marker and compares."""
        self.earlier = EarlierTable(_identity(table, _EARLIER_LAYOUT))
        self._layout = RowLayout(table.values, _digest(table.values))
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode_key = msgspec.msgpack.Decoder(tuple_type(table.keys, nullable=False)).decode
        self._key_types = key_types(table.keys)
        self._key_to_wire = conversions(table.keys, to_wire)
        self._key_from_wire = conversions(table.keys, from_wire)

    def encode_key(self, key: Key) -> bytes:
        """Raises EntityRowsError when a value is not of its key column's type."""
        if tuple(map(type, key)) != self._key_types:
            self._check_key(key)
        try:
            return self._encode(converted(key, self._key_to_wire) if self._key_to_wire else key)
        except (OverflowError, ValueError, TypeError) as error:
            raise EntityRowsError(f"The key {key!r} of {self.table.name} can not be encoded: {error}.") from error

    def encode_keys(self, keys: Sequence[Key]) -> list[bytes]:
        """As `encode_key` for each: types are looked at column by column, which is several times as fast."""
        if self._key_to_wire or set(map(len, keys)) != {len(self._key_types)}:
            return [self.encode_key(key) for key in keys]
        columns = zip(*keys, strict=True)
        if any(set(map(type, column)) != {kind} for column, kind in zip(columns, self._key_types, strict=False)):
            return [self.encode_key(key) for key in keys]
        try:
            return list(map(self._encode, keys))
        except (OverflowError, ValueError, TypeError):
            return [self.encode_key(key) for key in keys]  # which says of which

    def decode_key(self, data: bytes) -> Key:
        """Raises StoreCorrupted when the bytes are no key of this table."""
        try:
            return converted(self._decode_key(data), self._key_from_wire)
        except (msgspec.DecodeError, OverflowError, ValueError) as error:
            raise self._corrupted("key", data) from error

    def encode_rows(self, batch: pa.RecordBatch, generation: int) -> EncodedRows:
        """Columns are found by name; their types must be the table's."""
        moments = [typed_array(batch, column).cast(pa.int64()).to_numpy() for column in _TIMES]
        values = self._layout.encode(batch, generation, moments)
        if rest := self._layout.rest:
            packed = map(self._encode, wire_rows(batch, rest))
            values = [fixed + more for fixed, more in zip(values, packed, strict=True)]
        keys = list(map(self._encode, wire_rows(batch, self.table.keys)))
        return EncodedRows(keys, self._layout.sealed(values), moments[0])

    def decode_rows(self, filled: Filled | None, stored: Sequence[bytes | None]) -> TableRows:
        """The rows behind stored values. Raises StoreCorrupted when the bytes are no rows of this table, as when one of
        them has been damaged. A row that was written with a value that nobody can be told is none of these."""
        try:
            columns = self._layout.unpack(stored)
        except _UNREADABLE as error:
            raise self._corrupted("whole row", self._first_unreadable(stored)) from error
        unreadable: Mapping[int, frozenset[int]] = _ALL_READABLE
        try:
            values = self._layout.values(columns)
        except (OverflowError, ValueError):
            values, unreadable = self._layout.readable_values(columns)
        return TableRows(filled, _unbiased(columns[1]), _unbiased(columns[2]), values, unreadable)

    def _first_unreadable(self, stored: Sequence[bytes | None]) -> bytes:
        for data in stored:
            try:
                self._layout.unpack([data])
            except _UNREADABLE:
                return data or b""
        return b""

    def _check_key(self, key: Key) -> None:
        """The slow path: subclasses are welcome, except that True is no integer and a datetime no date."""
        if len(key) != len(self._key_types):
            names = ", ".join(column.name for column in self.table.keys) or "no key columns"
            raise EntityRowsError(f"A key of {self.table.name} has one value for each of {names}; found {key!r}.")
        for value, expected, column in zip(key, self._key_types, self.table.keys, strict=True):
            lookalike = bool if expected is int else datetime if expected is date else ()
            if not isinstance(value, expected) or isinstance(value, lookalike):
                raise EntityRowsError(
                    f"The key column '{column.name}' of {self.table.name} is {column.dtype.value}: expected "
                    f"{expected.__name__}, found {type(value).__name__} {value!r}."
                )

    def _corrupted(self, expected: str, data: bytes) -> StoreCorrupted:
        return StoreCorrupted(
            f"Expected a {expected} of {self.table.name}, found {len(data)} bytes beginning {data[:24].hex()}. "
            "Replace what is stored by `knownat materialize --full` of the view."
        )


class CodecCache:
    """The codecs of the tables a store has met: building one costs more than a lookup may."""

    def __init__(self) -> None:
        self._codecs: dict[str, RowCodec] = {}

    def of(self, table: OnlineTable) -> RowCodec:
        # By name, then compared: hashing a wide table's columns takes longer than decoding its row.
        codec = self._codecs.get(table.name)
        if codec is None or (codec.table is not table and codec.table != table):
            codec = self._codecs[table.name] = RowCodec(table)
        return codec


def _unbiased(moments: Sequence[int | None]) -> list[int | None]:
    if None in moments:
        return [None if moment is None else moment - SIGN for moment in moments]
    return [moment - SIGN for moment in moments]  # type: ignore[operator]  # the line above has seen to it


def _digest(columns: tuple[Column, ...]) -> bytes:
    return sha256(msgspec.msgpack.encode([(column.name, column.dtype.value) for column in columns])).digest()


def _short(identity: bytes) -> bytes:
    return sha256(identity).digest()[:8]


def _identity(table: OnlineTable, layout: int) -> bytes:
    return msgspec.msgpack.encode((layout, table.name, _digest(table.keys)[:8] + _digest(table.values)[:8]))
