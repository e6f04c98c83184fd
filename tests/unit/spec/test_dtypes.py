"""Types: made of their arguments, told by their text, and never changed."""

from __future__ import annotations

import copy
import pickle

import pytest

from featurestore.errors import InvalidDeclaration
from featurestore.spec.dtypes import MOST_ITEMS, SCALARS, Decimal, DType, Embedding, Int64, List, String
from featurestore.spec.entity import Entity
from tests.typed_project import COLUMNS

EVERY_TYPE = [*SCALARS, *COLUMNS.values(), Decimal(1), Decimal(38, 38), Embedding(MOST_ITEMS)]


@pytest.mark.parametrize("dtype", EVERY_TYPE, ids=str)
def test_a_type_is_told_by_its_text(dtype: DType) -> None:
    assert DType.parse(dtype.value) == dtype
    assert hash(DType.parse(dtype.value)) == hash(dtype)


@pytest.mark.parametrize("dtype", SCALARS, ids=str)
def test_there_is_one_object_of_each_scalar(dtype: DType) -> None:
    assert DType.parse(dtype.value) is dtype
    assert copy.deepcopy(dtype) is dtype
    assert pickle.loads(pickle.dumps(dtype)) is dtype  # noqa: S301 - written one line above


def test_types_with_other_arguments_are_other_types() -> None:
    assert len({Decimal(5, 2), Decimal(5, 1), Decimal(6, 2), List(Int64), List(String), Embedding(5), Int64}) == 7
    assert Decimal(5) == Decimal(5, 0)


@pytest.mark.parametrize(
    "text",
    [
        "", "integer", "decimal", "decimal(0, 0)", "decimal(39, 0)", "decimal(4, 5)", "decimal(4,2)", "decimal(4, -1)",
        "list", "list()", "list(list(int64))", "list(embedding(3))", "embedding(0)", "embedding(99999)", "int64 ",
    ],
)  # fmt: skip
def test_another_text_is_no_type(text: str) -> None:
    with pytest.raises(ValueError, match="is not a type"):
        DType.parse(text)


@pytest.mark.parametrize("arguments", [(0,), (39,), (4, 5), (4, -1), (True,), (4.0,), ("4",), (4, False), (4, None)])
def test_a_decimal_has_1_to_38_digits(arguments: tuple[int, int]) -> None:
    with pytest.raises(InvalidDeclaration, match=r"a decimal has 1 to 38 digits, .* got Decimal\("):
        Decimal(*arguments)


@pytest.mark.parametrize("item", [List(Int64), Embedding(3), int, None, "int64"], ids=repr)
def test_a_list_is_of_scalars_or_decimals(item: DType) -> None:
    with pytest.raises(InvalidDeclaration, match=r"a list is made of scalars or decimals, .* got List\("):
        List(item)


@pytest.mark.parametrize("size", [0, -1, True, 3.0, "3", None, MOST_ITEMS + 1])
def test_an_embedding_has_at_least_one_item(size: int) -> None:
    with pytest.raises(InvalidDeclaration, match=r"an embedding has 1 to 65536 items, .* got Embedding\("):
        Embedding(size)


def test_a_type_can_not_be_changed() -> None:
    with pytest.raises(AttributeError, match="a type can not be changed"):
        Int64.precision = 3


@pytest.mark.parametrize("dtype", [Decimal(18), List(String), Embedding(3), DType.FLOAT32], ids=str)
def test_what_is_not_compared_safely_is_no_key(dtype: DType) -> None:
    with pytest.raises(InvalidDeclaration, match=r"can not be of type .*: keys are compared for equality"):
        Entity("thing", join_keys={"id": dtype})
