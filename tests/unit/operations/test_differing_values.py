"""Values differ to the bit, whatever their type, as `same_value` says of single ones."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.graph.arrow_types import arrow_type
from featurestore.operations.differing_values import differing
from featurestore.operations.equality import same_value
from featurestore.spec.dtypes import DType
from tests.property.every_type import TYPES, values
from tests.property.examples import examples

NAN = float("nan")


def differences(left: list[object], right: list[object], kind: pa.DataType) -> list[bool]:
    found: list[bool] = differing(pa.array(left, kind), pa.array(right, kind)).to_pylist()
    return found


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()], ids=str)
def test_nan_is_nan_and_a_zero_has_a_sign(kind: pa.DataType) -> None:
    left: list[object] = [NAN, 0.0, 0.0, NAN, None, 1.0]
    right: list[object] = [NAN, 0.0, -0.0, None, None, 2.0]

    assert differences(left, right, kind) == [False, False, True, True, False, True]


def test_lists_differ_by_length_item_and_null() -> None:
    left: list[object] = [[1.0, NAN], [1.0], [], None, [None], [0.0], [2.0, 3.0]]
    right: list[object] = [[1.0, NAN], [1.0, 1.0], None, None, [None], [-0.0], [2.0, 3.5]]

    assert differences(left, right, pa.list_(pa.float64())) == [False, True, True, False, False, True, True]


def test_nothing_is_nowhere_different() -> None:
    assert differences([], [], pa.list_(pa.float64())) == []


PAIRS = st.sampled_from(TYPES).flatmap(
    lambda dtype: st.tuples(
        st.just(dtype),
        st.lists(
            st.tuples(st.none() | values(dtype), st.none() | values(dtype))
            | (st.none() | values(dtype)).map(lambda v: (v, v)),
            max_size=8,
        ),
    )
)


@given(PAIRS)
@examples(150)
def test_columns_differ_where_their_values_do(pairs: tuple[DType, list[tuple[object, object]]]) -> None:
    dtype, both = pairs
    left, right = ([pair[side] for pair in both] for side in (0, 1))

    found = differences(left, right, arrow_type(dtype))

    assert found == [not same_value(one, other) for one, other in both]
