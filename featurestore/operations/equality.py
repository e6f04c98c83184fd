"""Equality of values to the bit; and where two are not equal, whether one is what a lossy conversion leaves of the
other. Pure: what that means for an answer is decided elsewhere."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from struct import Struct
from typing import Literal

_SINGLE = Struct("<f")
_UNICODE_FORMS: tuple[Literal["NFC", "NFD", "NFKC", "NFKD"], ...] = ("NFC", "NFD", "NFKC", "NFKD")
_UNITS = (("milliseconds", 1_000), ("seconds", 1_000_000))


def same_value(left: object, right: object) -> bool:
    """Equality to the bit: NaN is NaN, and 0.0 is not -0.0."""
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return left == right and math.copysign(1.0, left) == math.copysign(1.0, right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_value, left, right))
    return type(left) is type(right) and left == right


def lossy_conversion(exact: object, found: object) -> str | None:
    """The conversion that makes `found` of `exact`, in words; None where no conversion that is known to lose something
    does.

    >>> lossy_conversion(0.1, 0.10000000149011612)
    'rounded to 32 bits'
    >>> lossy_conversion(2**53 + 1, 2**53)
    'an integer that went through a float'
    >>> lossy_conversion(1.0, 2.0) is None
    True
    """
    if isinstance(exact, list) and isinstance(found, list):
        return _of_items(exact, found)
    return next((told for told, value in _conversions(exact) if same_value(value, found)), None)


def _of_items(exact: list[object], found: list[object]) -> str | None:
    if len(exact) != len(found):
        return None
    told = [
        lossy_conversion(item, other) for item, other in zip(exact, found, strict=True) if not same_value(item, other)
    ]
    return None if None in told or not told else told[0]


def _conversions(exact: object) -> Iterator[tuple[str, object]]:
    """What each conversion that loses something makes of a value."""
    match exact:
        case None:
            yield "a null that became NaN", math.nan
        case bool():
            return
        case float():
            yield from _of_float(exact)
        case int():
            yield from _of_integer(exact)
        case datetime():
            yield from _of_moment(exact)
        case Decimal():
            yield from _of_decimal(exact)
        case str():
            yield from _of_text(exact)
        case _:
            return


def _of_float(exact: float) -> Iterator[tuple[str, object]]:
    if not math.isfinite(exact):
        yield f"{exact} that became a null", None
        return
    yield "rounded to 32 bits", _single(exact)
    if exact == 0:
        yield "the sign of zero lost", -exact


def _of_integer(exact: int) -> Iterator[tuple[str, object]]:
    yield "an integer that went through a float", int(float(exact))
    yield "an integer that went through a float of 32 bits", int(_single(float(exact)))


def _of_moment(exact: datetime) -> Iterator[tuple[str, object]]:
    for unit, microseconds in _UNITS:
        yield f"cut to {unit}", exact.replace(microsecond=exact.microsecond // microseconds * microseconds)


def _of_decimal(exact: Decimal) -> Iterator[tuple[str, object]]:
    with suppress(ArithmeticError):  # more digits than the context has: no conversion of this kind
        yield "a decimal that went through a float", Decimal(repr(float(exact))).quantize(exact)
        yield "a decimal that went through a float", Decimal(float(exact)).quantize(exact)


def _of_text(exact: str) -> Iterator[tuple[str, object]]:
    for form in _UNICODE_FORMS:
        yield f"a text brought into Unicode's form {form}", unicodedata.normalize(form, exact)
    yield "a text that lost the spaces around it", exact.strip()
    yield "a text that was cut at a null character", exact.partition("\0")[0]
    yield "a text whose letters beyond ASCII were replaced", exact.encode("ascii", "replace").decode("ascii")
    yield "UTF-8 that was read as Latin-1", exact.encode("utf-8", "replace").decode("latin-1")


def _single(value: float) -> float:
    try:
        return float(_SINGLE.unpack(_SINGLE.pack(value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)
