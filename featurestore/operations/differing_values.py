"""Where two columns of values differ, to the bit: nulls equal nulls, NaN equals NaN, and 0.0 is not -0.0."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.graph.arrow_types import is_list

_BITS = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}


def differing(left: pa.Array, right: pa.Array) -> pa.Array:
    """For each position of two arrays of one type and length, whether the values differ; never null.

    >>> differing(pa.array([1, None, 3]), pa.array([1, None, 4])).to_pylist()
    [False, False, True]
    """
    one_is_null = pc.xor(left.is_null(), right.is_null())
    none_is_null = pc.and_(left.is_valid(), right.is_valid())
    return pc.or_(one_is_null, pc.and_(none_is_null, pc.fill_null(_unequal(left, right), False)))


def _unequal(left: pa.Array, right: pa.Array) -> pa.Array:
    """Where one of the two is null, it may say anything."""
    kind = left.type
    if is_list(kind) or pa.types.is_fixed_size_list(kind):
        return _unequal_lists(left, right)
    if pa.types.is_floating(kind):
        bits = _BITS[kind.bit_width]
        both_nan = pc.and_(pc.is_nan(left), pc.is_nan(right))
        return pc.and_not(pc.not_equal(left.view(bits), right.view(bits)), both_nan)
    return pc.not_equal(left, right)


def _unequal_lists(left: pa.Array, right: pa.Array) -> pa.Array:
    """Lists of one length are compared item by item, all of them at once."""
    same_length = pc.fill_null(pc.equal(pc.list_value_length(left), pc.list_value_length(right)), False)
    places = pc.indices_nonzero(same_length)
    comparable = left.take(places)
    items = differing(pc.list_flatten(comparable), pc.list_flatten(right.take(places)))
    rows = pc.unique(pc.list_parent_indices(comparable).filter(items))
    unequal = places.take(rows)
    everywhere = pa.array(range(len(left)), places.type)
    return pc.or_(pc.invert(same_length), pc.is_in(everywhere, value_set=unequal))
