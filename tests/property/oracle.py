"""What the answers must be, in plain Python that can be checked by eye: "When is something known?" of
docs/architecture.md.

Nothing here is fast, and nothing here knows how the store computes. Rows are `Row`s; moments are aware datetimes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache

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
    window: timedelta | None,
    last: datetime,
    publish_delay: timedelta = NOTHING,
) -> list[Row]:
    """The events that count for `key` at `moment`: those of the window before the last boundary, if known by then.
    Nothing is said of boundaries after `last`: there the values stay as they are."""
    boundary = min(EPOCH + (moment - publish_delay - EPOCH) // every * every, last)
    return [
        row
        for row in rows
        if row.key == key
        and None not in key
        and (window is None or boundary - window <= row.event)
        and row.event < boundary
        and row.known <= boundary
    ]


def in_order(rows: Sequence[Row], column: str) -> list[object]:
    """A column's values by event timestamp, then known timestamp, then value; of two zeros -0.0 comes first."""

    def place(row: Row) -> tuple[object, ...]:
        value = row.values[column]
        return row.event, row.known, rank(value), not (isinstance(value, float) and math.copysign(1.0, value) < 0)

    return [row.values[column] for row in sorted(rows, key=place)]


def aggregate(function: str, values: Sequence[object]) -> object:
    """An aggregate of the values that are not null, which come in their order."""
    present = [value for value in values if value is not None]
    if function == "count":
        return len(present)
    if function == "count_distinct":
        return len({rank(value) for value in present})
    return _of_some(function, present) if present else None


def _of_some(function: str, present: Sequence[object]) -> object:
    ordered = sorted(present, key=rank)
    extremes = {"min": ordered[0], "max": ordered[-1]}
    if function in extremes:
        extreme = extremes[function]
        return 0.0 if extreme == 0 and isinstance(extreme, float) else extreme
    if function in ("first", "last"):
        return present[0 if function == "first" else -1]
    if function in ("var", "std"):
        variance = _variance(present)
        return variance if variance is None or function == "var" else math.sqrt(variance)
    if isinstance(present[0], Decimal):
        return _of_decimals(function, [value for value in present if isinstance(value, Decimal)])
    return _total(present) if function == "sum" else float(_total(present)) / len(present)


def _of_decimals(function: str, present: Sequence[Decimal]) -> Decimal | float:
    """A sum of decimals is exact; their mean is that of their digits, divided once."""
    total, units = sum(present, Decimal(0)), 10 ** -int(present[0].as_tuple().exponent)
    return total if function == "sum" else float(int(total * units)) / (len(present) * float(units))


def last_of(values: Sequence[object], count: int) -> list[object] | None:
    """The last few of the values that are not null, which come in their order."""
    present = [value for value in values if value is not None]
    return present[-count:] or None


def percentile_of(values: Sequence[object], percent: float) -> float | None:
    """Between the two nearest values, in proportion to where the percentile lies between them."""
    numbers = sorted((float(value) for value in values if isinstance(value, int | float)), key=rank)
    if not numbers:
        return None
    place = (len(numbers) - 1) * (percent / 100)
    lower = math.floor(place)
    low, high = numbers[lower], numbers[min(lower + 1, len(numbers) - 1)]
    return (low if low == high or place == lower else low + (high - low) * (place - lower)) + 0.0


def _variance(present: Sequence[object]) -> float | None:
    """The sample variance: exact over integers, or over floats rounded as sums round them; rounded once at the end."""
    numbers = [value for value in present if isinstance(value, int | float)]
    count = len(numbers)
    if count < 2:
        return None
    if not all(math.isfinite(value) for value in numbers):
        return math.nan
    floats = any(isinstance(value, float) for value in numbers)
    whole = [int(_rounded(value) * FRACTION) if floats else int(value) for value in numbers]
    spread = count * sum(value * value for value in whole) - sum(whole) ** 2
    return math.ldexp(float(spread) / float(count * (count - 1)), -120 if floats else 0)


def tie_order(values: dict[str, object]) -> tuple[object, ...]:
    """Among rows of one key, event and known timestamp: the greater values win, by the order of their names."""
    ordered = [values[name] for name in sorted(values)]
    positive_zeros = [math.copysign(1.0, value) > 0 for value in ordered if isinstance(value, float)]
    return (*(rank(value) for value in ordered), *positive_zeros)


def rank(value: object) -> tuple[int, object]:
    """Null is less than anything, NaN greater than any number, and -0.0 is 0.0. Lists are compared item by item, where
    null is greater than anything."""
    if value is None:
        return (0, 0)
    if isinstance(value, list):
        return (1, [(3, 0) if item is None else rank(item) for item in value])
    return (2, 0) if isinstance(value, float) and math.isnan(value) else (1, value)


def _total(present: Sequence[object]) -> float | int:
    if not any(isinstance(value, float) for value in present):
        return sum(int(value) for value in present if isinstance(value, int))
    numbers = [float(value) for value in present if isinstance(value, float)]
    special = [value for value in numbers if not math.isfinite(value)]
    return sum(special) if special else float(sum((_rounded(value) for value in numbers), Fraction(0)))


@cache
def _rounded(value: float) -> Fraction:
    """To the nearest multiple of 1/FRACTION, halves away from zero."""
    scaled = abs(Fraction(value)) * FRACTION
    whole = math.floor(scaled + Fraction(1, 2))
    return Fraction(whole if value > 0 else -whole, FRACTION)


def same(left: object, right: object) -> bool:
    """Equal to the bit and of one type: NaN is NaN, and 0.0 is not -0.0."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return left == right and math.copysign(1.0, left) == math.copysign(1.0, right)
    return type(left) is type(right) and left == right
