"""From what is applied and what is wanted to a plan: every situation a project can be in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from featurestore.graph.resolved import Column, Graph, ResolvedFeature, ResolvedSource, ResolvedView
from featurestore.intervals import Interval, IntervalSet
from featurestore.plan.build import Situation, SourceSpan, build_plan, estimated_rows, wanted_interval
from featurestore.plan.stages import Backfill, Change, ChangeKind, CreateTable, Materialize, Plan, Promote
from featurestore.spec.dtypes import DType

HOUR, DAY, TICK = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
NOW = datetime(2013, 3, 10, 12, 40, tzinfo=UTC)
MONDAY = datetime(2013, 3, 4, tzinfo=UTC)
FLIGHTS = ResolvedSource("flights", "flights.parquet", "landed", None, timedelta(0), ())
WEATHER = ResolvedSource("weather", "weather.parquet", "observed", None, HOUR, ())
SPANS = {
    "flights": SourceSpan(700, MONDAY + 9 * HOUR, MONDAY + 7 * DAY),
    "weather": SourceSpan(0, None, None),
}


def feature(name: str, fingerprint: str = "a") -> ResolvedFeature:
    return ResolvedFeature(name, DType.FLOAT64, fingerprint * 64, ())


DELAYS = ResolvedView(
    name="delays",
    fingerprint="1" * 64,
    entity="aircraft",
    keys=(Column("tail", DType.STRING),),
    query="SELECT 1",
    sources=(FLIGHTS,),
    features=(feature("mean"), feature("worst")),
    every=HOUR,
    inputs=(),
    ttl=None,
    publish_delay=timedelta(0),
    delay=timedelta(0),
)
GRAPH = Graph(sources=(FLIGHTS,), views=(DELAYS,))
SERIAL = 7
WHOLE = IntervalSet((Interval(MONDAY, NOW.replace(minute=0)),))


def situation(**changes: Any) -> Situation:
    """Everything is applied, filled and online, unless `changes` say otherwise."""
    usual = {
        "applied": GRAPH,
        "serial": SERIAL,
        "covered": {DELAYS.table: WHOLE},
        "spans": SPANS,
        "online": [DELAYS.table],
        "now": NOW,
    }
    return Situation(**{**usual, **changes})


def test_nothing_is_to_do_where_everything_is_applied_and_filled() -> None:
    plan = build_plan(GRAPH, situation())

    assert plan.nothing_to_do
    assert plan.changes == ()


def test_a_new_project_creates_fills_and_promotes_in_that_order() -> None:
    plan = build_plan(GRAPH, situation(applied=None, covered={}, online=[]))

    assert plan.stages == (CreateTable(DELAYS), Backfill(DELAYS, WHOLE, 647), Promote(GRAPH, SERIAL))
    assert plan.changes == (
        Change(ChangeKind.ADDED, "view:delays", ("mean", "worst")),
        Change(ChangeKind.ADDED, "source:flights"),
    )


def test_time_that_has_passed_is_filled_and_nothing_else() -> None:
    filled = IntervalSet((Interval(MONDAY, NOW.replace(hour=9, minute=0)),))

    plan = build_plan(GRAPH, situation(covered={DELAYS.table: filled}))

    assert [stage.missing for stage in plan.stages if isinstance(stage, Backfill)] == [WHOLE - filled]
    assert len(plan.stages) == 1


def test_a_changed_view_is_built_beside_the_old_one_and_online_before_it_is_promoted() -> None:
    changed = replace(DELAYS, fingerprint="2" * 64, features=(feature("mean", "b"), feature("worst"), feature("new")))
    wanted = replace(GRAPH, views=(changed,))

    plan = build_plan(wanted, situation())

    assert [type(stage) for stage in plan.stages] == [CreateTable, Backfill, Materialize, Promote]
    assert plan.changes == (Change(ChangeKind.CHANGED, "view:delays", ("mean", "new")),)


def test_a_changed_view_that_was_never_online_is_not_brought_online() -> None:
    wanted = replace(GRAPH, views=(replace(DELAYS, fingerprint="2" * 64),))

    plan = build_plan(wanted, situation(online=[]))

    assert [type(stage) for stage in plan.stages] == [CreateTable, Backfill, Promote]


def test_an_apply_that_was_interrupted_before_promoting_goes_on_where_it_stopped() -> None:
    changed = replace(DELAYS, fingerprint="2" * 64)
    wanted = replace(GRAPH, views=(changed,))

    plan = build_plan(wanted, situation(covered={DELAYS.table: WHOLE, changed.table: WHOLE}))

    assert plan.stages == (Materialize(changed), Promote(wanted, SERIAL))


@pytest.mark.parametrize("described", [{"owner": "me"}, {"ttl": DAY}, {"tags": ("a",)}, {"description": "…"}])
def test_what_only_describes_a_view_is_promoted_and_nothing_is_filled(described: dict[str, Any]) -> None:
    wanted = replace(GRAPH, views=(replace(DELAYS, **described),))

    plan = build_plan(wanted, situation())

    assert plan.stages == (Promote(wanted, SERIAL),)
    assert plan.changes == (Change(ChangeKind.DESCRIBED, "view:delays"),)


def test_a_removed_view_is_only_taken_out_of_what_readers_see() -> None:
    wanted = replace(GRAPH, views=())

    plan = build_plan(wanted, situation())

    assert plan.stages == (Promote(wanted, SERIAL),)
    assert plan.changes == (Change(ChangeKind.REMOVED, "view:delays"),)


@pytest.mark.parametrize(
    ("view", "end"),
    [
        (DELAYS, NOW.replace(minute=0)),
        (replace(DELAYS, every=6 * HOUR), NOW.replace(minute=0)),
        (replace(DELAYS, every=DAY), NOW.replace(hour=0, minute=0)),
        (replace(DELAYS, delay=HOUR), NOW.replace(hour=11, minute=0)),
        (replace(DELAYS, publish_delay=3 * HOUR), NOW.replace(minute=0)),
        (replace(DELAYS, every=None), NOW + TICK),
        (replace(DELAYS, every=None, delay=None), NOW + TICK),
        (replace(DELAYS, every=None, delay=3 * HOUR), NOW.replace(hour=9) + TICK),
        (replace(DELAYS, every=None, publish_delay=3 * HOUR), NOW.replace(hour=9) + TICK),
        (replace(DELAYS, every=None, delay=HOUR, publish_delay=HOUR), NOW.replace(hour=10) + TICK),
        (replace(DELAYS, every=None, delay=None, publish_delay=3 * HOUR), NOW + TICK),
    ],
)
def test_a_view_is_wanted_from_its_sources_first_day_to_the_last_hop_or_moment_that_can_be_answered(
    view: ResolvedView, end: datetime
) -> None:
    assert wanted_interval(view, SPANS, NOW) == Interval(MONDAY, end)


def test_of_a_source_without_rows_or_with_future_rows_alone_the_day_is_filled_with_nothing() -> None:
    future = {"flights": SourceSpan(1, NOW + DAY, NOW + DAY)}
    today = Interval(NOW.replace(hour=0, minute=0), NOW.replace(minute=0))

    assert wanted_interval(replace(DELAYS, sources=(WEATHER,)), SPANS, NOW) == today
    assert wanted_interval(DELAYS, future, NOW) == today


def test_what_is_covered_is_not_left_behind_by_a_source_whose_rows_begin_later_or_are_gone() -> None:
    covered = IntervalSet((Interval(MONDAY, MONDAY + DAY + HOUR),))
    later = {"flights": SourceSpan(1, NOW - DAY, NOW)}

    for spans in (later, {"flights": SourceSpan(0, None, None)}):
        assert wanted_interval(DELAYS, spans, NOW, covered=covered) == WHOLE.intervals[0]


def test_rows_are_estimated_by_the_share_of_a_sources_time() -> None:
    spans = {"flights": SourceSpan(100, MONDAY, MONDAY + 10 * DAY - TICK), "weather": SPANS["weather"]}
    both = replace(DELAYS, sources=(FLIGHTS, WEATHER))

    assert estimated_rows(both, IntervalSet((Interval(MONDAY, MONDAY + 3 * DAY),)), spans) == 30
    assert estimated_rows(both, IntervalSet((Interval(MONDAY - DAY, MONDAY + 50 * DAY),)), spans) == 100
    assert estimated_rows(both, IntervalSet(), spans) == 0


def test_days_whose_sources_changed_are_filled_again_even_where_nothing_is_wanted_any_more() -> None:
    earlier = Interval(MONDAY - 2 * DAY, MONDAY)
    filled = {DELAYS.table: WHOLE | IntervalSet((earlier,))}

    plan = build_plan(GRAPH, situation(covered=filled, outdated={DELAYS.table: IntervalSet((earlier,))}))

    assert [(stage.view, stage.missing) for stage in plan.stages if isinstance(stage, Backfill)] == [
        (DELAYS, IntervalSet((earlier,)))
    ]


WORST = replace(
    DELAYS, name="worst", fingerprint="2" * 64, sources=(), upstreams=(DELAYS,), every=None, delay=timedelta(minutes=10)
)
CHAINED = Graph(sources=(FLIGHTS,), views=(WORST, DELAYS))


def chained(**changes: Any) -> Situation:
    usual = {
        "applied": CHAINED,
        "covered": {DELAYS.table: WHOLE, WORST.table: WHOLE},
        "online": [],
        "dated": {WORST.table: ["delays"]},
    }
    return situation(**{**usual, **changes})


def fills(plan: Plan) -> list[tuple[str, IntervalSet]]:
    return [(stage.view.name, stage.missing) for stage in plan.stages if isinstance(stage, Backfill)]


def test_a_view_that_reads_another_is_filled_after_it_and_no_further() -> None:
    plan = build_plan(CHAINED, chained(applied=None, covered={}))

    assert fills(plan) == [("delays", WHOLE), ("worst", WHOLE)]
    assert build_plan(CHAINED, chained(covered={DELAYS.table: WHOLE, WORST.table: WHOLE})).nothing_to_do


def test_a_view_that_reads_another_with_no_rows_is_filled_with_nothing_as_that_one_is() -> None:
    empty = {"flights": SourceSpan(0, None, None), "weather": SourceSpan(0, None, None)}
    today = IntervalSet((Interval(NOW.replace(hour=0, minute=0), NOW.replace(minute=0)),))

    assert fills(build_plan(CHAINED, chained(covered={}, spans=empty))) == [("delays", today), ("worst", today)]


def test_a_view_that_reads_another_of_which_nothing_is_filled_waits_for_it() -> None:
    assert wanted_interval(WORST, {"delays": SourceSpan(0, None, None)}, NOW) is None


def test_days_that_are_filled_again_upstream_are_filled_again_below() -> None:
    tuesday = IntervalSet((Interval(MONDAY + DAY, MONDAY + DAY + HOUR),))
    outdated = {DELAYS.table: tuesday}

    plan = build_plan(CHAINED, chained(outdated=outdated))
    everything = build_plan(CHAINED, chained(outdated=outdated, dated={}))

    assert fills(plan) == [("delays", tuesday), ("worst", IntervalSet((Interval(MONDAY + DAY, MONDAY + 2 * DAY),)))]
    assert fills(everything) == [("delays", tuesday), ("worst", WHOLE)]


def test_a_change_says_which_views_that_are_read_change_too() -> None:
    upstream = replace(DELAYS, fingerprint="3" * 64)
    below = replace(WORST, fingerprint="4" * 64, upstreams=(upstream,))

    plan = build_plan(replace(CHAINED, views=(below, upstream)), chained())

    assert {change.what: change.because for change in plan.changes} == {
        "view:worst": ("view:delays",),
        "view:delays": (),
    }
