"""What the text of CSV fields says: values of a type, and which types a column's texts can be.

Inference is a rule over all texts of a column, whatever their order: the first type of a short list that every text is
written in. It never loses anything: `007`, numbers of more digits than a type holds, and mixtures stay text.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.graph.arrow_types import arrow_type
from featurestore.intervals import FIRST_MOMENT, LAST_MOMENT
from featurestore.spec.dtypes import DType

_MOMENT = arrow_type(DType.TIMESTAMP)
INFERRED = (DType.BOOL, DType.INT64, DType.FLOAT64, DType.DATE, DType.TIMESTAMP)
"""In the order in which they are preferred. What is none of them is text."""

_DAY = r"\d{4}-\d{2}-\d{2}"
_ZONE = r"(?:Z|[+-]\d{2}(?::?\d{2})?)"
_WRITTEN = {
    DType.BOOL: r"^(?i:true|false)$",
    DType.INT64: r"^-?(?:0|[1-9]\d*)$",
    DType.FLOAT64: r"^-?(?:(?:0|[1-9]\d{0,14})(?:\.\d+)?(?:[eE][+-]?\d+)?|(?i:nan|inf|infinity))$",
    DType.DATE: rf"^{_DAY}$",
    DType.TIMESTAMP: rf"^{_DAY}(?:[T ]\d{{2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?{_ZONE}?)?$",
}


class NotOfType(ValueError):
    """A text that is no value of the type: its position in the column, and itself."""

    def __init__(self, position: int, text: str) -> None:
        super().__init__(text)
        self.position, self.text = position, text


def values_of(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """The texts as values. Of what is not text itself, spaces around it and empty quotes are nothing. A timestamp
    without a zone is read as UTC, and one finer than microseconds is floored. Raises NotOfType for the first text that
    is no value."""
    if pa.types.is_string(kind):
        return texts
    plain = pc.utf8_trim_whitespace(texts)
    plain = pc.if_else(pc.equal(plain, ""), pa.scalar(None, pa.string()), plain)
    try:
        return _cast(plain, kind)
    except pa.ArrowInvalid as error:
        position = _first_refused(plain, kind)
        raise NotOfType(position, texts[position].as_py()) from error


def possible_types(texts: pa.Array, among: frozenset[DType]) -> frozenset[DType]:
    """Those of the types that every text is written in."""
    distinct = pc.unique(texts.drop_null())
    return frozenset(dtype for dtype in among if _all_written_as(distinct, dtype))


def preferred(possible: frozenset[DType], *, any_value: bool) -> DType:
    """The type that is inferred. A column without any value is text."""
    return next((dtype for dtype in INFERRED if dtype in possible and any_value), DType.STRING)


def _all_written_as(texts: pa.Array, dtype: DType) -> bool:
    if not pc.all(pc.match_substring_regex(texts, _WRITTEN[dtype]), min_count=0).as_py():
        return False
    try:
        values_of(texts, arrow_type(dtype))
    except NotOfType:
        return False
    return True


def _cast(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Raises ArrowInvalid for what Arrow refuses, and for what it takes for another value: too large a number for an
    infinite one, and the year 0 for one that others can be told."""
    values = _moments(texts, kind) if pa.types.is_timestamp(kind) else texts.cast(kind)
    if pa.types.is_floating(kind):
        if pc.any(pc.and_(pc.is_inf(values), pc.invert(pc.match_substring_regex(texts, "(?i)inf")))).as_py():
            raise pa.ArrowInvalid("a number is too large for its type")
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        first, last = (pa.scalar(edge, _MOMENT).cast(kind, safe=False) for edge in (FIRST_MOMENT, LAST_MOMENT))
        if pc.any(pc.or_(pc.less(values, first), pc.greater(values, last))).as_py():
            raise pa.ArrowInvalid("a moment is in no year from 1 to 9999")
    return values


def _moments(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    texts = pc.replace_substring_regex(texts, rf"^({_DAY})$", r"\1T00:00")
    texts = pc.replace_substring_regex(texts, r"(\.\d{6})\d+", r"\1")
    zoned = pc.match_substring_regex(texts, rf":\d{{2}}(?:\.\d+)?{_ZONE}$")
    return pc.if_else(zoned, texts, pc.binary_join_element_wise(texts, "Z", "")).cast(kind)


def _first_refused(texts: pa.Array, kind: pa.DataType) -> int:
    """The position of the first text that can not be cast: the end of the longest prefix that can."""
    good, bad = 0, len(texts)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            _cast(texts.slice(good, middle - good), kind)
        except pa.ArrowInvalid:
            bad = middle
        else:
            good = middle
    return good
