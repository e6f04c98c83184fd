"""What a fill remembers of its sources, and which of its days are out of date when they are compared with it later.

A part (a file, a partition) of a source whose rows stay on their event day touches the days of its span, the old one
and the new one. A part of any other source, such as a table that is joined, touches everything. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from featurestore.compiler.event_days import dated_sources
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import Interval, IntervalSet, days_of
from featurestore.ports.source_reader import SourcePart, SourceSnapshot
from featurestore.ports.state import FilledPart, Holding


@dataclass(frozen=True, slots=True)
class PartChange:
    """A part that is not what it was: `before` is None for a new one, `after` for one that is gone."""

    before: FilledPart | None
    after: FilledPart | None

    @property
    def source(self) -> str:
        part = self.after if self.before is None else self.before
        assert part is not None  # noqa: S101 - nothing that became nothing is no change
        return part.source

    @property
    def is_growth(self) -> bool:
        """Whether only rows have come, as far as spans and counts tell: in a part of its own, or in one that holds more
        rows than before and still reaches as far on both sides."""
        before, after = self.before, self.after
        if after is None or after.first is None or after.last is None:
            return False
        if before is None:
            return True
        if before.first is None or before.last is None:
            return False
        return after.rows > before.rows and after.first <= before.first and before.last <= after.last

    def touched(self, inside: Interval) -> IntervalSet:
        """The whole days, as far as they lie inside, that its old or its new span touches."""
        spans = [_days(part) for part in (self.before, self.after) if part is not None and touches(part, inside)]
        if any(span is None for span in spans):
            return IntervalSet((inside,))
        return IntervalSet.of(span for span in spans if span is not None) & IntervalSet((inside,))


def parts_seen(view: ResolvedView, snapshots: Iterable[SourceSnapshot]) -> tuple[FilledPart, ...]:
    """Every part of the view's sources that has rows."""
    dated = dated_sources(view)
    return tuple(part for one in snapshots for part in _parts(one, is_dated=one.source in dated))


def parts_within(parts: Iterable[FilledPart], interval: Interval) -> tuple[FilledPart, ...]:
    """The parts that could have a row in the interval."""
    return tuple(part for part in parts if touches(part, interval))


def touches(part: FilledPart, interval: Interval) -> bool:
    if part.first is None or part.last is None:
        return True
    return part.first < interval.end and interval.start <= part.last


def part_changes(holding: Holding, now: Sequence[FilledPart]) -> tuple[PartChange, ...]:
    """What changed, since the held piece was filled, of what could have a row in it. The fill remembers its parts."""
    before = {(part.source, part.name): part for part in parts_within(holding.fill.parts or (), holding.interval)}
    after = {(part.source, part.name): part for part in parts_within(now, holding.interval)}
    names = dict.fromkeys((*before, *after))
    changes = (PartChange(before.get(name), after.get(name)) for name in names)
    return tuple(change for change in changes if _version(change.before) != _version(change.after))


def _parts(snapshot: SourceSnapshot, *, is_dated: bool) -> Iterator[FilledPart]:
    """A source whose rows do not stay on their day counts as one part, which touches every day."""
    if not is_dated:
        yield FilledPart(snapshot.source, "", snapshot.version, snapshot.rows, None, None)
        return
    whole = SourcePart("", snapshot.version, snapshot.rows, snapshot.first, snapshot.last)
    for part in snapshot.parts or (whole,):
        if part.rows:
            yield FilledPart(snapshot.source, part.name, part.version, part.rows, part.first, part.last)


def _days(part: FilledPart) -> Interval | None:
    if part.first is None or part.last is None:
        return None
    return days_of(part.first, part.last)


def _version(part: FilledPart | None) -> str | None:
    return None if part is None else part.version
