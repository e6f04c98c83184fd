"""Spans of entries are sets of them, told by their ends."""

from __future__ import annotations

import random

import pytest

from featurestore.ports.entries import EntryId, EntrySpans, Gap, Span


def entry(number: int) -> EntryId:
    return EntryId(number, 0)


def spans(*ends: tuple[int, int]) -> EntrySpans:
    return EntrySpans.of(Span(entry(first), entry(last)) for first, last in ends)


def test_ids_are_ordered_as_numbers() -> None:
    texts = ["2-0", "10-0", "10-9", "10-10", "18446744073709551615-18446744073709551615"]

    assert [str(one) for one in sorted(map(EntryId.parse, reversed(texts)))] == texts


@pytest.mark.parametrize("text", ["", "1", "1-", "-1-0", "1-0 ", "a-b", "1-0-0", "1" * 21 + "-0"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the id of an entry"):
        EntryId.parse(text)


def test_a_span_that_goes_back_is_refused() -> None:
    with pytest.raises(ValueError, match="from 2-0 to 1-0"):
        Span(entry(2), entry(1))


def test_spans_that_overlap_are_one_and_others_stay_apart() -> None:
    assert spans((7, 9), (1, 3), (3, 5), (8, 8)) == spans((1, 5), (7, 9))


def test_a_gap_in_which_nothing_is_joins_its_sides() -> None:
    taken = spans((1, 2), (4, 5), (7, 7))

    assert taken.gaps == (Gap(entry(2), entry(4)), Gap(entry(5), entry(7)))
    assert taken.without([taken.gaps[1]]) == spans((1, 2), (4, 7))


def test_the_last_entry_of_nothing_is_before_all() -> None:
    assert EntrySpans().last < entry(0).__class__(0, 1)
    assert spans((1, 2), (4, 5)).last == entry(5)


def test_spans_hold_what_a_set_of_their_entries_holds() -> None:
    chance = random.Random(0)
    for _ in range(300):
        ends = [(first, first + chance.randint(0, 5)) for first in chance.choices(range(40), k=chance.randint(0, 6))]
        held = {number for first, last in ends for number in range(first, last + 1)}
        half = len(ends) // 2

        both = spans(*ends[:half]) | spans(*ends[half:])

        assert {number for number in range(50) if entry(number) in both} == held
        assert all(one.last < other.first for one, other in zip(both.spans, both.spans[1:], strict=False))
