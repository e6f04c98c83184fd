"""What every keeper of state promises, in memory and in a SQL database."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from featurestore.adapters.sql_database import Database, upgrade
from featurestore.adapters.sql_state import SqlCatalog
from featurestore.adapters.sql_tables import STATE_MIGRATIONS
from featurestore.adapters.sql_values import to_json
from featurestore.errors import ConcurrentChange
from featurestore.graph.resolved import (
    Graph,
)
from featurestore.intervals import END_OF_TIME, Interval
from featurestore.ports.state import (
    DayRows,
    FilledInterval,
    FilledPart,
    Materialization,
    Settled,
    Unchanging,
)
from featurestore.spec import dtypes
from tests.contract.states import DELAYS, GRAPH, HOUR, NOON, State


def fill(start: int, end: int, version: int = 1) -> FilledInterval:
    interval = Interval(NOON + start * HOUR, NOON + end * HOUR)
    return FilledInterval(interval, version, 5, (("flights", "2"),), NOON)


def test_nothing_is_current_before_the_first_apply(state: State) -> None:
    assert state.catalog.current() is None


def test_a_promoted_graph_comes_back_equal_in_every_part(state: State) -> None:
    promoted = state.catalog.promote(GRAPH, NOON, replacing=None)

    assert state.catalog.current() == promoted
    assert promoted.graph == GRAPH
    assert promoted.applied_at == NOON


def test_the_graph_promoted_last_is_current(state: State) -> None:
    first = state.catalog.promote(GRAPH, NOON, replacing=None)
    second = state.catalog.promote(Graph(), NOON + HOUR, replacing=first.serial)

    assert state.catalog.current() == second
    assert second.serial > first.serial


def test_the_serial_tells_without_the_graph_that_another_one_was_promoted(state: State) -> None:
    before = state.catalog.serial()
    first = state.catalog.promote(GRAPH, NOON, replacing=None)
    after_first = state.catalog.serial()
    second = state.catalog.promote(Graph(), NOON + HOUR, replacing=first.serial)

    assert (before, after_first, state.catalog.serial()) == (None, first.serial, second.serial)


def test_of_many_graphs_promoted_in_place_of_the_same_one_a_single_one_is(state: State) -> None:
    def promote(_: int) -> bool:
        try:
            state.catalog.promote(GRAPH, NOON, replacing=None)
        except ConcurrentChange:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        promoted = list(threads.map(promote, range(40)))

    assert sum(promoted) == 1
    assert state.catalog.serial() == 1


def test_a_graph_that_was_planned_on_an_older_one_is_refused(state: State) -> None:
    first = state.catalog.promote(GRAPH, NOON, replacing=None)
    second = state.catalog.promote(Graph(), NOON, replacing=first.serial)

    with pytest.raises(ConcurrentChange, match="knownat plan"):
        state.catalog.promote(GRAPH, NOON, replacing=first.serial)

    assert state.catalog.current() == second


def test_nothing_is_covered_of_an_unknown_table(state: State) -> None:
    coverage = state.coverage.coverage("delays@ffffffff")

    assert coverage.fills == ()
    assert coverage.filled_to is None


def test_fills_come_back_equal_and_newest_first(state: State) -> None:
    state.coverage.record("t", fill(0, 2, version=1))
    state.coverage.record("t", fill(2, 4, version=2))

    assert state.coverage.coverage("t").fills == (fill(2, 4, version=2), fill(0, 2, version=1))


def test_what_a_fill_saw_of_its_sources_comes_back(state: State) -> None:
    parts = (
        FilledPart("flights", "a.parquet", "5", 9, NOON, NOON + HOUR),
        FilledPart("planes", "", "7", 2, None, None),
    )
    seen = replace(fill(0, 2), parts=parts, day_rows=(DayRows(NOON.date(), 9),))
    state.coverage.record("t", seen)
    state.coverage.record("t", replace(fill(2, 4), parts=()))

    assert state.coverage.coverage("t").fills == (replace(fill(2, 4), parts=()), seen)


def test_a_fill_is_replaced_in_its_place_unless_it_is_not_what_is_recorded(state: State) -> None:
    first, last = fill(0, 2, version=1), fill(2, 4, version=2)
    longer = replace(last, interval=fill(2, 9).interval, settled=Settled((("flights", "7"),), END_OF_TIME))
    for one in (first, last):
        state.coverage.record("t", one)

    replaced = [state.coverage.replace("t", last, longer), state.coverage.replace("t", last, first)]

    assert replaced == [True, False]
    assert state.coverage.coverage("t").fills == (longer, first)
    assert not state.coverage.replace("other", longer, last)


def test_what_was_settled_is_not_any_more_once_something_is_filled(state: State) -> None:
    settled = replace(fill(24, 48), settled=Settled((("flights", "7"),), NOON + 99 * HOUR))
    state.coverage.record("t", settled)
    state.coverage.record("other", settled)

    state.coverage.record("t", fill(0, 24, version=2))

    assert {one.settled for one in state.coverage.coverage("t").fills} == {None}
    assert state.coverage.coverage("other").fills == (settled,)


def test_a_cut_leaves_nothing_filled_after_it_and_nothing_filled_later_than_then(state: State) -> None:
    whole, across, beyond = fill(-72, -48), fill(-48, 30, version=2), fill(30, 60, version=3)
    settled = Settled((("flights", "7"),), END_OF_TIME)
    for one in (whole, replace(across, filled_at=NOON + HOUR), replace(beyond, settled=settled)):
        state.coverage.record("t", one)
    state.coverage.record("other", beyond)

    state.coverage.cut("t", NOON - 12 * HOUR, NOON)
    state.coverage.cut("unknown", NOON, NOON)

    cut = replace(across, interval=fill(-48, -12).interval, filled_at=NOON)
    assert state.coverage.coverage("t").fills == (cut, replace(whole, filled_at=min(whole.filled_at, NOON)))
    assert state.coverage.coverage("other").fills == (beyond,)


def test_the_last_fill_is_the_one_that_what_is_covered_ends_with(state: State) -> None:
    long, restated, today = fill(-72, 11), fill(-48, -24, version=2), fill(-12, 13, version=3)
    assert state.coverage.coverage("t").last is None
    for one in (long, restated):
        state.coverage.record("t", one)
    before = state.coverage.coverage("t").last
    state.coverage.record("t", today)

    assert (before, state.coverage.coverage("t").last) == (long, today)


def test_what_is_held_is_told_by_the_fill_that_it_is_of(state: State) -> None:
    state.coverage.record("t", fill(-36, 11, version=1))
    state.coverage.record("t", fill(-12, 8, version=2))

    held = state.coverage.coverage("t").holdings

    midnight = datetime(2013, 3, 10, tzinfo=UTC)
    assert [(one.interval, one.fill.version) for one in held] == [
        (fill(-12, 8).interval, 2),
        (Interval(NOON - 36 * HOUR, midnight), 1),
    ]


def test_a_fill_makes_the_fills_it_contains_forgotten_and_keeps_those_it_only_overlaps(state: State) -> None:
    state.coverage.record("t", fill(0, 2))
    state.coverage.record("t", fill(2, 4))
    state.coverage.record("t", fill(4, 6))
    state.coverage.record("t", fill(1, 4, version=2))

    assert state.coverage.coverage("t").fills == (fill(1, 4, version=2), fill(4, 6), fill(0, 2))


def test_recording_a_fill_twice_is_recording_it_once(state: State) -> None:
    state.coverage.record("t", fill(0, 2))
    state.coverage.record("t", fill(0, 2))

    assert state.coverage.coverage("t").fills == (fill(0, 2),)


def test_tables_do_not_share_coverage(state: State) -> None:
    state.coverage.record("one", fill(0, 2))
    state.coverage.record("other", fill(0, 9))

    assert state.coverage.coverage("one").fills == (fill(0, 2),)


def test_moments_before_1970_and_single_microseconds_come_back(state: State) -> None:
    old = datetime(1923, 1, 1, tzinfo=UTC)
    ancient = replace(fill(0, 1), interval=Interval(old, old + timedelta(microseconds=1)))
    state.coverage.record("t", ancient)

    assert state.coverage.coverage("t").fills == (ancient,)


def test_the_last_materialization_replaces_the_one_before(state: State) -> None:
    first = Materialization("t", NOON, 1, 10, NOON)
    second = Materialization("t", NOON + HOUR, 2, 3, NOON + HOUR)
    state.materializations.record("redis://a", first, after=None)
    state.materializations.record("redis://a", second, after=first)

    assert state.materializations.last("redis://a", "t") == second


def test_what_a_materialization_found_of_later_changes_comes_back(state: State) -> None:
    found = Materialization("t", NOON, 1, 10, NOON, unchanging=Unchanging(3, END_OF_TIME))
    state.materializations.record("redis://a", found, after=None)

    assert state.materializations.last("redis://a", "t") == found
    assert state.materializations.all("redis://a") == (found,)


def test_stores_do_not_share_progress(state: State) -> None:
    state.materializations.record("redis://a", Materialization("t", NOON, 1, 10, NOON), after=None)

    assert state.materializations.last("redis://b", "t") is None
    assert state.materializations.last("redis://a", "u") is None


def test_what_two_materializations_recorded_over_each_other_is_forgotten(state: State) -> None:
    before = Materialization("t", NOON, 1, 10, NOON)
    state.materializations.record("redis://a", before, after=None)
    state.materializations.record("redis://a", Materialization("t", NOON + HOUR, 2, 1, NOON), after=before)

    state.materializations.record("redis://a", Materialization("t", NOON + HOUR, 1, 9, NOON), after=before)

    assert state.materializations.last("redis://a", "t") is None


def test_what_a_store_was_filled_with_is_listed_until_it_is_forgotten(state: State) -> None:
    first, second = Materialization("a", NOON, 1, 10, NOON), Materialization("b", NOON, 2, 3, NOON)
    for store, one in (("here", second), ("here", first), ("there", first)):
        state.materializations.record(store, one, after=None)

    before = state.materializations.all("here")
    state.materializations.forget("here", "a")

    assert before == (first, second)
    assert (state.materializations.all("here"), state.materializations.all("there")) == ((second,), (first,))


def test_every_graph_that_was_applied_is_remembered(state: State) -> None:
    first = state.catalog.promote(GRAPH, NOON, replacing=None)
    second = state.catalog.promote(Graph(), NOON + HOUR, replacing=first.serial)

    assert state.catalog.history() == (first, second)


def test_state_outlives_its_connection(database_url: str) -> None:
    with Database(database_url) as database:
        upgrade(database, STATE_MIGRATIONS)
        promoted = SqlCatalog(database).promote(GRAPH, NOON, replacing=None)

    with Database(database_url) as reopened:
        assert SqlCatalog(reopened).current() == promoted


def test_several_processes_may_open_a_new_project_at_once(database_url: str) -> None:
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as processes:
        serials = list(processes.map(open_and_promote, [database_url] * 8))

    assert sorted(serials) == [0, 0, 0, 0, 0, 0, 0, 1]


def open_and_promote(url: str) -> int:
    """The serial that was promoted; 0 if another process was first."""
    with Database(url) as database:
        upgrade(database, STATE_MIGRATIONS)
        try:
            return SqlCatalog(database).promote(GRAPH, NOON, replacing=None).serial
        except ConcurrentChange:
            return 0


def test_a_fill_of_an_earlier_version_leaves_nothing_in_days_that_a_later_one_replaced(state: State) -> None:
    state.coverage.record("t", fill(-12, 8, version=2))
    state.coverage.record("t", fill(-12, 11, version=1))  # committed before the other, recorded after it

    assert list(state.coverage.coverage("t").covered) == [fill(-12, 8).interval]


def test_a_forgotten_table_is_not_filled_and_others_stay(state: State) -> None:
    state.coverage.record("t", fill(0, 2))
    state.coverage.record("other", fill(0, 2))
    state.coverage.forget("t")

    assert state.coverage.coverage("t").fills == ()
    assert state.coverage.coverage("other").fills == (fill(0, 2),)


def test_types_with_arguments_are_stored_as_their_text_and_come_back(state: State) -> None:
    types = (dtypes.Decimal(18, 2), dtypes.List(dtypes.Decimal(4, 1)), dtypes.Embedding(384))
    features = tuple(replace(DELAYS.features[0], name=f"x{number}", dtype=dtype) for number, dtype in enumerate(types))
    graph = replace(GRAPH, views=(replace(DELAYS, features=features),))
    state.catalog.promote(graph, NOON, replacing=None)

    current = state.catalog.current()

    assert current is not None
    assert current.graph == graph
    assert [text in to_json(graph) for text in ('"decimal(18, 2)"', '"list(decimal(4, 1))"', '"embedding(384)"')] == [
        True
    ] * 3
