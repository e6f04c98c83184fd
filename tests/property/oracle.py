"""What the answers must be, in plain Python that can be checked by eye: "When is something known?" of
docs/architecture.md.

Nothing here is fast, and nothing here knows how the store computes. Rows are `Row`s; moments are aware datetimes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOTHING = timedelta(0)
FRACTION = 2**60
"""Floating-point inputs of sums are rounded to this fraction of one (docs/decisions: exact sums)."""


@dataclass(frozen=True)
class Row:
    """One row of a view: its key, when it happened, when it could be known, and its values by name."""

    key: tuple[object, ...]
    event: datetime
    known: datetime
    values: dict[str, object]


def newest(
    rows: Sequence[Row],
    key: tuple[object, ...],
    moment: datetime,
    *,
    ttl: timedelta | None = None,
    publish_delay: timedelta = NOTHING,
) -> Row | None:
    """The row that answers for `key` at `moment`: the newest of those that had happened, were known and still live."""
    candidates = [
        row
        for row in rows
        if row.key == key
        and None not in key
        and row.known + publish_delay <= moment
        and row.event <= moment
        and (ttl is None or row.event > moment - ttl)
    ]
    return max(candidates, key=lambda row: (row.event, row.known, tie_order(row.values)), default=None)


def in_window(
    rows: Sequence[Row],
    key: tuple[object, ...],
    moment: datetime,
    *,
    every: timedelta,
    window: timedelta,
    last: datetime,
    publish_delay: timedelta = NOTHING,
) -> list[Row]:
    """The events that count for `key` at `moment`: those of the window before the last boundary, if known by then.
    Nothing is said of boundaries after `last`: there the values stay as they are."""
    boundary = min(EPOCH + (moment - publish_delay - EPOCH) // every * every, last)
    return [
        row
        for row in rows
        if row.key == key and None not in key and boundary - window <= row.event < boundary and row.known <= boundary
    ]


def aggregate(function: str, values: Sequence[object]) -> object:
    """An aggregate of the values that are not null."""
    present = [value for value in values if value is not None]
    if function == "count":
        return len(present)
    if not present:
        return None
    if function == "sum":
        return _total(present)
    if function == "mean":
        return float(_total(present)) / len(present)
    ordered = sorted(present, key=rank)
    extreme = ordered[0] if function == "min" else ordered[-1]
    return 0.0 if extreme == 0 and isinstance(extreme, float) else extreme


def tie_order(values: dict[str, object]) -> tuple[object, ...]:
    """Among rows of one key, event and known timestamp: the greater values win, by the order of their names."""
    ordered = [values[name] for name in sorted(values)]
    positive_zeros = [math.copysign(1.0, value) > 0 for value in ordered if isinstance(value, float)]
    return (*(rank(value) for value in ordered), *positive_zeros)


def rank(value: object) -> tuple[int, object]:
    """Null is less than anything, NaN greater than any number, and -0.0 is 0.0."""
    if value is None:
        return (0, 0)
    return (2, 0) if isinstance(value, float) and math.isnan(value) else (1, value)


def _total(present: Sequence[object]) -> float | int:
    if not any(isinstance(value, float) for value in present):
        return sum(int(value) for value in present if isinstance(value, int))
    numbers = [float(value) for value in present if isinstance(value, float)]
    special = [value for value in numbers if not math.isfinite(value)]
    return sum(special) if special else float(sum((_rounded(value) for value in numbers), Fraction(0)))


def _rounded(value: float) -> Fraction:
    """To the nearest multiple of 1/FRACTION, halves away from zero."""
    scaled = abs(Fraction(value)) * FRACTION
    whole = math.floor(scaled + Fraction(1, 2))
    return Fraction(whole if value > 0 else -whole, FRACTION)


def same(left: object, right: object) -> bool:
    """Equal to the bit and of one type: NaN is NaN, and 0.0 is not -0.0."""
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return left == right and math.copysign(1.0, left) == math.copysign(1.0, right)
    return type(left) is type(right) and left == right
