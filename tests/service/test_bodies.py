"""What is taken for JSON, how much of it, and how little an error says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from featurestore.errors import EntityRowsError, InvalidRequest
from featurestore.operations.chosen_features import LONGEST_NAME, MOST_REFERENCES, FeatureChoice
from featurestore.service.bodies import MOST_CONTAINERS, MOST_ITEMS, MOST_LEVELS, strict_json
from featurestore.service.problems import MOST_PROBLEM_BYTES, problem
from featurestore.service.wire import MOST_FIELDS, MOST_TEXT, columns_of, rows_of
from tests.service.conftest import served


@pytest.fixture(scope="module")
def address(filled_folder: Path) -> Iterator[str]:
    with served(filled_folder) as found:
        yield found


def alternating(levels: int) -> bytes:
    """Lists and objects in each other, this many."""
    text = "1"
    for level in range(levels):
        text = f"[{text}]" if level % 2 else f'{{"a":{text}}}'
    return text.encode()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a": 1, "a": 2}', "an object has the name 'a' twice"),
        (b'[{"b": {"a": 1, "\\u0061": 1}}]', "an object has the name 'a' twice"),
        (b'{"a": Infinity}', "Infinity is not a JSON value"),
        (b"[1,]", "not JSON"),
        (b"", "not JSON"),
        (b"[1] 2", "not JSON"),
    ],
)
def test_what_readers_would_take_differently_is_not_taken(body: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        strict_json(body)


def test_a_body_may_be_as_deep_as_it_may_be_and_no_deeper() -> None:
    assert strict_json(alternating(MOST_LEVELS)) == json.loads(alternating(MOST_LEVELS))

    for levels in (MOST_LEVELS + 1, 500, 100_000):
        with pytest.raises(InvalidRequest, match=f"nested too deeply: {MOST_LEVELS} levels"):
            strict_json(alternating(levels))


def test_many_lists_beside_each_other_are_not_deep() -> None:
    assert len(strict_json(b"[" + b"[]," * 10_000 + b"{}]")) == 10_001


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[" + b"{}," * MOST_CONTAINERS + b"1]", f"250,001 objects and lists, and {MOST_CONTAINERS:,} is the most"),
        (b"[" + b"1," * (MOST_ITEMS + 1) + b"1]", f"1,000,001 values, and {MOST_ITEMS:,} is the most"),
    ],
)
def test_more_values_than_memory_has_room_for_are_not_parsed(body: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        strict_json(body)


def test_a_row_has_so_many_fields_and_no_more() -> None:
    row: dict[str, Any] = {f"f{number}": number for number in range(MOST_FIELDS)}
    assert rows_of([row]) == [row]

    with pytest.raises(EntityRowsError, match="Row 1 has 1,001 fields, and 1,000 is the most"):
        rows_of([row, row | {"one more": 1}])


def test_a_key_has_so_many_characters_and_no_more() -> None:
    assert rows_of([{"shop": "x" * MOST_TEXT}])

    with pytest.raises(EntityRowsError, match="Row 0: 'shop' has 65,537 characters, and 65,536 is the most"):
        rows_of([{"shop": "x" * (MOST_TEXT + 1)}])


@pytest.mark.parametrize("value", [b"1e400", b"-1e400", b"[1.5, 1e400]", b"1" + b"0" * 400 + b".5"])
def test_a_number_that_would_become_infinite_is_refused_and_infinity_is_not(value: bytes) -> None:
    [row] = rows_of(strict_json(b'[{"x": {"$float": "-Infinity"}, "y": [{"$float": "Infinity"}]}]'))
    assert row == {"x": -math.inf, "y": [math.inf]}

    rows = strict_json(b'[{"x": 1.5}, {"x": ' + value + b"}]")
    with pytest.raises(EntityRowsError, match="Row 1: 'x' is a number beyond every float"):
        rows_of(rows)
    with pytest.raises(EntityRowsError, match="Row 0: 'x' is a number beyond every float"):
        columns_of({"x": [rows[1]["x"]]})


def test_so_many_features_and_so_long_names_are_asked_for_and_no_more() -> None:
    FeatureChoice(features=("a:" + "b" * (LONGEST_NAME - 2),) * MOST_REFERENCES)

    with pytest.raises(InvalidRequest, match="100,000 features are asked for, and 2,000 is the most"):
        FeatureChoice(features=("a:b",) * 100_000)
    with pytest.raises(InvalidRequest, match="A name has 1,001 characters, and 1,000 is the most: 'xxx"):
        FeatureChoice(service="x" * (LONGEST_NAME + 1))


@pytest.mark.parametrize("character", ["x", "é", "\0", "😀", "\ud800", '"'])
def test_a_problem_is_small_whatever_it_quotes(character: str) -> None:
    answer = problem(404, "unknown_name", character * 1_000_000, {"name": character * 1_000_000})

    assert len(answer.body) < MOST_PROBLEM_BYTES
    assert json.loads(bytes(answer.body))["detail"].startswith(character * 100)


@pytest.mark.parametrize(
    "body",
    [
        {"service": "😀" * 500_000, "entities": []},
        {"features": ["\0" * 1000] * 2000, "entities": []},
        {"service": "shops_v1", "entities": [{"shop": "\u0001" * 60_000}]},
        {"service": "shops_v1", "entities": [{"\u0001" * 60_000: 1}]},
        {"service": "shops_v1", "entities": [{"shop": [[["x" * 100_000]]]}]},
        {"service": "shops_v1", "entities": ["é" * 10_000] * 1000},
        {"\u0001" * 100_000 + str(number): 1 for number in range(100)},
    ],
    ids=["service", "features", "key", "column", "list", "rows", "fields"],
)
def test_no_request_gets_its_own_megabytes_back(address: str, body: dict[str, Any]) -> None:
    response = httpx.post(f"{address}/v1/online", json=body)

    assert 400 <= response.status_code < 500
    assert len(response.content) < MOST_PROBLEM_BYTES
    assert response.headers["content-type"] == "application/problem+json"


def test_a_large_body_is_parsed_like_a_small_one(address: str) -> None:
    rows = [{"shop": "alma"}] * 9_999 + [{"shop": "nobody"}]

    response = httpx.post(
        f"{address}/v1/online", json={"features": ["shop_facts:score"], "entities": rows, "include": ["statuses"]}
    )
    refused = httpx.post(
        f"{address}/v1/online",
        content=json.dumps(rows)[:-2] + ',"shop":1}]',
        headers={"content-type": "application/json"},
    )

    assert response.json()["columns"][0]["statuses"][-2:] == ["present", "missing"]
    assert "has the name 'shop' twice" in refused.json()["detail"]
