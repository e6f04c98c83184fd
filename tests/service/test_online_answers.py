"""The shapes in which POST /v1/online takes entities and gives answers, from a running server."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pyarrow as pa

from featurestore.service import online

ALMA = {
    "include": ["statuses", "event_timestamps"],
    "service": "shops_v1",
    "entities": [{"shop": "alma", "basket": 1.0}],
}


def ask(address: str, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> httpx.Response:
    response = httpx.post(f"{address}/v1/online", json=dict(body), headers=headers)
    assert response.status_code == 200, response.text
    return response


def test_an_answer_says_no_more_than_was_asked_for(address: str) -> None:
    column = ask(address, ALMA | {"include": []}).json()["columns"][0]
    with_statuses = ask(address, ALMA | {"include": ["statuses"]}).json()["columns"][0]

    assert column.keys() == {"name", "reference", "dtype", "fingerprint", "values"}
    assert with_statuses.keys() - column.keys() == {"statuses"}


def test_an_answer_by_rows_has_what_the_one_by_columns_has(address: str) -> None:
    entities = [{"shop": shop, "basket": 1.0} for shop in ("alma", "nobody", None)]

    by_columns, by_rows = (
        ask(address, ALMA | {"entities": entities, "layout": layout}).json() for layout in ("columns", "rows")
    )

    online.OnlineRowsBody.model_validate(by_rows, strict=True, extra="forbid")
    for row, entity in enumerate(by_rows["entities"]):
        for what in ("values", "statuses", "event_timestamps"):
            assert entity[what] == {column["name"]: column[what][row] for column in by_columns["columns"]}


def test_entities_by_columns_are_the_same_as_by_rows(address: str) -> None:
    rows = ask(address, ALMA).json()
    columns = ask(address, ALMA | {"entities": {"shop": ["alma"], "basket": [1.0]}}).json()

    assert columns == rows


def test_an_answer_can_be_an_arrow_stream(address: str) -> None:
    headers = {"accept": "application/vnd.apache.arrow.stream"}

    response = ask(address, ALMA, headers)

    with pa.ipc.open_stream(response.content) as stream:
        table = stream.read_all()
    assert response.headers["content-type"] == headers["accept"]
    assert table["shop_facts__visitors"].to_pylist() == [2**53 + 1]
    assert table["shop_facts__visitors__status"].to_pylist() == ["present"]
    assert table["shop_facts__visitors__event_timestamp"].type == pa.timestamp("us", tz="UTC")
