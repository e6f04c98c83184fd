"""Arrow streams that clients send, read within bounds.

A few hundred bytes can say that they are two thousand million rows, or gigabytes once they are decompressed. So the
headers of all messages are read first, which say how many rows and bytes follow, then the messages, one by one; nothing
is made of a value before its message has been checked in full. Decision 32 says what is bounded, and why by hand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import InvalidRequest, RequestTooLarge
from featurestore.service.arrow_messages import MessageKind, MessageSize, NotAMessage, message_sizes

_MEGABYTE = 1024 * 1024

MOST_COLUMNS = 2_000
"""Those within lists and structs counted, too."""
MOST_LEVELS = 16
"""Of lists, structs and maps, one in the other."""
MOST_MESSAGES = 1_000_000
_NULL_BYTES = 8
"""What a null of no type is counted as: it takes no room until it is a null of some type."""
_PART_BATCHES = 1_024
_PART_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """How large a stream may be: in rows, and in bytes once it is decompressed and its dictionaries are written out."""

    rows: int
    bytes: int


def read_stream(body: BinaryIO, bounds: StreamBounds) -> pa.Table:
    """The table that an Arrow IPC stream holds. Its values have been checked, its memory is that of its rows, however
    many batches they came in. Raises InvalidRequest, RequestTooLarge."""
    try:
        _check_sizes(body, bounds)
        with pa.ipc.open_stream(body) as stream:
            _check_schema(stream.schema)
            return _read(stream, bounds)
    except (pa.ArrowException, NotAMessage, OSError, ValueError, MemoryError, OverflowError) as error:
        raise InvalidRequest(f"The request's body is not an Arrow IPC stream: {str(error)[:300]}") from error


def _check_sizes(body: BinaryIO, bounds: StreamBounds) -> None:
    """By what the headers say, before any room is made for it."""
    rows = size = 0
    dictionaries: dict[int, int] = {}
    for number, message in enumerate(message_sizes(body, _length(body))):
        if number > MOST_MESSAGES:
            _refuse(f"in more than {MOST_MESSAGES:,} messages", "send larger batches")
        if message.kind is MessageKind.RECORD_BATCH:
            rows += message.rows
        size += _with_earlier(message, dictionaries)
        _check_count("rows", rows, bounds.rows)
        _check_count("bytes once decompressed", size, bounds.bytes)
    body.seek(0)


def _with_earlier(message: MessageSize, dictionaries: dict[int, int]) -> int:
    """A message's bytes. What adds to a dictionary has all that it added to copied."""
    if message.dictionary is None:
        return message.bytes
    earlier = dictionaries.get(message.dictionary, 0) if message.is_delta else 0
    dictionaries[message.dictionary] = earlier + message.bytes
    return earlier + message.bytes


def _length(body: BinaryIO) -> int:
    length = body.seek(0, os.SEEK_END)
    body.seek(0)
    return length


def _check_schema(schema: pa.Schema) -> None:
    columns = 0
    level = [(field.name, field.type) for field in schema]
    for _ in range(MOST_LEVELS):
        columns += len(level)
        if columns > MOST_COLUMNS:
            _refuse(f"in more than {MOST_COLUMNS:,} columns", "leave those out that are not needed")
        for name, kind in level:
            _check_type(name, kind)
            if pa.types.is_timestamp(kind):
                _ = kind.tz  # raises ValueError for what is no text
        level = [(name, inner) for name, kind in level for inner in _inner(kind)]
        if not level:
            return
    raise InvalidRequest(f"Column '{level[0][0][:80]}' is nested too deeply: {MOST_LEVELS} levels is the most.")


def _inner(kind: pa.DataType) -> list[pa.DataType]:
    return [kind.field(index).type for index in range(kind.num_fields)]


def _check_type(name: str, kind: pa.DataType) -> None:
    """Types that have no use here, and tricks: lists that overlap, runs of two thousand million, nothing at all."""
    told = str(kind)[:80]
    if isinstance(kind, pa.BaseExtensionType):
        told = f"an extension type, {kind.extension_name[:80]}"
    elif pa.types.is_dictionary(kind):
        if not _is_value(kind.value_type):
            told = f"a dictionary of {str(kind.value_type)[:80]}"
        else:
            return
    elif not (
        pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
        or pa.types.is_union(kind)
        or pa.types.is_run_end_encoded(kind)
        or (pa.types.is_fixed_size_binary(kind) and kind.byte_width == 0)
        or (pa.types.is_fixed_size_list(kind) and kind.list_size == 0)
    ):
        return
    raise InvalidRequest(f"Column '{name[:80]}' is {told}, which is not taken here: convert it, or leave it out.")


