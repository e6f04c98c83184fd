"""What fits what: a column of a frame or a spine as a column of one of our types, value for value, or why not.

Whatever comes as Arrow is read by this: pushed frames, spines' keys and request inputs, moments. Values that come one
by one are read by `entity_rows.typed_value`, by the same rule: a value is taken if it is of the same kind and exactly
the same value afterwards. Three things change by nature, and are no loss: a float becomes the nearest one of its type,
unless that is infinite; a moment's nanoseconds are floored; and a moment without a zone is in UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import assert_never

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.graph.arrow_types import ITEM, arrow_type, is_list
from featurestore.graph.microseconds import floored
from featurestore.intervals import FIRST_MOMENT, LAST_MOMENT
from featurestore.spec.dtypes import DType, Kind

_ANY_INTEGER = pa.decimal128(20, 0)
_MOMENT = arrow_type(DType.TIMESTAMP)
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Misfit:
    """What keeps a column from being of a type, as the end of a sentence that begins with the column."""

    told: str


class _Unfit(pa.ArrowInvalid):  # type: ignore[misc]  # pyarrow has no types
    """Arrow would take it: the reason is ours, and worth telling."""


def misfit(values: pa.ChunkedArray, dtype: DType) -> Misfit | None:
    """Why the column's values are none of the type, with the first such row; None if all of them are."""
    if not _is_same_kind(values.type, dtype):
        return Misfit(f"is {values.type}, and {dtype.value} is needed: convert it")
    return _first_misfit(values, f"does not fit {dtype.value}", lambda part: converted(part, dtype))


def moment_misfit(values: pa.ChunkedArray) -> Misfit | None:
    """As `misfit`, for a column that says when something happens: days are moments, too."""
    return _first_misfit(values, "holds a moment outside of the years 1 to 9999", _moments)


def converted(values: pa.ChunkedArray, dtype: DType) -> pa.ChunkedArray:
    """The values in the type's Arrow type. Raises ArrowException where they do not fit."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_null(values.type):
        return values.cast(arrow_type(dtype))
    return _converted(values, dtype)


def as_moments(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Any timestamps or dates as UTC with microseconds: naive ones are read as UTC, nanoseconds are floored."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        # In UTC before anything is computed: a zone that nobody knows, or an hour that it has twice, changes nothing.
        values = floored(values.cast(pa.timestamp(kind.unit, tz="UTC")))
    return values.cast(_MOMENT)


def _converted(  # noqa: PLR0911 - one answer for each kind
    values: pa.ChunkedArray, dtype: DType
) -> pa.ChunkedArray:
    kind = arrow_type(dtype)
    match dtype.kind:
        case Kind.STRING:
            values.validate(full=True)  # bytes that are no text in UTF-8 can be in a column of texts
            return values.cast(kind)
        case Kind.BOOL | Kind.INT8 | Kind.INT16 | Kind.INT32 | Kind.INT64:
            return values.cast(kind, safe=True)
        case Kind.FLOAT32 | Kind.FLOAT64:
            return _floats(values, kind)
        case Kind.DATE:
            return _dates(values)
        case Kind.TIMESTAMP:
            return _moments(values)
        case Kind.DECIMAL:
            # Room for each value, where Arrow asks for room for every integer.
            return (values.cast(_ANY_INTEGER) if pa.types.is_integer(values.type) else values).cast(kind, safe=True)
        case Kind.LIST:
            assert dtype.item is not None  # noqa: S101 - a list has items
            return _lists(values, dtype.item)
        case Kind.EMBEDDING:
            return _embeddings(values, kind)
        case _:
            assert_never(dtype.kind)


def _floats(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Integers exactly, floats as the nearest of their type."""
    if pa.types.is_integer(values.type):
        return _exact_floats(values, kind)
    found = values.cast(kind)
    is_narrower = kind == pa.float32() and values.type == pa.float64()
    if is_narrower and pc.any(pc.and_(pc.is_inf(found), pc.is_finite(values))).as_py():
        raise _Unfit("the type has no such number")
    return found


