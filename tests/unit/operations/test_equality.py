"""Values are equal to the bit, or one is what a known conversion leaves of the other, or neither."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from struct import pack, unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.operations.equality import lossy_conversion, same_value

NOON = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
BIG = 2**53 + 1


def single(value: float) -> float:
    [rounded] = unpack("<f", pack("<f", value))
    return float(rounded)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (math.nan, math.nan, True),
        (0.0, -0.0, False),
        (1, 1.0, False),
        (1, True, False),
        ([1.0, math.nan], [1.0, math.nan], True),
        ([1.0], [1.0, 2.0], False),
        (None, None, True),
        ("é", "e\u0301", False),
    ],
)
def test_values_are_the_same_to_the_bit_or_not_at_all(left: object, right: object, same: bool) -> None:
    assert same_value(left, right) is same


@pytest.mark.parametrize(
    ("exact", "found", "told"),
    [
        (0.1, single(0.1), "32 bits"),
        (1e300, math.inf, "32 bits"),
        (0.0, -0.0, "sign of zero"),
        (math.nan, None, "became a null"),
        (-math.inf, None, "became a null"),
        (None, math.nan, "became NaN"),
        (BIG, BIG - 1, "went through a float"),
        (16_777_217, 16_777_216, "float of 32 bits"),
        (NOON, NOON.replace(microsecond=123_000), "milliseconds"),
        (NOON, NOON.replace(microsecond=0), "seconds"),
        (Decimal("12345678901234567.89"), Decimal("12345678901234568.00"), "decimal"),
        ("e\u0301", "é", "NFC"),
        ("é", unicodedata.normalize("NFD", "é"), "NFD"),
        (" Łódź ", "Łódź", "spaces"),
        ("a\0b", "a", "null character"),
        ("Łódź", "?\u00f3d?".replace("\u00f3", "?"), "beyond ASCII"),
        ("é", "Ã©", "Latin-1"),
        ([0.5, 0.1], [0.5, single(0.1)], "32 bits"),
    ],
)
def test_what_a_conversion_left_is_recognized(exact: object, found: object, told: str) -> None:
    assert told in (lossy_conversion(exact, found) or "")


@pytest.mark.parametrize(
    ("exact", "found"),
    [
        (1.5, 1.0),
        (7, 8),
        (None, 0.0),
        (0.0, None),
        (True, False),
        ("a", "b"),
        (NOON, NOON.replace(minute=1)),
        (Decimal("1.50"), Decimal("1.51")),
        ([0.1, 1.0], [single(0.1), 2.0]),
        ([0.1], [single(0.1), 1.0]),
    ],
)
def test_what_no_conversion_leaves_is_not_taken_for_one(exact: object, found: object) -> None:
    assert lossy_conversion(exact, found) is None


@given(st.one_of(st.floats(), st.integers(-(2**63), 2**63 - 1), st.text(), st.decimals(-(10**9), 10**9, places=2)))
def test_any_value_can_be_asked_about(value: object) -> None:
    assert same_value(value, value)
    assert lossy_conversion(value, object()) is None
