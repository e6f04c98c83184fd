"""Exact arithmetic on arrays: 128-bit totals, and the doubles nearest to them.

Sums of features are integers (docs/decisions/0004-exact-sums.md), so that merging in any order gives the same total;
the step to a floating-point number comes last, once, and is correctly rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from featurestore.merging.keys import Column, Integers

Words: TypeAlias = npt.NDArray[np.uint64]
Doubles: TypeAlias = npt.NDArray[np.float64]

_WORD = 64
_LIMB = 16
_DIGITS_END = 10**38 >> _WORD
"""The upper word of the least number of 39 digits: what is near it is refused with it."""
_LIMB_MASK = (1 << _LIMB) - 1


@dataclass(frozen=True, slots=True)
class Totals:
    """Signed 128-bit integers, in two words each."""

    high: Integers
    low: Words

    @classmethod
    def of(cls, column: Column) -> Totals:
        """A column of integers, or the digits of decimals; nulls as 0."""
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
        if not pa.types.is_decimal128(array.type):
            return cls.of_integers(np.asarray(array.fill_null(0).cast(pa.int64())))
        if array.null_count:
            array = array.fill_null(pa.scalar(0, array.type))
        words = np.frombuffer(array.buffers()[1], np.int64, 2 * len(array), 16 * array.offset).reshape(-1, 2)
        return cls(words[:, 1], words[:, 0].view(np.uint64))

    @classmethod
    def of_integers(cls, values: Integers) -> Totals:
        return cls(values >> (_WORD - 1), values.view(np.uint64))

    def __len__(self) -> int:
        return len(self.low)

    def __add__(self, other: Totals) -> Totals:
        low = self.low + other.low
        return Totals(self.high + other.high + (low < self.low), low)

    def __sub__(self, other: Totals) -> Totals:
        return Totals(self.high - other.high - (self.low < other.low), self.low - other.low)

    def take(self, places: Integers) -> Totals:
        return Totals(self.high[places], self.low[places])

    def running(self) -> Totals:
        """The totals before each element, and after the last: one more than there are elements."""
        low = np.zeros(len(self) + 1, np.uint64)
        np.cumsum(self.low, out=low[1:])
        carries = np.zeros(len(self) + 1, np.int64)
        np.cumsum(low[1:] < low[:-1], out=carries[1:])
        carries[1:] += np.cumsum(self.high)
        return Totals(carries, low)

    @property
    def always_fit(self) -> bool:
        """Whether any of these add up to less than 128 bits, by the greatest of them."""
        greatest = max(int(self.high.max(initial=0)), -int(self.high.min(initial=0))) + 1
        return greatest * len(self) < 1 << (_WORD - 1)

    def halves(self) -> tuple[Totals, Totals]:
        """The high words and the low words, each as totals: their sums tell a sum that does not fit 128 bits."""
        return Totals.of_integers(self.high), Totals(np.zeros_like(self.high), self.low)

    def integers(self) -> Integers:
        """As 64-bit integers. Raises OverflowError where one does not fit."""
        values = self.low.view(np.int64)
        if (self.high != values >> (_WORD - 1)).any():
            raise OverflowError("a total does not fit 64 bits")
        return values

    def doubles(self) -> Doubles:
        """The nearest doubles, halves to even."""
        negative = self.high < 0
        high = np.where(negative, ~self.high, self.high).view(np.uint64)
        low = np.where(negative, ~self.low + np.uint64(1), self.low)
        high = high + (negative & (low == 0))
        magnitude = _nearest(high, low, np.zeros(len(low), bool))
        return np.where(negative, -magnitude, magnitude)

    def decimals(self, scale: int) -> pa.Array:
        """As decimals of 38 digits, `scale` of them after the point. Raises OverflowError where one has more digits."""
        magnitude = self.high ^ (self.high >> (_WORD - 1))
        if (magnitude >= _DIGITS_END).any():
            raise OverflowError("a total does not fit 38 digits")
        words = np.empty((len(self), 2), np.int64)
        words[:, 0], words[:, 1] = self.low.view(np.int64), self.high
        return pa.Array.from_buffers(pa.decimal128(38, scale), len(self), [None, pa.py_buffer(words)])

    def limbs(self) -> Integers:
        """Eight digits of 16 bits for each, the least first; the last one carries the sign."""
        digits = [(self.low >> np.uint64(_LIMB * n)) & np.uint64(_LIMB_MASK) for n in range(4)]
        upper = [(self.high >> (_LIMB * n)) & _LIMB_MASK for n in range(3)]
        return np.stack([*(digit.view(np.int64) for digit in digits), *upper, self.high >> (3 * _LIMB)])


def scatter(values: Totals, groups: Integers, count: int) -> Totals:
    """The total of each group. `groups` ascend."""
    running = values.running()
    bounds = np.searchsorted(groups, np.arange(count + 1))
    return running.take(bounds[1:]) - running.take(bounds[:-1])


def variance(count: Integers, total: Totals, squares: Sequence[Totals], shifts: Sequence[int], scale: int) -> Doubles:
    """The sample variance of `count` integers times 2**-scale, from their exact total and the exact total of their
    squares, which is given in parts: part i counts 2**shifts[i] times (a multiple of 16).

    `n * sum(x^2) - sum(x)^2` is exact; it is rounded once, and divided once by `n * (n - 1)`.
    """
    width = 2 * 8 + 10
    digits = np.zeros((width, len(count)), np.int64)
    for part, shift in zip(squares, shifts, strict=True):
        at = shift // _LIMB
        digits[at : at + 8] += part.limbs()
    digits = _carried(digits) * count
    own = _carried_sign(total)
    for left in range(8):
        for right in range(8):
            digits[left + right] -= own[left] * own[right]
    spread = _rounded(_carried(digits))
    pairs = count.astype(np.float64) * (count - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.ldexp(spread / pairs, -2 * scale)


def _carried_sign(total: Totals) -> Integers:
    """The limbs of the magnitude: a square does not depend on the sign."""
    negative = total.high < 0
    zero = Totals.of_integers(np.zeros(len(total), np.int64))
    positive = zero - total
    high = np.where(negative, positive.high, total.high)
    low = np.where(negative, positive.low, total.low)
    return Totals(high, low).limbs()


def _carried(digits: Integers) -> Integers:
    """The same numbers with digits from 0 to 65535, but for the last, which keeps the sign."""
    digits = digits.copy()
    for n in range(len(digits) - 1):
        digits[n + 1] += digits[n] >> _LIMB
        digits[n] &= _LIMB_MASK
    return digits


def _rounded(digits: Integers) -> Doubles:
    """The doubles nearest to numbers that are not negative, given as carried digits."""
    width, count = digits.shape
    filled = digits != 0
    top = width - 1 - np.argmax(filled[::-1], axis=0)
    padded = np.concatenate([np.zeros((8, count), np.int64), digits]).view(np.uint64)
    columns = np.arange(count)
    words = [padded[top + 8 - n, columns] for n in range(8)]
    high = words[0] << np.uint64(48) | words[1] << np.uint64(32) | words[2] << np.uint64(16) | words[3]
    low = words[4] << np.uint64(48) | words[5] << np.uint64(32) | words[6] << np.uint64(16) | words[7]
    below = np.cumsum(filled, axis=0)
    rest = np.where(top > 7, below[np.maximum(top - 8, 0), columns] > 0, False)
    rounded: Doubles = np.ldexp(_nearest(high, low, rest), _LIMB * (top - 7))
    return rounded


def _nearest(high: Words, low: Words, rest: npt.NDArray[np.bool_]) -> Doubles:
    """The doubles nearest to high * 2**64 + low, halves to even; `rest` says that something smaller is left out."""
    shift = (_WORD - _bit_length(high)).astype(np.uint64)
    joined = np.where(
        shift == 0,
        high,
        (high << (shift % np.uint64(_WORD))) | (low >> ((np.uint64(_WORD) - shift) % np.uint64(_WORD))),
    )
    lost = np.where(shift == 0, low, low << (shift % np.uint64(_WORD)))
    # The last of 64 digits can say that something was cut off: a double keeps 53, so it never decides by itself.
    joined = joined | ((lost != 0) | rest).astype(np.uint64)
    wide = np.ldexp(joined.astype(np.float64), _WORD - shift.astype(np.int64))
    small = (low | rest.astype(np.uint64)).astype(np.float64)
    return np.where(high == 0, small, wide)


def _bit_length(words: Words) -> Integers:
    """How many digits each word has."""
    length = np.zeros(len(words), np.int64)
    left = words.copy()
    for step in (32, 16, 8, 4, 2, 1):
        bigger = left >= np.uint64(1 << step)
        length += np.where(bigger, step, 0)
        left = np.where(bigger, left >> np.uint64(step), left)
    return length + (left > 0)
