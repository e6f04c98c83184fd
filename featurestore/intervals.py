"""Half-open time intervals `[start, end)` and sets of them. Pure arithmetic; knows nothing of views or tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST_MOMENT = datetime(1, 1, 1, tzinfo=UTC)
LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
"""No moment of ours is outside of them: Python, JSON and SQL end there."""
END_OF_TIME = LAST_MOMENT
"""After every moment that a row is taken to have happened at."""


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """`[start, end)` in UTC. Both ends are zone-aware and `start < end`."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.utcoffset() != timedelta(0) or self.end.utcoffset() != timedelta(0):
            raise ValueError(f"an interval is in UTC, got [{self.start}, {self.end})")
        if not self.start < self.end:
            raise ValueError(f"an interval starts before it ends, got [{self.start}, {self.end})")

    def __str__(self) -> str:
        """For people. An interval that ends just after a moment is shown as one that holds it."""
        if self.end.microsecond == 1:
            return f"[{show_moment(self.start)}, {show_moment(self.end - timedelta(microseconds=1))}]"
        return f"[{show_moment(self.start)}, {show_moment(self.end)})"


@dataclass(frozen=True, slots=True)
class IntervalSet:
    """A set of moments, held as sorted intervals that neither touch nor overlap."""

    intervals: tuple[Interval, ...] = ()

    @classmethod
    def of(cls, intervals: Iterable[Interval]) -> IntervalSet:
        merged: list[Interval] = []
        for interval in sorted(intervals):
            if merged and interval.start <= merged[-1].end:
                merged[-1] = Interval(merged[-1].start, max(merged[-1].end, interval.end))
            else:
                merged.append(interval)
        return cls(tuple(merged))

    def __or__(self, other: IntervalSet) -> IntervalSet:
        return IntervalSet.of((*self.intervals, *other.intervals))

    def __sub__(self, other: IntervalSet) -> IntervalSet:
        remaining = list(self.intervals)
        for hole in other.intervals:
            remaining = [piece for interval in remaining for piece in _without(interval, hole)]
        return IntervalSet(tuple(remaining))

    def __and__(self, other: IntervalSet) -> IntervalSet:
        return self - (self - other)

    def __iter__(self) -> Iterator[Interval]:
        return iter(self.intervals)

    def __bool__(self) -> bool:
        return bool(self.intervals)

    @property
    def duration(self) -> timedelta:
        return sum((interval.end - interval.start for interval in self.intervals), timedelta(0))


def floor_to(moment: datetime, step: timedelta) -> datetime:
    """The greatest multiple of `step` since the Unix epoch that is not after `moment`."""
    return EPOCH + (moment - EPOCH) // step * step


def ceil_to(moment: datetime, step: timedelta) -> datetime:
    """The smallest multiple of `step` since the Unix epoch that is not before `moment`."""
    return EPOCH - (EPOCH - moment) // step * step


def days_of(first: datetime, last: datetime) -> Interval:
    """The whole UTC days from that of `first` to that of `last`; the last day there is lacks its last microsecond."""
    day = floor_to(last, DAY)
    return Interval(floor_to(first, DAY), day + DAY if day <= LAST_MOMENT - DAY else LAST_MOMENT)


def whole_days(intervals: IntervalSet, *, until: datetime) -> IntervalSet:
    """`intervals` widened to whole UTC days, but not past `until`: the unit in which tables are replaced."""
    return IntervalSet.of(
        Interval(floor_to(piece.start, DAY), min(ceil_to(piece.end, DAY), until)) for piece in intervals
    )


def split_days(interval: Interval, days: int) -> tuple[Interval, ...]:
    """`interval` cut at UTC midnights into pieces of at most `days` days."""
    pieces, start = [], interval.start
    while start < interval.end:
        end = min(floor_to(start, DAY) + days * DAY, interval.end)
        pieces.append(Interval(start, end))
        start = end
    return tuple(pieces)


def show_moment(moment: datetime) -> str:
    """A moment for people: ISO 8601 with `Z`, seconds only where there are any."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")
    if moment.microsecond:
        text += f":{moment.second:02d}.{moment.microsecond:06d}"
    elif moment.second:
        text += f":{moment.second:02d}"
    return text + "Z"


def _without(interval: Interval, hole: Interval) -> Iterator[Interval]:
    if hole.end <= interval.start or interval.end <= hole.start:
        yield interval
        return
    if interval.start < hole.start:
        yield Interval(interval.start, hole.start)
    if hole.end < interval.end:
        yield Interval(hole.end, interval.end)
