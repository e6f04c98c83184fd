"""How the loss of a part of a Redis Cluster is noticed.

A table's record lies in one slot and says how far all its rows are filled; those of other slots can be lost without it,
when one master is flushed or restarts empty. So each slot has a guard, a key of its own, which is lost with the rows.
It holds a number: that of the copy which made it. These numbers grow over all tables of a namespace, and a copy of all
rows of a table gives its number to the table's record, as its generation. A row that is read is trusted if its slot's
guard is there and not younger than the table's last whole copy. The guard travels in the MGET of its slot's rows.

The next number is one more than the greatest that is noted in some places spread over all slots, so that it grows as
long as one of the nodes that hold them is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from redis.crc import REDIS_CLUSTER_HASH_SLOTS as SLOTS

from featurestore.adapters.redis_cluster_calls import slot_tags

NUMBER_BYTES = 4
_PLACES = 32
_SAMPLED = 16

# KEYS: the place. ARGV: a number. Notes it if it is greater than what is there.
NOTE = """
local noted = redis.call('GET', KEYS[1])
if not noted or struct.unpack('>I4', noted) < struct.unpack('>I4', ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return 1
"""
# KEYS: the record. ARGV: identity, nonce, keeps, '1' for a replacing fill, the copy's number, the youngest guard's.
# As redis_layout.BEGIN, but that the generation is the copy's number, and that a table which has lost rows is no longer
# filled. Answers the record.
BEGIN = """
local record, number = redis.call('GET', KEYS[1]), struct.unpack('>I4', ARGV[5])
if not record then
    record = string.rep('\\0', 8) .. ARGV[3] .. ARGV[5] .. ARGV[2] .. ARGV[1]
elseif string.sub(record, 29) ~= ARGV[1] then
    return record
else
    local filled_to, keeps, generation = string.sub(record, 1, 8), string.sub(record, 9, 16), string.sub(record, 17, 20)
    local a, b = struct.unpack('>I4I4', keeps)
    local c, d = struct.unpack('>I4I4', ARGV[3])
    if a > c or (a == c and b > d) then keeps = ARGV[3] end
    local before = struct.unpack('>I4', generation)
    if ARGV[4] == '1' then
        if before < struct.unpack('>I4', ARGV[6]) then filled_to = string.rep('\\0', 8) end
        generation = struct.pack('>I4', math.max(before + 1, number))
    end
    record = filled_to .. keeps .. generation .. string.sub(record, 21)
end
redis.call('SET', KEYS[1], record)
return record
"""


@dataclass(frozen=True)
class Guards:
    """The names of a namespace's guards and of the places where numbers are noted."""

    namespace: str

    @cached_property
    def by_slot(self) -> tuple[bytes, ...]:
        start = f"{self.namespace}:g{{".encode()
        return tuple(start + tag + b"}" for tag in slot_tags())

    @cached_property
    def places(self) -> tuple[bytes, ...]:
        start, tags = f"{self.namespace}:n{{".encode(), slot_tags()
        return tuple(start + tags[slot] + b"}" for slot in range(0, SLOTS, SLOTS // _PLACES))

    @property
    def samples(self) -> Mapping[int, bytes]:
        """Enough guards to notice that a node lost what it held, for who asks about a table and not about rows: nodes
        serve slots by the hundred, and lose them together. All of them take 0.14 s, these a fifteenth."""
        return {slot: self.by_slot[slot] for slot in range(0, SLOTS, _SAMPLED)}


def is_trusted(guards: Mapping[int, bytes | None], slots: Iterable[int], generation: bytes) -> bool:
    """Whether all these slots' rows are what the copy of this generation, and fills since, have written."""
    for slot in slots:
        guard = guards[slot]
        if guard is None or guard > generation:
            return False
    return True
