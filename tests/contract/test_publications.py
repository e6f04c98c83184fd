"""What every keeper of publications promises, in memory and in a SQL database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa

from featurestore.ports.publications import Publication, Published, Push, PushSpan
from tests.contract.states import HOUR, NOON, State

TICK = timedelta(microseconds=1)
MOMENT = pa.timestamp("us", tz="UTC")


def run(hour: int, *, is_full: bool = False) -> Publication:
    filled_to = NOON + hour * HOUR
    times = (filled_to, filled_to + TICK, filled_to + 2 * TICK)
    return Publication(*times, hour, 10 * hour, is_full, filled_to + HOUR, None if is_full else NOON)


def push(hour: int) -> Push:
    return Push(NOON + hour * HOUR, (NOON + hour * HOUR,))


def test_nothing_is_published_of_an_unknown_table(state: State) -> None:
    assert state.publications.published("here", "t") == Published()


def test_runs_come_back_equal_in_the_order_in_which_they_were_recorded(state: State) -> None:
    runs = (run(1, is_full=True), run(2), replace(run(1), rows=0), run(2))
    for one in runs:
        state.publications.record("here", "t", one)

    assert state.publications.published("here", "t") == Published(runs)


def test_of_runs_in_a_row_that_changed_nothing_the_last_is_kept(state: State) -> None:
    def idle(hour: int) -> Publication:
        return replace(run(hour), rows=0)

    full = replace(run(9, is_full=True), rows=0)
    for one in (idle(1), idle(2), run(3), idle(4), idle(5), idle(6), full, idle(10), run(11)):
        state.publications.record("here", "t", one)
    state.publications.record("here", "u", idle(7))

    kept = (idle(2), run(3), idle(6), full, idle(10), run(11))
    assert state.publications.published("here", "t").runs == kept
    assert state.publications.published("here", "u").runs == (idle(7),)


def test_the_newest_runs_can_be_asked_for_alone(state: State) -> None:
    for hour in range(5):
        state.publications.record("here", "t", run(hour))

    newest = [state.publications.published("here", "t", newest=count).runs for count in (0, 2, 9)]

    assert newest == [(), (run(3), run(4)), tuple(run(hour) for hour in range(5))]


def test_pushes_come_back_equal_in_the_order_in_which_they_were_recorded(state: State) -> None:
    times = {"event_timestamp": [NOON], "known_at": [NOON + TICK]}
    schema = [("k", pa.string()), ("n", pa.int64()), ("event_timestamp", MOMENT), ("known_at", MOMENT)]
    rows = pa.table({"k": ["é"], "n": [-1], **times}, schema=pa.schema(schema))
    pushes = (
        push(3),
        Push(NOON + HOUR, (NOON, NOON + TICK), rows),
        Push(NOON + HOUR, rows=rows, is_online=False),
        Push(NOON, rows=rows.select(["event_timestamp", "known_at"]), is_repeated=True),
    )
    for one in pushes:
        state.publications.record_push("here", "t", one)

    assert state.publications.published("here", "t") == Published((), None, pushes)


def test_asked_for_the_newest_runs_of_pushes_the_first_and_the_last_are_told(state: State) -> None:
    for hour in (3, 1, 7, 5):
        state.publications.record_push("here", "t", push(hour))
    state.publications.record_push("here", "t", replace(push(9), is_online=False))

    newest = state.publications.published("here", "t", newest=1)

    assert newest.push_span == PushSpan(NOON + HOUR, NOON + 7 * HOUR)
    assert len(newest.pushes) == 2


def test_what_was_published_after_a_moment_can_be_forgotten(state: State) -> None:
    for hour in (1, 5, 3):
        state.publications.record("here", "t", run(hour))
        state.publications.record_push("here", "t", Push(NOON + hour * HOUR))
        state.publications.record("here", "u", run(hour))
    state.publications.record_push("here", "u", Push(NOON + 5 * HOUR))

    for table in ("t", "u", "unknown"):
        state.publications.forget_after("here", table, NOON + 4 * HOUR)

    kept, pushes = (run(1), run(3)), (Push(NOON + HOUR), Push(NOON + 3 * HOUR))
    assert state.publications.published("here", "t") == Published(kept, pushes=pushes)
    assert state.publications.published("here", "u") == Published(kept)


def test_stores_and_tables_do_not_share_their_history(state: State) -> None:
    state.publications.record("here", "t", run(1))
    state.publications.record("there", "t", run(2))
    state.publications.record_push("here", "u", push(0))

    assert state.publications.published("here", "t") == Published((run(1),))
    assert state.publications.published("there", "t") == Published((run(2),))
    assert state.publications.published("here", "u") == Published((), None, (push(0),))


def test_a_forgotten_table_has_no_history_and_others_keep_theirs(state: State) -> None:
    for store, table in (("here", "t"), ("here", "u"), ("there", "t")):
        state.publications.record(store, table, run(1))
        state.publications.record_push(store, table, push(0))

    state.publications.forget("here", "t")

    left = Published((run(1),), None, (push(0),))
    found = [state.publications.published(*one) for one in (("here", "t"), ("here", "u"), ("there", "t"))]
    assert found == [Published(), left, left]


def test_what_several_threads_record_at_once_is_all_kept(state: State) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda hour: state.publications.record("here", "t", run(hour)), range(16)))
        list(threads.map(lambda hour: state.publications.record_push("here", "t", push(hour)), range(16)))

    kept = state.publications.published("here", "t")
    assert sorted(kept.runs, key=lambda one: one.version) == [run(hour) for hour in range(16)]
    assert sorted(one.at for one in kept.pushes) == [NOON + hour * HOUR for hour in range(16)]
