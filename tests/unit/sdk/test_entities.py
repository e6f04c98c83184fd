"""Entities as they are written on the command line."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import typer

from featurestore.spec.dtypes import Decimal, DType, Embedding, List
from sdk.cli.entities import column_types, parse_entity, read_entities, typed_entity


@pytest.mark.parametrize(
    ("text", "entity"),
    [
        ("tailnum=N123,origin=JFK", {"tailnum": "N123", "origin": "JFK"}),
        ("name=", {"name": ""}),
        ("a = b = c", {"a": " b = c"}),
        (r"name=Smith\, Ann,path=C:\\x", {"name": "Smith, Ann", "path": r"C:\x"}),
        ("name=日本", {"name": "日本"}),
    ],
)
def test_an_entity_is_columns_and_texts(text: str, entity: dict[str, str]) -> None:
    assert parse_entity(text) == entity


@pytest.mark.parametrize("text", ["", "tailnum", "=N123", "a=1,a=2", "a=1,", "a=1\\"])
def test_what_is_no_entity_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_entity(text)


@pytest.mark.parametrize(
    ("text", "dtype", "value"),
    [
        ("007", DType.STRING, "007"),
        ("007", DType.INT64, 7),
        ("", DType.STRING, ""),
        ("", DType.INT64, None),
        ("true", DType.BOOL, True),
        ("1e3", DType.FLOAT64, 1000.0),
        ("-inf", DType.FLOAT64, -math.inf),
        ("9007199254740993", DType.FLOAT64, 2**53 + 1),  # for the server to refuse
        ("2013-01-01", DType.DATE, "2013-01-01"),
        ("0.10", Decimal(4, 2), "0.10"),
        ('["a", null]', List(DType.STRING), ["a", None]),
        ("[1, 2.5]", Embedding(2), [1, 2.5]),
    ],
)
def test_a_text_becomes_a_value_of_its_column(text: str, dtype: DType, value: object) -> None:
    assert typed_entity({"key": text}, {"key": dtype}) == {"key": value}


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("x", DType.INT64),
        ("1.5", DType.INT64),
        ("1e400", DType.FLOAT64),
        ("[1e400]", List(DType.FLOAT64)),
        ("yes", DType.BOOL),
        ("1", List(DType.INT64)),
        ("[1", Embedding(1)),
    ],
)
def test_a_text_of_another_type_is_refused_by_name(text: str, dtype: DType) -> None:
    with pytest.raises(typer.BadParameter, match=re.escape(f"key={text} is no {dtype.value}")):
        typed_entity({"key": text}, {"key": dtype})


def test_a_service_says_what_its_columns_are() -> None:
    catalog = {
        "views": [{"keys": [{"name": "id", "dtype": "string"}]}],
        "on_demand": [{"inputs": [{"name": "basket", "dtype": "float64"}]}],
        "services": [{"name": "checkout", "inputs": [{"name": "id", "dtype": "int64"}]}],
    }

    assert column_types(catalog, "checkout") == {"id": DType.INT64, "basket": DType.FLOAT64}


@pytest.mark.parametrize("content", ["{", '"text"', "[1, 2]", '{"id": 7, "id": 8}', '{"id": 1e400}', "[" * 100_000])
def test_a_file_without_entities_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "entities.json"
    file.write_text(content)

    with pytest.raises(typer.BadParameter):
        read_entities(file)


def test_a_file_may_hold_one_entity(tmp_path: Path) -> None:
    file = tmp_path / "entities.json"
    file.write_text('{"id": 7}')

    assert read_entities(file) == [{"id": 7}]
