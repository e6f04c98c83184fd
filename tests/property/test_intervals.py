"""Intervals obey the laws of sets, and time is cut the same way on both sides of 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from featurestore.intervals import DAY, EPOCH, Interval, IntervalSet, ceil_to, floor_to, split_days, whole_days
from tests.property.examples import examples

HOUR = timedelta(hours=1)
HOURS = range(-60, 60)
STEPS = st.sampled_from([timedelta(microseconds=1), timedelta(minutes=7), HOUR, 6 * HOUR, DAY])
MOMENTS = st.datetimes(datetime(1960, 1, 1), datetime(2040, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001
PIECES = st.tuples(st.integers(-60, 58), st.integers(1, 20)).map(
    lambda piece: Interval(EPOCH + piece[0] * HOUR, EPOCH + min(piece[0] + piece[1], 60) * HOUR)
)
SETS = st.lists(PIECES, max_size=6).map(IntervalSet.of)


def hours_in(intervals: IntervalSet) -> set[int]:
    """The same set as plain numbers: the hours that begin in it."""
    return {hour for hour in HOURS for piece in intervals if piece.start <= EPOCH + hour * HOUR < piece.end}


@examples(200)
@given(SETS, SETS)
def test_union_difference_and_intersection_are_those_of_sets(left: IntervalSet, right: IntervalSet) -> None:
    assert hours_in(left | right) == hours_in(left) | hours_in(right)
    assert hours_in(left - right) == hours_in(left) - hours_in(right)
    assert hours_in(left & right) == hours_in(left) & hours_in(right)


@examples(200)
@given(SETS, SETS)
def test_equal_sets_are_held_as_equal_intervals(left: IntervalSet, right: IntervalSet) -> None:
    assert left | right == right | left
    assert left & right == right & left
    assert (left - right) | (left & right) == left
    assert left - left == IntervalSet()


@examples(200)
@given(SETS, SETS)
def test_intervals_of_a_set_are_sorted_and_never_touch(left: IntervalSet, right: IntervalSet) -> None:
    for result in (left | right, left - right, left & right):
        assert all(one.end < next_one.start for one, next_one in pairwise(result))


@examples(100)
@given(SETS)
def test_the_duration_of_a_set_is_that_of_its_hours(intervals: IntervalSet) -> None:
    assert intervals.duration == len(hours_in(intervals)) * HOUR


@examples(200)
@given(MOMENTS, STEPS)
def test_floor_and_ceiling_are_the_nearest_multiples_since_the_epoch(moment: datetime, step: timedelta) -> None:
    floor, ceiling = floor_to(moment, step), ceil_to(moment, step)

    assert floor <= moment <= ceiling
    assert moment - floor < step
    assert ceiling - moment < step
    assert (floor - EPOCH) % step == (ceiling - EPOCH) % step == timedelta(0)


@examples(200)
@given(SETS, st.integers(-80, 80))
def test_whole_days_hold_the_days_of_what_they_were_made_of_but_nothing_later(
    intervals: IntervalSet, extra: int
) -> None:
    until = max([piece.end for piece in intervals], default=EPOCH) + max(extra, 0) * HOUR

    widened = whole_days(intervals, until=until)

    assert intervals - widened == IntervalSet()
    assert all(piece.start == floor_to(piece.start, DAY) for piece in widened)
    assert all(piece.end in (until, floor_to(piece.end, DAY)) for piece in widened)
    assert (widened - intervals).duration <= 2 * len(intervals.intervals) * DAY


@examples(200)
@given(MOMENTS, st.integers(1, 400), st.integers(1, 40))
def test_pieces_of_an_interval_are_whole_days_that_follow_each_other(start: datetime, hours: int, days: int) -> None:
    interval = Interval(start, start + hours * HOUR)

    pieces = split_days(interval, days)

    assert (pieces[0].start, pieces[-1].end) == (interval.start, interval.end)
    assert all(one.end == following.start for one, following in pairwise(pieces))
    assert all(piece.end == floor_to(piece.end, DAY) for piece in pieces[:-1])
    assert all(piece.end - piece.start <= days * DAY for piece in pieces)
