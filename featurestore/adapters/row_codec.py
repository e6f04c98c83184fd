"""How keys and rows become bytes, the same for every online store.

A key is the msgpack list of its values: typed and length-prefixed, so 1 and "1", or ("a", "bc") and ("ab", "c"),
differ. A row is 16 bytes of time, 4 bytes of schema fingerprint, then the msgpack list of its values:

    event_timestamp (8) | known_at (8) | schema fingerprint (4) | msgpack values

Both timestamps are microseconds since 1970 in UTC, big-endian with the sign flipped, so that comparing the first
`TIME_BYTES` bytes of two rows tells which is newer, in any store and any language. Dates are days, timestamps
microseconds, decimals text with all their digits, embeddings the bytes of their items (32 bits each, little-endian);
which columns they are is known from the table. Where the bytes are kept is left to the stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import repeat
from struct import Struct
from struct import error as StructError  # noqa: N812 - an exception, named as one
from types import GenericAlias
from typing import Any

import msgspec
import pyarrow as pa

from featurestore.errors import EntityRowsError, StoreCorrupted
from featurestore.graph.arrow_types import arrow_type
from featurestore.graph.resolved import Column
from featurestore.ports.online_store import Key, OnlineRow, OnlineTable
from featurestore.spec.dtypes import DType, Kind

TIME_BYTES = 16
"""How many leading bytes of a row order it in time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.date().toordinal()
_MICROSECOND = timedelta(microseconds=1)
_SIGN = 1 << 63
_ITEM_BYTES = 4
_HEADER = Struct(">QQ4s")
_MOMENT = Struct(">Q")
_TIME_COLUMNS = (Column("event_timestamp", DType.TIMESTAMP), Column("known_at", DType.TIMESTAMP))
_WIRE_TYPES: dict[Kind, type] = {
    Kind.BOOL: bool,
    Kind.FLOAT32: float,
    Kind.FLOAT64: float,
    Kind.STRING: str,
    Kind.DECIMAL: Decimal,
    Kind.EMBEDDING: bytes,
}  # all others but lists travel as integers
_KEY_TYPES: dict[DType, type] = {DType.BOOL: bool, DType.STRING: str, DType.DATE: date, DType.TIMESTAMP: datetime}
_Conversion = Callable[[Any], object]
_Conversions = tuple[tuple[int, _Conversion], ...]


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970 in UTC; a naive moment is read as UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    return _EPOCH + timedelta(0, 0, microseconds)  # by position: 0.1 µs less than by name, twice for each row read


def encode_moment(moment: datetime) -> bytes:
    """Eight bytes that compare as the moments do."""
    return _MOMENT.pack(to_microseconds(moment) + _SIGN)


def decode_moment(data: bytes) -> datetime:
    """Raises StoreCorrupted when the bytes are not such a moment."""
    try:
        return from_microseconds(_MOMENT.unpack(data)[0] - _SIGN)
    except (StructError, OverflowError) as error:
        raise StoreCorrupted(f"Expected a stored moment of 8 bytes, found {data[:24].hex()!r}.") from error


class RowCodec:
    """Encodes and decodes the keys and rows of one table."""

    def __init__(self, table: OnlineTable) -> None:
        self.table = table
        self.identity = _identity(table)
        """Bytes that only tables with the same name and columns share; a msgpack list, so no prefix of another."""
        self._fingerprint = _digest(table.values)[:4]
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode_key = msgspec.msgpack.Decoder(_tuple_type(table.keys, nullable=False)).decode
        self._decode_values = msgspec.msgpack.Decoder(_tuple_type(table.values, nullable=True)).decode
        self._key_types = tuple(_KEY_TYPES.get(key.dtype, int) for key in table.keys)
        self._key_to_wire = _conversions(table.keys, {DType.DATE: _to_days, DType.TIMESTAMP: to_microseconds}.get)
        self._key_from_wire = _conversions(table.keys, _from_wire)
        self._values_from_wire = _conversions(table.values, _from_wire)

    def encode_key(self, key: Key) -> bytes:
        """Raises EntityRowsError when a value is not of its key column's type."""
        if tuple(map(type, key)) != self._key_types:
            self._check_key(key)
        try:
            return self._encode(_converted(key, self._key_to_wire) if self._key_to_wire else key)
        except (OverflowError, ValueError, TypeError) as error:
            raise EntityRowsError(f"The key {key!r} of {self.table.name} can not be encoded: {error}.") from error

    def decode_key(self, data: bytes) -> Key:
        try:
            return _converted(self._decode_key(data), self._key_from_wire)
        except (msgspec.DecodeError, OverflowError, ValueError) as error:
            raise self._corrupted("key", data) from error

    def encode_rows(self, batch: pa.RecordBatch) -> Iterator[tuple[bytes, bytes]]:
        """The key and row bytes of each row. Columns are found by name; their types must be the table's."""
        fingerprint, encode, header = self._fingerprint, self._encode, _HEADER.pack
        moments = [_wire_values(batch, column) for column in _TIME_COLUMNS]
        keys = _rows(batch, self.table.keys)
        values = _rows(batch, self.table.values)
        for key, event, known, row in zip(keys, *moments, values, strict=True):
            yield encode(key), header(event + _SIGN, known + _SIGN, fingerprint) + encode(row)

    def decode_row(self, data: bytes) -> OnlineRow:
        """Raises StoreCorrupted when the bytes are not a row of this table, or one written with other columns."""
        try:
            event, known, fingerprint = _HEADER.unpack_from(data)
            if fingerprint != self._fingerprint:
                raise self._corrupted("row with these columns", data)
            values = self._decode_values(data[_HEADER.size :])
            if self._values_from_wire:
                values = _converted(values, self._values_from_wire)
            return OnlineRow(from_microseconds(event - _SIGN), from_microseconds(known - _SIGN), values)
        except (msgspec.DecodeError, StructError, OverflowError, ValueError) as error:
            raise self._corrupted("row", data) from error

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
            "Materialize the view again from the start to replace what is stored."
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


