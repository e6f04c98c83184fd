"""Which node of a Redis Cluster answers what, and what to do when the answer is "ask another one". Pure.

redis-py's cluster client repeats failed commands one by one, each with its own retries, needs COMMAND of its users,
closes everybody's connections when one fails, and connects when it is made; a request's deadline can not be kept over
that. What is left to do here is little: a map of slots, and one more round for calls that were sent elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS as SLOTS
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoScriptError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from featurestore.adapters.redis_address import Node

_ROUNDS = 4  # a failover and a slot that moves, at once

Command = tuple[Any, ...]


class SlotMap:
    """Who serves which slot: the answer of CLUSTER SLOTS."""

    def __init__(self, answer: Sequence[Any], asked: Node) -> None:
        self._by_slot: list[Node | None] = [None] * SLOTS
        self.replicas: dict[Node, int] = {}
        """How many replicas each master has."""
        for first, last, master, *replicas in answer:
            node = (_text(master[0]) or asked[0], int(master[1]))  # a node that knows no name of its own says nothing
            self._by_slot[first : last + 1] = [node] * (last + 1 - first)
            self.replicas[node] = len(replicas)

    @property
    def masters(self) -> tuple[Node, ...]:
        return tuple(self.replicas)

    def node_of(self, slot: int) -> Node | None:
        """None when nobody serves the slot."""
        return self._by_slot[slot]


@dataclass(slots=True)
class Call:
    """A command for the node that serves a slot, and, once it was made, its answer: an error where that is it."""

    slot: int
    command: Command
    answer: Any = None
    redirected: Node | None = None
    is_asking: bool = False
    is_done: bool = False
    """Whether the answer is the last one."""

    @property
    def commands(self) -> list[Command]:
        return [("ASKING",), self.command] if self.is_asking else [self.command]


@dataclass(slots=True)
class Exchange:
    """Calls on their way to answers. Ask the groups' nodes, fill in the answers, settle; until no group is left.

    What a broken connection interrupted is asked once more: all that is asked here may be done twice.
    """

    calls: Sequence[Call]
    scripts: Mapping[str, str]
    """What EVALSHA stands for, for nodes that never saw the script."""
    _waiting: list[Call] = field(default_factory=list)
    _rounds: int = 0
    _has_repeated: bool = False

    def __post_init__(self) -> None:
        self._waiting = list(self.calls)

    @property
    def is_over(self) -> bool:
        return not self._waiting

    def groups(self, slots: SlotMap) -> dict[Node, list[Call]]:
        """Who has to be asked what now. Calls whose slot nobody serves have their answer."""
        groups: dict[Node, list[Call]] = {}
        for call in self._waiting:
            node = call.redirected or slots.node_of(call.slot)
            if node is None:
                call.answer = ClusterDownError(f"slot {call.slot} is served by no node")
            else:
                groups.setdefault(node, []).append(call)
        return groups

    @staticmethod
    def take(groups: Mapping[Node, Sequence[Call]], answers: Mapping[Node, Sequence[Any]]) -> None:
        """Give each call its answer; whatever was asked after the calls of a node is left alone."""
        for node, calls in groups.items():
            place = -1
            for call in calls:
                place += len(call.commands)
                call.answer = answers[node][place]

    def settle(self) -> bool:
        """Keep what must be asked again; answers whether the map of slots is out of date."""
        self._rounds += 1
        is_outdated = False
        for call in self._waiting:
            again, outdated = self._goes_on(call)
            is_outdated |= outdated
            call.is_done = not again or self._rounds == _ROUNDS
        self._waiting = [call for call in self._waiting if not call.is_done]
        self._has_repeated |= any(_is_broken(call.answer) for call in self._waiting)
        return is_outdated

    def _goes_on(self, call: Call) -> tuple[bool, bool]:
        """Whether to ask again, and whether the map of slots is out of date."""
        call.redirected, call.is_asking = None, False
        match call.answer:
            case MovedError() as moved:
                call.redirected = (moved.host, moved.port) if moved.host else None
                return True, True
            case AskError() as ask:
                call.redirected, call.is_asking = (ask.host, ask.port), True
                return True, False
            case NoScriptError() if call.command[0] == "EVALSHA":
                call.command = ("EVAL", self.scripts[call.command[1]], *call.command[2:])
                return True, False
            case answer if _is_broken(answer):
                return not self._has_repeated, True
            case _:
                return False, False


@cache
def slot_tags() -> tuple[bytes, ...]:
    """For each slot two bytes that lie in it, to be put in braces."""
    tags: dict[int, bytes] = {}
    for number in range(1 << 16):  # their checksums are all different, so every slot has four
        tag = number.to_bytes(2)
        if not set(tag) & set(b"{}"):
            tags.setdefault(key_slot(tag), tag)
    return tuple(tags[slot] for slot in range(SLOTS))


def _is_broken(answer: object) -> bool:
    return isinstance(answer, (RedisConnectionError, ClusterDownError))


def _text(name: bytes | str | None) -> str:
    return name.decode() if isinstance(name, bytes) else name or ""
