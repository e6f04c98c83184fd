"""How online tables lie in Redis, whichever client reaches it: names of keys, the tables' records, scripts.

A row's key is `namespace:{` + the encoded entity key + `}` + eight bytes for its table: what is in braces decides the
slot in a cluster, so all rows of an entity lie together, and an ACL can grant `~namespace:*`. Those eight bytes are a
digest of the table's identity; the table's record, at `namespace:t` + digest, holds the identity itself, and everyone
who reads or writes a table compares it. Which row is newer is decided by a script inside Redis, so concurrent writers
can not undo each other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from featurestore.adapters.row_codec import CodecCache, EarlierTable, RowCodec
from featurestore.adapters.stored_moments import decode_moment, encode_moment
from featurestore.errors import StoreCorrupted
from featurestore.ports.online_store import Fill, Filled, Key, OnlineTable, TableRead, TableRows

GENERATION_OF_RECORD = slice(16, 20)
TURN_OF_RECORD = slice(16, 28)
"""Generation and nonce."""

FIRST_GENERATION = 1
"""That of a table whose record has just been made."""

_NEVER = b"\0" * 8
_ALWAYS = b"\xff" * 8
_MICROSECOND = timedelta(microseconds=1)

# Lua's own `<` on strings follows the server's locale (strcoll), which does not order bytes: compare numbers instead.
_IS_NEWER = """
local function is_newer(one, other)
    local a, b = struct.unpack('>I4I4', one)
    local c, d = struct.unpack('>I4I4', other)
    return a > c or (a == c and b > d)
end
"""
# KEYS: the record. ARGV: identity, nonce, keeps, '1' for a replacing fill. Answers the record.
BEGIN = (
    _IS_NEWER
    + """
local record = redis.call('GET', KEYS[1])
if not record then
    record = string.rep('\\0', 8) .. ARGV[3] .. struct.pack('>I4', 1) .. ARGV[2] .. ARGV[1]
elseif string.sub(record, 29) ~= ARGV[1] then
    return record
else
    local keeps, generation = string.sub(record, 9, 16), struct.unpack('>I4', string.sub(record, 17, 20))
    if is_newer(keeps, ARGV[3]) then keeps = ARGV[3] end
    if ARGV[4] == '1' then generation = generation + 1 end
    record = string.sub(record, 1, 8) .. keeps .. struct.pack('>I4', generation) .. string.sub(record, 21)
end
redis.call('SET', KEYS[1], record)
return record
"""
)
_CHECK_TURN = """
local record = redis.call('GETRANGE', KEYS[1], 16, 27)
if record ~= ARGV[1] .. ARGV[4] then return -1 end
local first = 2
"""
# ARGV: generation, known_to, '1' if expiries follow the values, nonce, then a value for each row's key. Answers
# how many were stored.
_WRITE = """
local given = struct.unpack('>I4', ARGV[1])
local to_high, to_low = struct.unpack('>I4I4', ARGV[2])
local expires, rows, written = ARGV[3] == '1', #KEYS - first + 1, 0
for i = 1, rows do
    local key, value = KEYS[first + i - 1], ARGV[4 + i]
    local stored = redis.call('GETRANGE', key, 0, 19)
    local is_wanted = #stored ~= 20
    if not is_wanted then
        local generation, a, b, c, d = struct.unpack('>I4I4I4I4I4', stored)
        if generation <= given then
            local _, e, f, g, h = struct.unpack('>I4I4I4I4I4', value)
            local is_older = a > e or (a == e and (b > f or (b == f and (c > g or (c == g and d > h)))))
            is_wanted = not is_older or (generation < given and (c < to_high or (c == to_high and d <= to_low)))
        end
    end
    if is_wanted then
        if expires then
            redis.call('SET', key, value, 'PX', ARGV[4 + rows + i])
        else
            redis.call('SET', key, value)
        end
        written = written + 1
    end
end
return written
"""
# KEYS: the record, then the rows'. Answers -1 when the writer's turn is over.
WRITE = _CHECK_TURN + _WRITE
# KEYS: the rows' alone, for a cluster, where the record lies in another slot.
WRITE_ROWS = "local first = 1\n" + _WRITE
# KEYS: rows' keys. ARGV: generation, known_to. Removes what earlier generations left.
SWEEP = """
local given = struct.unpack('>I4', ARGV[1])
local to_high, to_low = struct.unpack('>I4I4', ARGV[2])
for _, key in ipairs(KEYS) do
    local stored = redis.call('GETRANGE', key, 0, 19)
    if #stored == 20 then
        local generation, _, _, c, d = struct.unpack('>I4I4I4I4I4', stored)
        if generation < given and (c < to_high or (c == to_high and d <= to_low)) then redis.call('UNLINK', key) end
    end
end
return 1
"""
# KEYS: the record. Nobody is answered from the table from now on, nor may anybody write to it.
UNFILL = """
local record = redis.call('GET', KEYS[1])
if record then
    local generation = struct.pack('>I4', struct.unpack('>I4', string.sub(record, 17, 20)) + 1)
    local unfilled = string.rep('\\0', 8) .. string.sub(record, 9, 16) .. generation .. string.sub(record, 21)
    redis.call('SET', KEYS[1], unfilled)
