"""Which cause is told where several could be: the one whose evidence leaves less doubt."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from featurestore.operations.causes import Answered, Cause, RowEvidence, ValueCompared, remedy, verdict
from featurestore.operations.stored_rows import UnreadableRow
from featurestore.ports.online_store import OnlineRow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
STORED = OnlineRow(NOON - HOUR, NOON - HOUR, (0.5,))
ROW = RowEvidence(STORED, NOON, expected=(0.7,))
VALUE = ValueCompared(0.5, Answered.PRESENT, 0)
MISSING = ValueCompared(None, Answered.MISSING, 0)


def cause(row: RowEvidence, value: ValueCompared = VALUE) -> Cause:
    return verdict(value, row).cause


def test_what_nothing_explains_was_tampered_with() -> None:
    assert cause(ROW) is Cause.TAMPERED
    assert cause(replace(ROW, stored=None), MISSING) is Cause.TAMPERED
    assert "never" in verdict(VALUE, replace(ROW, expected=(None,))).evidence


def test_a_value_that_was_right_when_it_was_copied_is_late_although_it_is_an_older_row() -> None:
    assert cause(replace(ROW, as_copied=(0.5,), own_moment=NOON - HOUR)) is Cause.LATE_ROW


def test_a_row_that_was_wrong_already_when_it_was_copied_is_stale() -> None:
    assert cause(replace(ROW, as_copied=(0.7,), own_moment=NOON - HOUR)) is Cause.STALE_MATERIALIZATION


def test_a_store_marked_beyond_what_was_copied_is_stale_before_anything_is_late() -> None:
    row = replace(ROW, stored=None, as_copied=(None,), as_recorded=(None,), recorded_to=NOON - HOUR)

    assert cause(row, MISSING) is Cause.STALE_MATERIALIZATION
    assert cause(replace(row, as_recorded=(0.7,)), MISSING) is Cause.LATE_ROW


def test_a_definition_explains_all_that_can_be_read() -> None:
    assert cause(replace(ROW, other_table="view@12345678", as_copied=(0.5,))) is Cause.CHANGED_DEFINITION


def test_a_row_that_can_not_be_read_is_an_encoding() -> None:
    garbled = replace(ROW, stored=UnreadableRow("no row"))

    assert cause(garbled, ValueCompared(None, Answered.UNREADABLE, 0)) is Cause.ENCODING


def test_a_row_whose_time_is_over_in_the_store_has_expired() -> None:
    assert cause(replace(ROW, stored=None, expired_under=HOUR), MISSING) is Cause.EXPIRED
    assert cause(ROW, ValueCompared(None, Answered.EXPIRED, 0)) is Cause.EXPIRED
    assert cause(replace(ROW, expected=(None,), without_ttl=(0.5,))) is Cause.EXPIRED


def test_a_rounded_value_is_an_encoding_and_one_of_a_refilled_table_is_late_only_if_nothing_else_fits() -> None:
    rounded = replace(ROW, expected=(0.1,), refilled=True)

    assert cause(rounded, ValueCompared(0.10000000149011612, Answered.PRESENT, 0)) is Cause.ENCODING
    assert cause(rounded) is cause(replace(rounded, own_moment=NOON - HOUR)) is Cause.LATE_ROW


@pytest.mark.parametrize("one", Cause)
def test_every_cause_has_a_remedy_that_names_the_view(one: Cause) -> None:
    assert "knownat materialize weather" in remedy(one, "weather")
