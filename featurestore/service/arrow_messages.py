"""The headers of an Arrow IPC stream: how many rows and bytes each message brings, without reading what it brings.

pyarrow gives a message's header as bytes and says nothing of it before it has decompressed the message. The headers are
tables of FlatBuffers (Arrow's `Message.fbs`); the few fields that are needed here are read by their numbers, and each
offset is compared with the bytes that there are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

_CONTINUES = b"\xff\xff\xff\xff"
"""Before a header's length; streams of before 2019 lack it."""
_MOST_HEADER_BYTES = 16 * 1024 * 1024
_NOT_COMPRESSED = -1
"""In place of a buffer's size: it was not worth it."""


class MessageKind(IntEnum):
    """As `MessageHeader` numbers them. Tensors are no part of a table."""

    SCHEMA = 1
    DICTIONARY = 2
    RECORD_BATCH = 3


class NotAMessage(ValueError):
    """The bytes are no stream of messages."""


@dataclass(frozen=True, slots=True)
class MessageSize:
    """What one message brings. `dictionary`: the number of the dictionary that it is, or adds to with `is_delta`."""

    kind: MessageKind
    rows: int
    bytes: int
    """Of all its buffers, decompressed; a part that two of them share counts twice."""
    dictionary: int | None = None
    is_delta: bool = False


def message_sizes(stream: BinaryIO, length: int) -> Iterator[MessageSize]:
    """What each message of the stream brings, which is `length` bytes long and at its beginning: the schema first.
    Raises NotAMessage, for what its headers can not be read of."""
    place = 0
    is_first = True
    while (header := _header(stream, place, length)) is not None:
        metadata, body = header
        message = _Table.root(metadata)
        body_length = message.number(3, "<q")
        if not 0 <= body_length <= length - body:
            raise NotAMessage(f"a message is {body_length} bytes long, and {length - body} follow")
        kind = _kind(message, is_first=is_first)
        is_first = False
        yield _size(kind, message.table(2), _Body(stream, body, body_length))
        place = body + body_length
    if is_first:
        raise NotAMessage("it has no schema")


def _header(stream: BinaryIO, place: int, length: int) -> tuple[bytes, int] | None:
    """The header at this place, and the place of its body; None at the end of the stream."""
    stream.seek(place)
    start = stream.read(4)
    if start == _CONTINUES:
        start, place = stream.read(4), place + 4
    if not start and place == length:
        return None
    if len(start) < 4:
        raise NotAMessage("it ends within a message")
    [size] = struct.unpack("<i", start)
    if size == 0:
        return None
    if not 0 < size <= min(_MOST_HEADER_BYTES, length - place - 4):
        raise NotAMessage(f"a header is {size} bytes long, and {length - place - 4} follow")
    return stream.read(size), place + 4 + size


def _kind(message: _Table, *, is_first: bool) -> MessageKind:
    number = message.number(1, "<B")
    try:
        kind = MessageKind(number)
    except ValueError as error:
        raise NotAMessage(f"a message is of kind {number}, and no part of a table") from error
    if (kind is MessageKind.SCHEMA) is not is_first:
        raise NotAMessage("a stream begins with its schema, and has one")
    return kind


def _size(kind: MessageKind, header: _Table, body: _Body) -> MessageSize:
    match kind:
        case MessageKind.SCHEMA:
            return MessageSize(kind, 0, 0)
        case MessageKind.RECORD_BATCH:
            return MessageSize(kind, *_batch(header, body))
        case MessageKind.DICTIONARY:
            rows, size = _batch(header.table(1), body)
            return MessageSize(kind, rows, size, header.number(0, "<q"), bool(header.number(2, "<?")))


def _batch(header: _Table, body: _Body) -> tuple[int, int]:
    rows = header.number(0, "<q")
    if rows < 0:
        raise NotAMessage(f"a batch has {rows} rows")
    is_compressed = header.has(3)
    buffers = header.structs(2, "<qq")
    return rows, sum(body.decompressed(*buffer) if is_compressed else body.checked(*buffer) for buffer in buffers)


@dataclass(frozen=True, slots=True)
class _Body:
    """Where a message's buffers lie."""

    stream: BinaryIO
    place: int
    length: int

    def checked(self, offset: int, size: int) -> int:
        if offset < 0 or size < 0 or offset + size > self.length:
            raise NotAMessage(f"a buffer lies at {offset} + {size} in {self.length} bytes")
        return size

    def decompressed(self, offset: int, size: int) -> int:
        """A compressed buffer begins with its own size."""
        if self.checked(offset, size) < 8:
            return size
        self.stream.seek(self.place + offset)
        [told] = struct.unpack("<q", self.stream.read(8))
        if told < _NOT_COMPRESSED:
            raise NotAMessage(f"a buffer has {told} bytes")
        return size if told == _NOT_COMPRESSED else int(told)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of FlatBuffers: fields by number, each where the table's own list of places says, or absent."""

    buffer: bytes
    place: int

    @classmethod
    def root(cls, buffer: bytes) -> _Table:
        return cls(buffer, _number(buffer, 0, "<I"))

    def has(self, field: int) -> bool:
        return self._field(field) is not None

    def number(self, field: int, form: str) -> int:
        """0 where it is absent, as are all defaults that are read here."""
        place = self._field(field)
        return 0 if place is None else _number(self.buffer, place, form)

    def table(self, field: int) -> _Table:
        place = self._field(field)
        if place is None:
            raise NotAMessage("a header has no content")
        return _Table(self.buffer, place + _number(self.buffer, place, "<I"))

    def structs(self, field: int, form: str) -> Iterator[tuple[int, ...]]:
        place = self._field(field)
        if place is None:
            return iter(())
        start = place + _number(self.buffer, place, "<I")
        end = start + 4 + _number(self.buffer, start, "<I") * struct.calcsize(form)
        if end > len(self.buffer):
            raise NotAMessage("a header ends within a list")
        return struct.iter_unpack(form, self.buffer[start + 4 : end])

    def _field(self, field: int) -> int | None:
        places = self.place - _number(self.buffer, self.place, "<i")
        if 4 + 2 * field >= _number(self.buffer, places, "<H"):
            return None
        offset = _number(self.buffer, places + 4 + 2 * field, "<H")
        return self.place + offset if offset else None


def _number(buffer: bytes, place: int, form: str) -> int:
    if not 0 <= place <= len(buffer) - struct.calcsize(form):
        raise NotAMessage("a header points beyond itself")
    [value] = struct.unpack_from(form, buffer, place)
    return int(value)
