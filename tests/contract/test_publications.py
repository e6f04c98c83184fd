"""What every keeper of publications promises, in memory and in a SQL database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from featurestore.ports.publications import Publication, Published, PushSpan
from tests.contract.states import HOUR, NOON, State

TICK = timedelta(microseconds=1)


def run(hour: int, *, is_full: bool = False) -> Publication:
    filled_to = NOON + hour * HOUR
    return Publication(filled_to, filled_to + TICK, filled_to + 2 * TICK, hour, 10 * hour, is_full)


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


def test_of_pushes_the_first_and_the_last_moment_are_kept(state: State) -> None:
    for hour in (3, 1, 7, 5):
        state.publications.record_push("here", "t", NOON + hour * HOUR)

    assert state.publications.published("here", "t", newest=1) == Published((), PushSpan(NOON + HOUR, NOON + 7 * HOUR))


def test_stores_and_tables_do_not_share_their_history(state: State) -> None:
    state.publications.record("here", "t", run(1))
    state.publications.record("there", "t", run(2))
    state.publications.record_push("here", "u", NOON)

    assert state.publications.published("here", "t") == Published((run(1),))
    assert state.publications.published("there", "t") == Published((run(2),))
    assert state.publications.published("here", "u") == Published((), PushSpan(NOON, NOON))


def test_a_forgotten_table_has_no_history_and_others_keep_theirs(state: State) -> None:
    for store, table in (("here", "t"), ("here", "u"), ("there", "t")):
        state.publications.record(store, table, run(1))
        state.publications.record_push(store, table, NOON)

    state.publications.forget("here", "t")

    left = Published((run(1),), PushSpan(NOON, NOON))
    found = [state.publications.published(*one) for one in (("here", "t"), ("here", "u"), ("there", "t"))]
    assert found == [Published(), left, left]


def test_what_several_threads_record_at_once_is_all_kept(state: State) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda hour: state.publications.record("here", "t", run(hour)), range(16)))
        list(threads.map(lambda hour: state.publications.record_push("here", "t", NOON + hour * HOUR), range(16)))

    kept = state.publications.published("here", "t")
    assert sorted(kept.runs, key=lambda one: one.version) == [run(hour) for hour in range(16)]
    assert kept.pushed == PushSpan(NOON, NOON + 15 * HOUR)