def _to_days(day: date) -> int:
    return day.toordinal() - _EPOCH_DAY


def _from_days(days: int) -> date:
    return date.fromordinal(days + _EPOCH_DAY)


def _from_wire(dtype: DType) -> _Conversion | None:
    """How a value that was decoded becomes the value it stands for; None where it is that already."""
    match dtype.kind:
        case Kind.DATE:
            return _from_days
        case Kind.TIMESTAMP:
            return from_microseconds
        case Kind.EMBEDDING:
            return _from_bytes(dtype.size)
        case Kind.LIST:
            assert dtype.item is not None  # noqa: S101 - a list has items
            convert = _from_wire(dtype.item)
            return None if convert is None else _of_items(convert)
        case _:
            return None


def _from_bytes(size: int) -> _Conversion:
    unpack = Struct(f"<{size}f").unpack
    return lambda data: list(unpack(data))


def _of_items(convert: _Conversion) -> _Conversion:
    return lambda items: [None if item is None else convert(item) for item in items]


def _conversions(columns: tuple[Column, ...], of: Callable[[DType], _Conversion | None]) -> _Conversions:
    """Which positions need a conversion, and which; most tables need none."""
    found = ((index, of(column.dtype)) for index, column in enumerate(columns))
    return tuple((index, convert) for index, convert in found if convert is not None)


def _converted(values: Iterable[object], conversions: _Conversions) -> tuple[object, ...]:
    changed = list(values)
    for index, convert in conversions:
        if changed[index] is not None:
            changed[index] = convert(changed[index])
    return tuple(changed)


def _tuple_type(columns: tuple[Column, ...], *, nullable: bool) -> GenericAlias:
    """What msgspec checks while it decodes: as many values as columns, each of the column's type."""
    types = [_wire_type(column.dtype) for column in columns]
    return GenericAlias(tuple, tuple(type_ | None for type_ in types) if nullable else tuple(types))


def _wire_type(dtype: DType) -> Any:
    return GenericAlias(list, (_wire_type(dtype.item) | None,)) if dtype.item else _WIRE_TYPES.get(dtype.kind, int)


def _digest(columns: tuple[Column, ...]) -> bytes:
    return sha256(msgspec.msgpack.encode([(column.name, column.dtype.value) for column in columns])).digest()


def _identity(table: OnlineTable) -> bytes:
    return msgspec.msgpack.encode((table.name, _digest(table.keys)[:8] + _digest(table.values)[:8]))


def _rows(batch: pa.RecordBatch, columns: tuple[Column, ...]) -> Iterator[tuple[object, ...]]:
    if not columns:
        return repeat((), batch.num_rows)
    return zip(*[_wire_values(batch, column) for column in columns], strict=True)


def _wire_values(batch: pa.RecordBatch, column: Column) -> list[Any]:
    array = batch.column(column.name)
    expected = arrow_type(column.dtype)
    if array.type != expected:
        array = array.cast(expected)
    if column.dtype.kind is Kind.EMBEDDING:
        return _bytes_of(array, column.dtype.size)
    values: list[Any] = array.cast(_wire_arrow(column.dtype)).to_pylist()
    return values


def _wire_arrow(dtype: DType) -> pa.DataType:
    """What a column is cast to, to be encoded: days and microseconds are integers, in lists too."""
    match dtype.kind:
        case Kind.TIMESTAMP:
            return pa.int64()
        case Kind.DATE:
            return pa.int32()
        case Kind.LIST:
            assert dtype.item is not None  # noqa: S101 - a list has items
            return pa.list_(_wire_arrow(dtype.item))
        case _:
            return arrow_type(dtype)


def _bytes_of(embeddings: pa.FixedSizeListArray, size: int) -> list[bytes | None]:
    """The bytes of each embedding's items; raises ArrowInvalid for a null item, which nobody can have stored."""
    items = embeddings.flatten().to_numpy(zero_copy_only=True).astype("<f4", copy=False).tobytes()
    width = _ITEM_BYTES * size
    parts = (items[start : start + width] for start in range(0, len(items), width))
    return [next(parts) if is_there else None for is_there in embeddings.is_valid().to_pylist()]