def _is_value(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_primitive(kind)
        or pa.types.is_decimal(kind)
        or _has_lengths(kind)
        or (pa.types.is_fixed_size_binary(kind) and kind.byte_width > 0)
    )


def _has_lengths(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _read(stream: pa.RecordBatchStreamReader, bounds: StreamBounds) -> pa.Table:
    schema = stream.schema
    parts = list(_parts(_checked_batches(stream, bounds), schema))
    return pa.concat_tables(parts) if parts else schema.empty_table()


def _checked_batches(stream: pa.RecordBatchStreamReader, bounds: StreamBounds) -> Iterator[pa.RecordBatch]:
    grows = [index for index, field in enumerate(stream.schema) if _may_grow(field.type)]
    size = 0
    for batch in stream:
        batch.validate(full=True)
        if grows:
            size += sum(_written_out(batch.column(index)) for index in grows)
            _check_count("bytes once its dictionaries and nulls are written out", size, bounds.bytes)
        if batch.num_rows:
            yield batch


def _parts(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """The batches, many small ones as one: each costs some kilobytes beside its rows, and holds on to its message."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        if len(waiting) == _PART_BATCHES or rows >= _PART_ROWS:
            yield _as_one(waiting, schema)
            waiting, rows = [], 0
    if waiting:
        yield _as_one(waiting, schema)


def _as_one(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    table = pa.Table.from_batches(batches, schema)
    return table if len(batches) == 1 else table.unify_dictionaries().combine_chunks()


def _may_grow(kind: pa.DataType) -> bool:
    """Whether a column of this type may be larger than its buffers say, once its values are written out."""
    is_shorthand = pa.types.is_dictionary(kind) or pa.types.is_null(kind) or _is_view(kind)
    return is_shorthand or any(map(_may_grow, _inner(kind)))


def _written_out(array: pa.Array) -> int:
    """How many bytes the column has that stand for values elsewhere, or for nothing."""
    kind = array.type
    if pa.types.is_null(kind):
        return _NULL_BYTES * len(array)
    if pa.types.is_dictionary(kind):
        return _decoded(array)
    if _is_view(kind):
        return _sum(_lengths(array))
    return sum(map(_written_out, _children(array)))


def _children(array: pa.Array) -> list[pa.Array]:
    kind = array.type
    if pa.types.is_struct(kind):
        return [array.field(index) for index in range(kind.num_fields)]
    if pa.types.is_map(kind):
        return [array.keys, array.items]
    return [array.values] if kind.num_fields else []


def _decoded(array: pa.DictionaryArray) -> int:
    values = array.dictionary
    if not _has_lengths(values.type):
        return int(len(array) * (values.type.bit_width + 7) // 8)
    return _sum(_lengths(values).take(array.indices)) + _NULL_BYTES * len(array)


def _lengths(values: pa.Array) -> pa.Array:
    """Of each text. A view is sixteen bytes, of which the first four are its length: many may show the same text."""
    if not _is_view(values.type):
        return pc.binary_length(values)
    views = pa.Array.from_buffers(pa.int32(), 4 * len(values), [None, values.buffers()[1]], offset=4 * values.offset)
    lengths = pc.list_element(pa.FixedSizeListArray.from_arrays(views, 4), 0)
    return pc.if_else(pc.is_valid(values), lengths, 0)


def _sum(lengths: pa.Array) -> int:
    return int(pc.sum(lengths).as_py() or 0)


def _is_view(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string_view(kind) or pa.types.is_binary_view(kind))


def _check_count(what: str, found: int, most: int) -> None:
    if found > most:
        _refuse(f"{found:,} {what}", f"{most:,} is the most that is taken here: send it in parts")


def _refuse(found: str, what_to_do: str) -> NoReturn:
    raise RequestTooLarge(f"The Arrow stream has {found}: {what_to_do}.")
