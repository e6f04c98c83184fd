"""`knownat status` tells people how late values were online, in units that can be read."""

from __future__ import annotations

import pytest

from sdk.cli.status import shown_duration


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0s"), (0.000001, "1s"), (59.2, "1m"), (61, "1m 1s"), (3599.5, "1h"), (3600, "1h"), (3661, "1h 2m"),
        (86_399, "1d"), (90_000, "1d 1h"), (90_001, "1d 2h"), (864_000, "10d"),
    ],
)  # fmt: skip
def test_a_duration_is_told_in_its_two_greatest_units_and_never_as_less_than_it_was(seconds: float, told: str) -> None:
    assert shown_duration(seconds) == told
