"""A lookup in a Redis Cluster, as calls and their answers: an MGET for each slot, with the slot's guard. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.crc import key_slot
from redis.exceptions import TryAgainError

from featurestore.adapters.redis_cluster_calls import Call
from featurestore.adapters.redis_cluster_guards import Guards, is_trusted
from featurestore.adapters.redis_layout import GENERATION_OF_RECORD, RedisLayout
from featurestore.ports.online_store import TableRead, TableRows


class ClusterQuestion:
    """Make `calls`, then those of `parts()`, then those of `more()`; then ask for `answers()`."""

    def __init__(self, layout: RedisLayout, guards: Guards, reads: Sequence[TableRead]) -> None:
        self._layout = layout
        self._guards = guards
        self._reads = reads
        self._codecs = layout.codecs(reads)
        self._wanted = layout.wanted(self._codecs, reads)
        self._slots = [key_slot(key) for key in self._wanted]
        by_slot: dict[int, list[bytes]] = {}
        for slot, key in zip(self._slots, self._wanted, strict=True):
            by_slot.setdefault(slot, [guards.by_slot[slot]]).append(key)
        self.calls = [Call(slot, ("MGET", *keys)) for slot, keys in by_slot.items()]
        self._parts: list[tuple[Call, list[Call]]] = []
        self._sampled: list[Call] = []

    def parts(self) -> list[Call]:
        """Where a slot is just moving, its keys are at two nodes and have to be asked for one by one."""
        moving = [call for call in self.calls if isinstance(call.answer, TryAgainError)]
        self._parts = [(call, [Call(call.slot, ("GET", key)) for key in call.command[1:]]) for call in moving]
        return [part for _, parts in self._parts for part in parts]

    def more(self) -> list[Call]:
        """Whoever asks for no keys but for how far a table is filled, if it is, wants to know it of all nodes."""
        self._join()
        found = self._found()
        starts = self._starts()
        if any(found[start] is not None and not read.keys for start, read in zip(starts, self._reads, strict=True)):
            self._sampled = sampled_guards(self._guards)
        return self._sampled

    def answers(self) -> list[TableRows]:
        """Raises the error that one of the calls was answered with."""
        found = self._found()
        guards = {call.slot: call.answer[0] for call in self.calls}
        guards |= {call.slot: result(call) for call in self._sampled}
        for start, read in zip(self._starts(), self._reads, strict=True):
            record = found[start]
            slots = self._slots[start + 1 : start + 1 + len(read.keys)] or [call.slot for call in self._sampled]
            if record is not None and not is_trusted(guards, slots, record[GENERATION_OF_RECORD]):
                found[start] = None
        return self._layout.answers(self._codecs, self._reads, found)

    def _join(self) -> None:
        for call, parts in self._parts:
            call.answer = [result(part) for part in parts]

    def _starts(self) -> list[int]:
        """Where each table's record is among what is wanted."""
        starts = [0]
        for read in self._reads:
            starts.append(starts[-1] + 1 + len(read.keys))
        return starts[:-1]

    def _found(self) -> list[bytes | None]:
        values = {call.slot: iter(result(call)[1:]) for call in self.calls}
        return [next(values[slot]) for slot in self._slots]


def sampled_guards(guards: Guards) -> list[Call]:
    """Ask for enough guards to notice what was lost."""
    return [Call(slot, ("GET", name)) for slot, name in guards.samples.items()]


def result(call: Call) -> Any:
    """The call's answer; raises it if it is an error."""
    if isinstance(call.answer, Exception):
        raise call.answer
    return call.answer
