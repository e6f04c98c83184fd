"""Who is asked what in a cluster, and what happens to calls that are sent elsewhere."""

from __future__ import annotations

import pytest
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from featurestore.adapters.redis_address import Node
from featurestore.adapters.redis_cluster_calls import Call, Exchange, SlotMap, slot_tags

A, B, C = ("10.0.0.1", 7000), ("10.0.0.2", 7001), ("10.0.0.3", 7002)
ANSWER = [
    [0, 99, [b"10.0.0.1", 7000, b"id-a", []], [b"10.0.0.9", 7009, b"id-r", []]],
    [100, 199, [b"10.0.0.2", 7001, b"id-b", []]],
    [200, 299, [b"", 7002, b"id-c", []]],
]


def slots() -> SlotMap:
    return SlotMap(ANSWER, asked=C)


def test_the_answer_of_cluster_slots_says_who_serves_what() -> None:
    assert [slots().node_of(slot) for slot in (0, 99, 100, 199, 200)] == [A, A, B, B, C]
    assert slots().masters == (A, B, C)
    assert slots().replicas == {A: 1, B: 0, C: 0}


def test_a_call_whose_slot_nobody_serves_is_tried_again_with_a_new_map() -> None:
    exchange = Exchange([Call(300, ("GET", "a"))], {})

    assert not exchange.groups(slots())
    assert exchange.settle()
    assert not exchange.is_over
    assert exchange.groups(SlotMap([[0, 16_383, [b"10.0.0.1", 7000]]], A)) == {A: list(exchange.calls)}


def test_every_slot_has_a_tag_that_lies_in_it() -> None:
    assert [key_slot(b"name:{" + tag + b"}") for tag in slot_tags()] == list(range(16_384))


def asked(exchange: Exchange, **answers: object) -> dict[Node, list[Call]]:
    """One round: the calls answered by the first word of their key, else with OK."""
    groups = exchange.groups(slots())
    for calls in groups.values():
        for call in calls:
            call.answer = answers.get(call.command[-1], "OK")
    return groups


def test_calls_go_to_the_nodes_of_their_slots_and_are_done_when_answered() -> None:
    calls = [Call(1, ("GET", "a")), Call(150, ("GET", "b")), Call(2, ("GET", "c"))]
    exchange = Exchange(calls, {})

    assert asked(exchange) == {A: [calls[0], calls[2]], B: [calls[1]]}
    assert not exchange.settle()
    assert exchange.is_over


def test_a_call_whose_slot_has_moved_goes_where_it_is_sent_and_the_map_is_outdated() -> None:
    exchange = Exchange([Call(1, ("GET", "a")), Call(2, ("GET", "b"))], {})
    asked(exchange, a=MovedError("1 10.0.0.2:7001"))

    assert exchange.settle()
    assert list(asked(exchange)) == [B]
    assert not exchange.settle()
    assert exchange.is_over


def test_a_call_whose_slot_is_moving_is_asked_at_the_other_node_this_once() -> None:
    exchange = Exchange([Call(1, ("GET", "a"))], {})
    asked(exchange, a=AskError("1 10.0.0.2:7001"))

    assert not exchange.settle()
    [(node, [call])] = exchange.groups(slots()).items()
    assert (node, call.commands) == (B, [("ASKING",), ("GET", "a")])


def test_answers_are_taken_behind_those_to_asking() -> None:
    calls = [Call(1, ("GET", "a"), is_asking=True), Call(2, ("GET", "b"))]

    Exchange.take({A: calls}, {A: [b"OK", b"one", b"two", 7]})

    assert [call.answer for call in calls] == [b"one", b"two"]


@pytest.mark.parametrize("broken", [RedisConnectionError("reset"), ClusterDownError("down")])
def test_what_a_broken_connection_interrupted_is_asked_once_more_and_no_more(broken: RedisError) -> None:
    exchange = Exchange([Call(1, ("GET", "a"))], {})

    asked(exchange, a=broken)
    assert exchange.settle()
    asked(exchange, a=broken)
    exchange.settle()

    assert exchange.is_over
    assert exchange.calls[0].answer is broken


@pytest.mark.parametrize("final", [RedisTimeoutError("late"), OutOfMemoryError("full")])
def test_a_time_out_or_a_refusal_is_an_answer(final: RedisError) -> None:
    exchange = Exchange([Call(1, ("GET", "a"))], {})
    asked(exchange, a=final)

    assert not exchange.settle()
    assert exchange.is_over


def test_a_node_that_never_saw_a_script_is_given_it() -> None:
    exchange = Exchange([Call(1, ("EVALSHA", "0a1b", 1, "a"))], {"0a1b": "return 1"})
    asked(exchange, a=NoScriptError("none"))

    assert not exchange.settle()
    assert exchange.calls[0].command == ("EVAL", "return 1", 1, "a")
    assert list(exchange.groups(slots())) == [A]


def test_a_call_that_is_sent_in_circles_ends() -> None:
    exchange = Exchange([Call(1, ("GET", "a"))], {})
    rounds = 0
    while not exchange.is_over:
        asked(exchange, a=MovedError("1 10.0.0.2:7001"))
        exchange.settle()
        rounds += 1

    assert rounds == 4
    assert isinstance(exchange.calls[0].answer, MovedError)