end
return 1
"""
# KEYS: the record. ARGV: generation, nonce, filled_to, keeps, '1' for a replacing fill. Answers 0 when the writer's
# turn is over.
FINISH = (
    _IS_NEWER
    + """
local record = redis.call('GET', KEYS[1])
if not record or string.sub(record, 17, 28) ~= ARGV[1] .. ARGV[2] then return 0 end
local filled_to, keeps = string.sub(record, 1, 8), string.sub(record, 9, 16)
if is_newer(ARGV[3], filled_to) then filled_to = ARGV[3] end
if ARGV[5] == '1' then keeps = ARGV[4] end
redis.call('SET', KEYS[1], filled_to .. keeps .. string.sub(record, 17))
return 1
"""
)


@dataclass(frozen=True, slots=True)
class TableRecord:
    """What Redis holds of a table beside rows: filled_to (8) | keeps (8) | generation (4) | nonce (8) | identity."""

    filled: Filled | None
    generation: int
    nonce: bytes
    identity: bytes

    @classmethod
    def decode(cls, data: bytes) -> TableRecord:
        filled = None if data[:8] == _NEVER else Filled(decode_moment(data[:8]), _kept_for(data[8:16]))
        return cls(filled, int.from_bytes(data[16:20]), data[20:28], data[28:])


class RedisLayout:
    """The names of one namespace, and what is found under them."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._codecs = CodecCache()
        self._rows = f"{namespace}:{{".encode()
        self._records = f"{namespace}:t".encode()
        self._read_records: dict[bytes, tuple[bytes, Filled | None]] = {}

    def codecs(self, reads: Sequence[TableRead]) -> list[RowCodec]:
        return [self._codecs.of(read.table) for read in reads]

    def codec(self, table: OnlineTable) -> RowCodec:
        return self._codecs.of(table)

    def record(self, codec: RowCodec | EarlierTable) -> bytes:
        return self._records + codec.digest

    def row(self, codec: RowCodec, key: bytes) -> bytes:
        return self._rows + key + b"}" + codec.digest

    def key_of(self, codec: RowCodec, row: bytes) -> Key:
        """The key in the name of a row's key."""
        return codec.decode_key(row[len(self._rows) : -len(codec.digest) - 1])

    def pattern(self, codec: RowCodec | EarlierTable) -> bytes:
        """A SCAN pattern of the names of the table's rows, and of no other's."""
        return _literal(self._rows) + b"*" + _literal(b"}" + codec.digest)

    def wanted(self, codecs: Sequence[RowCodec], reads: Sequence[TableRead]) -> list[bytes]:
        """The keys of one round trip: for each table its record, then its rows."""
        wanted: list[bytes] = []
        for codec, read in zip(codecs, reads, strict=True):
            start, end = self._rows, b"}" + codec.digest
            wanted.append(self._records + codec.digest)
            wanted += [start + key + end for key in codec.encode_keys(read.keys)]
        return wanted

    def answers(
        self, codecs: Sequence[RowCodec], reads: Sequence[TableRead], found: Sequence[bytes | None]
    ) -> list[TableRows]:
        """What was found under the wanted keys. Raises StoreCorrupted for what is neither record nor row."""
        values = iter(found)
        return [
            codec.decode_rows(self._filled(codec, next(values)), list(islice(values, len(read.keys))))
            for codec, read in zip(codecs, reads, strict=True)
        ]

    def _filled(self, codec: RowCodec, data: bytes | None) -> Filled | None:
        if data is None:
            return None
        known = self._read_records.get(codec.digest)
        if known is None or known[0] != data:  # it changes with each materialization and is read with each lookup
            record = TableRecord.decode(data)
            check_identity(codec, record)
            known = self._read_records[codec.digest] = (data, record.filled)
        return known[1]


def check_identity(codec: RowCodec, record: TableRecord) -> None:
    """Raises StoreCorrupted when the record is another table's: two digests of eight bytes are the same."""
    if record.identity != codec.identity:
        raise StoreCorrupted(
            f"The place of {codec.table.name} in the online store is taken by another table. Nothing was written. "
            "Change the `name` in knownat.toml, under which this project keeps its rows, and materialize again."
        )


def turn(fill: Fill) -> tuple[bytes, bytes]:
    """What a writer's scripts are given to know its turn: generation and nonce."""
    return fill.generation.to_bytes(4), fill.nonce


def known_to(fill: Fill) -> bytes:
    """Up to when a replacing fill speaks for all rows, as scripts compare it."""
    moment: datetime | None = fill.request.known_to
    return _ALWAYS if moment is None else encode_moment(moment)


def keeps(duration: timedelta | None) -> bytes:
    return _ALWAYS if duration is None else (duration // _MICROSECOND).to_bytes(8)


def _kept_for(data: bytes) -> timedelta | None:
    return None if data == _ALWAYS else int.from_bytes(data) * _MICROSECOND


def _literal(text: bytes) -> bytes:
    """A SCAN pattern that matches just this text."""
    return re.sub(rb"([*?\[\\])", rb"\\\1", text)
