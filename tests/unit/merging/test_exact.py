"""128-bit totals are those of Python's integers, and their doubles those of Python's fractions."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from featurestore.merging.exact import Totals, scatter, variance
from featurestore.merging.keys import Column, Integers

STORED = pa.decimal128(38, 0)
MOST_STORED = 10**38 - 1
EDGES = (
    0, 1, -1, 2**52, 2**53, 2**53 + 1, -(2**53) - 1, 2**54 + 2, 2**54 + 6, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64,
    -(2**64), 2**64 + 1, -(2**64) - 1, 2**100 + 2**47, 2**100 + 2**46, 2**100 + 2**46 + 1, MOST_STORED, -MOST_STORED,
)  # fmt: skip


def array(values: list[int]) -> Integers:
    return np.array(values, np.int64)


def totals(values: list[int]) -> Totals:
    return Totals.of(pa.array([Decimal(value) for value in values], STORED))


def as_python(values: Totals) -> list[int]:
    return [high * 2**64 + low for high, low in zip(values.high.tolist(), values.low.tolist(), strict=True)]


def drawn(chance: random.Random, most: int = MOST_STORED) -> int:
    """A number of any length, or an edge."""
    number = chance.choice((chance.choice(EDGES), chance.getrandbits(chance.randrange(1, 126))))
    return chance.choice((1, -1)) * min(abs(number), most)


@pytest.mark.parametrize("seed", range(10))
def test_totals_add_up_take_away_and_run(seed: int) -> None:
    chance = random.Random(seed)
    left = [drawn(chance, 2**123) for _ in range(8)]
    right = [drawn(chance, 2**123) for _ in range(8)]

    assert as_python(totals(left)) == left
    assert as_python(totals(left) + totals(right)) == [a + b for a, b in zip(left, right, strict=True)]
    assert as_python(totals(left) - totals(right)) == [a - b for a, b in zip(left, right, strict=True)]
    assert as_python(totals(left).running()) == [sum(left[:end]) for end in range(9)]
    assert as_python(totals(left).take(array([3, 3, 0]))) == [left[3], left[3], left[0]]


@pytest.mark.parametrize("seed", range(10))
def test_each_group_has_its_total(seed: int) -> None:
    chance = random.Random(seed)
    groups = sorted(chance.randrange(6) for _ in range(12))
    values = [drawn(chance, 2**120) for _ in groups]

    found = as_python(scatter(totals(values), array(groups), 7))

    assert found == [sum(v for v, own in zip(values, groups, strict=True) if own == group) for group in range(7)]


@pytest.mark.parametrize("seed", range(10))
def test_a_total_becomes_the_nearest_double(seed: int) -> None:
    chance = random.Random(seed)
    values = [*EDGES, *(drawn(chance) for _ in range(500))]

    assert totals(values).doubles().tolist() == [float(value) for value in values]


def test_limbs_are_digits_of_16_bits() -> None:
    limbs = totals(list(EDGES)).limbs()

    assert [sum(int(limbs[n, at]) << (16 * n) for n in range(8)) for at in range(len(EDGES))] == list(EDGES)


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (pa.array([1, None, -3], pa.int8()), [1, 0, -3]),
        (pa.array([2**63 - 1, -(2**63)]), [2**63 - 1, -(2**63)]),
        (pa.array([None, None], STORED), [0, 0]),
        (pa.array([], STORED), []),
        (pa.array([], pa.int64()), []),
        (pa.chunked_array([], STORED), []),
        (pa.chunked_array([[Decimal(5)], [None, Decimal(-7)]], STORED), [5, 0, -7]),
        (pa.array([Decimal(1), Decimal(2), None, Decimal(-MOST_STORED)], STORED)[1:], [2, 0, -MOST_STORED]),
    ],
)
def test_columns_are_read_whatever_their_chunks_offsets_and_nulls(column: Column, wanted: list[int]) -> None:
    assert as_python(Totals.of(column)) == wanted


def test_a_total_that_does_not_fit_64_bits_is_refused() -> None:
    assert totals([2**63 - 1, -(2**63)]).integers().tolist() == [2**63 - 1, -(2**63)]
    for value in (2**63, -(2**63) - 1, 2**64, MOST_STORED):
        with pytest.raises(OverflowError, match="does not fit 64 bits"):
            totals([0, value]).integers()


SHIFTS = (192, 144, 96, 48, 0)


def parts_of_square(value: int) -> list[int]:
    """A square in five parts, as tiles hold it."""
    a, b, c = value >> 96, value >> 48 & (2**48 - 1), value & (2**48 - 1)
    return [a * a, 2 * a * b, 2 * a * c + b * b, 2 * b * c, c * c]


def nearest_spread(values: list[int], scale: int) -> float:
    """The sample variance, its numerator rounded once."""
    count = len(values)
    spread = count * sum(value * value for value in values) - sum(values) ** 2
    return math.ldexp(float(spread) / float(count * (count - 1)), -2 * scale)


@pytest.mark.parametrize("scale", [0, 60])
@pytest.mark.parametrize("seed", range(10))
def test_the_variance_is_exact_however_close_together_the_values_are(seed: int, scale: int) -> None:
    chance = random.Random(seed)
    sets = []
    for _ in range(30):
        offset = drawn(chance, 2**120)
        spread = chance.choice((1, 3, 2**20, 2**60, 2**115))
        sets.append([offset + chance.randrange(-spread, spread + 1) for _ in range(chance.randrange(2, 9))])
    sets.append([5, 5, 5])
    squares = [[sum(parts_of_square(value)[part] for value in some) for some in sets] for part in range(5)]

    found = variance(
        array([len(some) for some in sets]),
        totals([sum(some) for some in sets]),
        [totals(part) for part in squares],
        SHIFTS,
        scale,
    )

    assert found.tolist() == [nearest_spread(some, scale) for some in sets]


def test_halves_are_rounded_to_even_also_where_only_the_last_digit_decides() -> None:
    for low in (0, 1, 2**11, 2**11 - 1, 2**11 + 1):
        value = (2**53 + 1) * 2**64 + low  # between two doubles; the lowest digits decide
        assert totals([value]).doubles()[0] == float(Fraction(value))


@pytest.mark.parametrize("rest", [0, 1])
def test_digits_far_below_128_bits_decide_a_half(rest: int) -> None:
    total_of_squares = (2**53 + 1) * 2**192 + rest
    squares = [totals([part]) for part in (2**53 + 1, 0, 0, 0, rest)]

    found = variance(array([2]), totals([0]), squares, SHIFTS, 0)

    assert found[0] == float(2 * total_of_squares) / 2