def _exact_floats(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Arrow takes integers up to 2^53 (2^24) alone; beyond, there and back shows which of the others are floats."""
    try:
        return values.cast(kind, safe=True)
    except pa.ArrowInvalid:
        found = values.cast(kind, safe=False)
        limit = 2.0 ** (63 if pa.types.is_signed_integer(values.type) else 64)
        back = found.cast(values.type, safe=False)
        if not pc.all(pc.and_(pc.equal(back, values), pc.less(found, pa.scalar(limit, kind)))).as_py():
            raise
        return found


def _dates(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days, and moments at which a day begins where they are told: frames of pandas have no days of their own."""
    _moments(values)  # sees to the years, which a cast to days does not
    days = values.cast(pa.date32())
    if pa.types.is_timestamp(values.type):
        told = values if values.type.tz is None else pc.local_timestamp(values)
        if not days.cast(told.type).equals(told):
            raise _Unfit("a date has no time of day")
    return days


def _moments(values: pa.ChunkedArray) -> pa.ChunkedArray:
    moments = as_moments(values)
    found = pc.min_max(moments)
    first, last = (pa.scalar(edge, _MOMENT).value for edge in (FIRST_MOMENT, LAST_MOMENT))
    if found["min"].is_valid and not first <= found["min"].value <= found["max"].value <= last:
        raise pa.ArrowInvalid("a moment is outside of the years 1 to 9999")
    return moments


def _lists(values: pa.ChunkedArray, item: DType) -> pa.ChunkedArray:
    kind = pa.list_(pa.field(ITEM, arrow_type(item)))
    return pa.chunked_array([_list(chunk, item, kind) for chunk in values.chunks], kind)


def _list(values: pa.Array, item: DType, kind: pa.DataType) -> pa.Array:
    """The same lists of converted items; null lists have none."""
    items = converted(pa.chunked_array([pc.list_flatten(values)]), item)
    lengths = pc.fill_null(pc.list_value_length(values), 0).cast(pa.int64())
    ends = pc.cumulative_sum(lengths).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    nulls = pc.is_null(values) if values.null_count else None
    return pa.ListArray.from_arrays(offsets, _one_array(items), type=kind, mask=nulls)


def _embeddings(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    found = _lists(values, DType.FLOAT32).cast(kind)
    if pc.list_flatten(found).null_count:
        raise _Unfit("an embedding has no null items")
    return found


def _one_array(values: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)


def _first_misfit(
    values: pa.ChunkedArray, what: str, convert: Callable[[pa.ChunkedArray], pa.ChunkedArray]
) -> Misfit | None:
    """By halves, so that a column that fits is converted once, and one that does not about twice."""
    if _error(values, convert) is None:
        return None
    first, end = 0, len(values)
    while end - first > 1:
        middle = (first + end) // 2
        if _error(values.slice(first, middle - first), convert) is None:
            first = middle
        else:
            end = middle
    error = _error(values.slice(first, 1), convert)
    if error is None:
        return Misfit(f"{what}: it has too much in one piece, give it in several chunks")
    reason = f", and {error}" if isinstance(error, _Unfit) else ""
    return Misfit(f"{what}: row {first} has {_shown(values[first])}{reason}")


def _error(values: pa.ChunkedArray, convert: Callable[[pa.ChunkedArray], pa.ChunkedArray]) -> pa.ArrowException | None:
    try:
        convert(values)
    except pa.ArrowException as error:
        return error
    return None


def _shown(value: pa.Scalar) -> str:
    try:
        plain = value.as_py()
        shown = plain.isoformat() if isinstance(plain, date) else repr(plain)
    except (ValueError, OverflowError):  # Python has no such text, and no such moment
        number = getattr(value, "value", None)
        shown = f"{number} ({value.type})" if isinstance(number, int) else f"a {value.type} that is none"
    return shown[:_SHOWN]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_same_kind(found: pa.DataType, dtype: DType) -> bool:  # noqa: C901, PLR0911 - one answer for each kind
    """Whether values of the type may be values of ours without a guess. Text is never a number, nor is a bool."""
    if pa.types.is_null(found):
        return True
    if pa.types.is_dictionary(found):
        return not pa.types.is_dictionary(found.value_type) and _is_same_kind(found.value_type, dtype)
    match dtype.kind:
        case Kind.INT8 | Kind.INT16 | Kind.INT32 | Kind.INT64:
            return bool(pa.types.is_integer(found))
        case Kind.FLOAT32 | Kind.FLOAT64:
            return bool(pa.types.is_integer(found) or pa.types.is_floating(found))
        case Kind.STRING:
            return _is_text(found)
        case Kind.TIMESTAMP:
            return bool(pa.types.is_timestamp(found))
        case Kind.DATE:
            return bool(pa.types.is_date(found) or pa.types.is_timestamp(found))
        case Kind.BOOL:
            return bool(pa.types.is_boolean(found))
        case Kind.DECIMAL:
            return bool(pa.types.is_integer(found) or pa.types.is_decimal(found))
        case Kind.LIST:
            assert dtype.item is not None  # noqa: S101 - a list has items
            has_items = is_list(found) or pa.types.is_fixed_size_list(found)
            return has_items and _is_same_kind(found.value_type, dtype.item)
        case Kind.EMBEDDING:
            may_have_size = is_list(found) or (pa.types.is_fixed_size_list(found) and found.list_size == dtype.size)
            return may_have_size and _is_same_kind(found.value_type, DType.FLOAT32)
        case _:
            assert_never(dtype.kind)
