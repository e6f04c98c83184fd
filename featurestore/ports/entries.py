"""Entries of a stream, and which of them have been taken: pure values.

A stream gives its entries ids that only grow, so nothing ever comes between two entries that are neighbors now. Runs of
neighbors are therefore told by their ends alone, and all that was ever taken of a stream stays a handful of spans.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

_ID = re.compile(r"(\d{1,20})-(\d{1,20})")


@dataclass(frozen=True, slots=True, order=True)
class EntryId:
    """Which entry of a stream: when it was added, by the stream's own clock, and its number within that millisecond."""

    milliseconds: int
    sequence: int

    @classmethod
    def parse(cls, text: str) -> EntryId:
        """Raises ValueError.

        >>> EntryId.parse("1700000000000-3") < EntryId.parse("1700000000000-12")
        True
        """
        found = _ID.fullmatch(text)
        if found is None:
            raise ValueError(f"{text[:80]!r} is not the id of an entry")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.sequence}"


BEFORE_ALL = EntryId(0, 0)
"""No entry has this id."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its fields and their values as whoever added it wrote them."""

    id: EntryId
    fields: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """All entries from `first` to `last`, both included."""

    first: EntryId
    last: EntryId

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"a span goes from {self.first} to {self.last}, which is before it")

    @classmethod
    def of(cls, one: EntryId) -> Span:
        return cls(one, one)


@dataclass(frozen=True, slots=True)
class Gap:
    """What is between two entries, which are not part of it."""

    after: EntryId
    before: EntryId


@dataclass(frozen=True, slots=True)
class EntrySpans:
    """A set of entries, as spans in their order that do not touch. Build it with `of`."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, spans: Iterable[Span]) -> EntrySpans:
        """Spans in any order, which may overlap."""
        merged: list[Span] = []
        for span in sorted(spans):
            if merged and span.first <= merged[-1].last:
                merged[-1] = Span(merged[-1].first, max(merged[-1].last, span.last))
            else:
                merged.append(span)
        return cls(tuple(merged))

    def __contains__(self, entry: EntryId) -> bool:
        return any(span.first <= entry <= span.last for span in self.spans)

    def __or__(self, other: EntrySpans) -> EntrySpans:
        return EntrySpans.of((*self.spans, *other.spans))

    @property
    def last(self) -> EntryId:
        return self.spans[-1].last if self.spans else BEFORE_ALL

    @property
    def gaps(self) -> tuple[Gap, ...]:
        return tuple(Gap(one.last, other.first) for one, other in pairwise(self.spans))

    def without(self, gaps: Iterable[Gap]) -> EntrySpans:
        """The same entries, where nothing is in these gaps: the spans on both sides become one."""
        return EntrySpans.of((*self.spans, *(Span(gap.after, gap.before) for gap in gaps)))


NO_ENTRIES = EntrySpans()
