"""Values as people read them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sdk.cli.output import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "true"),
        (12_345, "12,345"),
        (Decimal("0E-10"), "0.0000000000"),
        ([1234, None, Decimal("0.10"), "a", True], "[1234, -, 0.10, a, true]"),
        ([0.5] * 384, "[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, … 384 items]"),
    ],
)
def test_a_value_is_shown_as_people_write_it(value: object, text: str) -> None:
    assert shown(value) == text
