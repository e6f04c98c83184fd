"""What the service promises over HTTP itself: statuses, problems, bounds on requests, health, its own description."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from fastapi import FastAPI

from featurestore import errors
from featurestore.adapters.memory_online import MemoryOnlineStore
from featurestore.adapters.threaded_reader import ThreadedReader
from featurestore.errors import KnownatError, StoreUnavailable
from featurestore.service import catalog, datasets, online
from featurestore.service.app import create_app as create_feature_app
from featurestore.service.bodies import Limits
from featurestore.service.problems import ProblemBody
from featurestore.service.served import LoopReaders
from featurestore.wiring import served_features
from registry import errors as registry_errors
from registry.service.app import STATUSES, create_app
from registry.service.served import ServedProject
from registry.wiring import WiredProject, served_project
from registry.wiring import open_project as wire_folder
from sdk import entities, requests
from tests.service.conftest import served

ALMA = {
    "include": ["statuses", "event_timestamps"],
    "service": "shops_v1",
    "entities": [{"shop": "alma", "basket": 1.0}],
}


@pytest.fixture(scope="module")
def wired(filled_folder: Path) -> Iterator[WiredProject]:
    """A project that these tests only read."""
    project = wire_folder(filled_folder)
    yield project
    project.close()


@pytest.fixture(scope="module")
def app(wired: WiredProject) -> FastAPI:
    return create_app(served_project(wired))


def send(app: FastAPI, method: str, path: str, **request: Any) -> httpx.Response:
    async def sent() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://knownat") as client:
            return await client.request(method, path, **request)

    return asyncio.run(sent())


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem a response holds, when it is a whole one."""
    content: dict[str, Any] = response.json()
    assert (response.status_code, content["code"], content["status"]) == (status, code, status), content
    assert response.headers["content-type"] == "application/problem+json"
    assert content.keys() == {"type", "title", "status", "code", "detail", "details"}
    return content


@pytest.mark.parametrize("module", [errors, registry_errors], ids=["featurestore", "registry"])
def test_every_error_has_a_status(module: Any) -> None:
    classes = [found for found in vars(module).values() if isinstance(found, type) and issubclass(found, KnownatError)]

    assert [found.__name__ for found in classes if found not in STATUSES] == []


def test_an_answer_is_column_by_column_with_names_types_and_fingerprints(app: FastAPI) -> None:
    answer = send(app, "POST", "/v1/online", json=ALMA).json()

    column = next(column for column in answer["columns"] if column["name"] == "shop_facts__visitors")
    assert answer["rows"] == 1
    assert answer["at"] == "2024-03-10T00:00:00Z"
    assert (column["reference"], column["dtype"], len(column["fingerprint"])) == ("shop_facts:visitors", "int64", 64)
    assert (column["values"], column["statuses"]) == ([2**53 + 1], ["present"])
    assert column["event_timestamps"] == ["2024-03-05T00:00:00Z"]


def test_what_json_does_not_know_is_spelled_out_in_both_directions(app: FastAPI) -> None:
    rows = [{"shop": "ботик", "basket": "NaN"}, {"shop": "café 東京", "basket": {"$float": "-Infinity"}}]

    response = send(app, "POST", "/v1/online", json={"features": ["shop_facts:score"], "entities": rows})

    values = response.json()["columns"][0]["values"]
    assert values == ["NaN", "-Infinity"]
    assert json.loads(response.text, parse_constant=pytest.fail)


def test_an_error_is_a_problem_with_its_code_and_details(app: FastAPI) -> None:
    response = send(app, "POST", "/v1/online", json=ALMA | {"service": "shop_v1"})

    told = problem(response, 404, "unknown_name")
    assert told["details"] == {"kind": "feature service", "name": "shop_v1", "closest": ["shops_v1"]}
    assert told["detail"].startswith("There is no feature service 'shop_v1'.")
    assert (told["type"], told["title"]) == ("urn:knownat:error:unknown_name", "Unknown name")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"service": "shops_v1", "entities": [{"shop": NaN}]}', "NaN is not a JSON value"),
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"entities": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"entities": [{"shop": ' + b"9" * 5000 + b"}]}", "not JSON"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"service": "shops_v1"}', "missing required field `entities`"),
        (b'{"service": 7, "entities": []}', "got `int` - at `$.service`"),
        (b'{"service": "shops_v1", "entities": [], "colour": 1}', "unknown field `colour`"),
        (b'{"service": "shops_v1", "entities": [], "at": "soon"}', "'at' is 'soon', expected a moment"),
        (b'{"entities": []}', "exactly one of service, features and model"),
    ],
)
def test_a_body_that_is_not_as_it_should_be_is_told_why(app: FastAPI, body: bytes, message: str) -> None:
    response = send(app, "POST", "/v1/online", content=body, headers={"content-type": "application/json"})

    assert message in problem(response, 400, "invalid_request")["detail"]


def test_a_hundred_thousand_bad_items_are_answered_in_a_few_words(app: FastAPI) -> None:
    response = send(app, "POST", "/v1/online", json={"service": "shops_v1", "entities": ["x" * 50] * 100_000})

    assert "$.entities[0]" in problem(response, 400, "invalid_request")["detail"]
    assert len(response.content) < 10_000


def test_more_entities_than_may_be_at_once_are_refused_with_both_numbers(app: FastAPI) -> None:
    response = send(app, "POST", "/v1/online", json=ALMA | {"entities": ALMA["entities"] * 10_001})  # type: ignore[operator]

    assert "10001 rows were asked for and 10000 may be" in problem(response, 422, "invalid_entity_rows")["detail"]


def test_client_and_service_allow_the_same_numbers() -> None:
    assert (entities.MOST_ENTITIES, requests.MOST_AUDITED) == (online.MOST_ENTITIES, catalog.MOST_AUDITED)


@pytest.mark.parametrize("value", [{"$float": "one"}, {"$date": "soon"}, {"$timestamp": 1}, {"a": 1}, ["alma"], {}])
def test_a_value_that_is_none_is_refused_with_row_and_column(app: FastAPI, value: object) -> None:
    response = send(app, "POST", "/v1/online", json=ALMA | {"entities": [{"shop": value, "basket": 1.0}]})

    assert "Row 0: 'shop' is " in problem(response, 422, "invalid_entity_rows")["detail"]


@pytest.mark.parametrize("announced", [True, False])
def test_a_json_body_beyond_the_cap_is_not_read(filled_folder: Path, announced: bool) -> None:
    with served(filled_folder, Limits(json_bytes=1000)) as address:
        body = b" " * 2000
        response = httpx.post(f"{address}/v1/online", content=body if announced else iter([body[:900], body[900:]]))

    assert "1,000 bytes" in problem(response, 413, "request_too_large")["detail"]


def test_an_upload_beyond_its_cap_is_not_kept(filled_folder: Path) -> None:
    with served(filled_folder, Limits(upload_bytes=1000)) as address:
        response = httpx.put(f"{address}/v1/artifacts", content=b"x" * 1001)

    problem(response, 413, "request_too_large")


def test_a_body_that_stops_arriving_is_given_up(filled_folder: Path) -> None:
    with served(filled_folder, Limits(silent_seconds=0.1)) as address:
        host, _, port = address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(b"POST /v1/online HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_path_that_is_not_there_and_a_method_that_does_not_fit_are_problems_too(app: FastAPI) -> None:
    problem(send(app, "GET", "/v1/nosuch"), 404, "not_found")
    response = send(app, "DELETE", "/v1/catalog")

    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET"
    assert send(app, "PATCH", "/v1/models/m/aliases/a").headers["allow"] == "DELETE, PUT"


@pytest.mark.parametrize("body", [b"", b"x" * 1000, b"\xff\xff\xff\xff\x10\0\0\0" + b"\0" * 16, b"ARROW1\0\0"])
def test_a_spine_that_is_no_arrow_stream_is_refused(app: FastAPI, body: bytes) -> None:
    response = send(app, "POST", "/v1/training-sets?service=shops_v1", content=body)

    assert "not an Arrow IPC stream" in problem(response, 422, "invalid_spine")["detail"] or not body


@pytest.mark.parametrize("query", ["sample=0", "sample=x", "sample=1000000"])
def test_a_query_that_is_out_of_bounds_is_refused(app: FastAPI, query: str) -> None:
    response = send(app, "POST", f"/v1/views/shop_facts/audit?{query}")

    assert "query.sample" in problem(response, 400, "invalid_request")["detail"]


def test_a_live_process_is_live_and_one_with_state_and_store_is_ready(app: FastAPI) -> None:
    assert send(app, "GET", "/health/live").json() == {"status": "live"}
    assert send(app, "GET", "/health/ready").json() == {"status": "ready", "applied": 1, "state": "reachable"}


class SilentStore(MemoryOnlineStore):
    def read(self, reads: object) -> Any:  # noqa: ARG002 - it answers nobody
        raise StoreUnavailable("The online store does not answer.")


class BrokenStore(MemoryOnlineStore):
    def read(self, reads: object) -> Any:  # noqa: ARG002 - it fails on everybody
        raise RuntimeError("password=hunter2")


def with_store(wired: WiredProject, store: MemoryOnlineStore) -> FastAPI:
    whole = served_project(wired)
    online, readers = replace(whole.features.online, store=store), LoopReaders(lambda: ThreadedReader(store))
    features = replace(whole.features, online=online, readers=readers)
    return create_app(ServedProject(features, whole.registry))


def test_a_process_whose_online_store_is_silent_lives_but_is_not_ready(wired: WiredProject) -> None:
    app = with_store(wired, SilentStore())

    assert send(app, "GET", "/health/live").status_code == 200
    problem(send(app, "GET", "/health/ready"), 503, "store_unavailable")


def test_a_view_that_is_not_online_is_a_503_and_never_nulls(wired: WiredProject) -> None:
    response = send(with_store(wired, MemoryOnlineStore()), "POST", "/v1/online", json=ALMA)

    assert "knownat materialize" in problem(response, 503, "not_materialized")["detail"]


def test_an_error_nobody_foresaw_says_nothing_of_itself(wired: WiredProject) -> None:
    response = send(with_store(wired, BrokenStore()), "POST", "/v1/online", json=ALMA)

    problem(response, 500, "internal_error")
    assert "hunter2" not in response.text


def test_the_feature_store_served_alone_knows_no_models(wired: WiredProject) -> None:
    app = create_feature_app(served_features(wired.features))

    response = send(app, "POST", "/v1/online", json={"model": "m@champion", "entities": []})

    assert "no model registry" in problem(response, 501, "unsupported_operation")["detail"]
    assert send(app, "POST", "/v1/online", json=ALMA).status_code == 200
    assert send(app, "GET", "/v1/lineage?urn=service:shops_v1").status_code == 200
    problem(send(app, "GET", "/v1/models"), 404, "not_found")


def test_the_description_is_whole(app: FastAPI) -> None:
    document = send(app, "GET", "/openapi.json").json()

    operations = [one for path in document["paths"].values() for one in path.values()]
    assert document["openapi"].startswith("3.1")
    assert all(one["summary"] and one["description"] and one["responses"] for one in operations)
    assert len({one["operationId"] for one in operations}) == len(operations)
    for reference in references(document):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def test_a_real_answer_is_as_it_is_described(app: FastAPI) -> None:
    paths = send(app, "GET", "/openapi.json").json()["paths"]
    answers = {
        "OnlineAnswerBody": (paths["/v1/online"]["post"], send(app, "POST", "/v1/online", json=ALMA)),
        "ProblemBody": (paths["/v1/online"]["post"], send(app, "POST", "/v1/online", json={"entities": []})),
    }

    for name, (operation, response) in answers.items():
        media_type = response.headers["content-type"]
        described = operation["responses"]["200" if response.is_success else "default"]["content"]
        schema = described[media_type]["schema"]
        assert {"$ref": f"#/components/schemas/{name}"} in schema.get("anyOf", [schema])
    online.OnlineAnswerBody.model_validate(answers["OnlineAnswerBody"][1].json(), strict=True, extra="forbid")
    ProblemBody.model_validate(answers["ProblemBody"][1].json(), strict=True, extra="forbid")


def test_a_manifest_is_as_it_is_described(address: str) -> None:
    body = BytesIO()
    spine = pa.table({"shop": ["alma"], "basket": [1.0], "event_timestamp": [datetime(2024, 3, 6, tzinfo=UTC)]})
    with pa.ipc.new_stream(body, spine.schema) as stream:
        stream.write_table(spine)

    pulled = httpx.post(f"{address}/v1/training-sets?service=shops_v1", content=body.getvalue()).json()
    [listed] = httpx.get(f"{address}/v1/datasets").json()

    datasets.ManifestBody.model_validate(pulled, strict=True, extra="forbid")
    datasets.SummaryBody.model_validate(listed, strict=True, extra="forbid")
    operation = httpx.get(f"{address}/openapi.json").json()["paths"]["/v1/training-sets"]["post"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/ManifestBody"}


def test_every_route_describes_its_success_and_its_problems(app: FastAPI) -> None:
    document = send(app, "GET", "/openapi.json").json()

    for operation in (one for path in document["paths"].values() for one in path.values()):
        for status, response in operation["responses"].items():
            schemas = [content["schema"] for content in response.get("content", {}).values()]
            assert status == "204" or all(schemas), operation["operationId"]
            assert status == "204" or schemas, operation["operationId"]
        assert "application/problem+json" in operation["responses"]["default"]["content"]
    assert not [schema for schema in objects(document) if {"$ref", "type"} <= schema.keys()]


def objects(node: object) -> Iterator[dict[str, Any]]:
    """Every object of a JSON document."""
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from objects(value)


def test_the_address_itself_says_where_things_are(app: FastAPI) -> None:
    said = send(app, "GET", "/").json()

    paths = [said["description"], said["metrics"], said["catalog"], said["status"], *said["health"]]
    assert {send(app, "GET", path).status_code for path in paths} == {200}
    assert send(app, "GET", "/docs").status_code == 404


@pytest.mark.parametrize("headers", [{}, {"content-type": "application/x-www-form-urlencoded"}])
def test_a_body_that_does_not_say_it_is_json_is_told_to(app: FastAPI, headers: dict[str, str]) -> None:
    response = send(app, "POST", "/v1/online", content=json.dumps(ALMA).encode(), headers=headers)

    assert "send Content-Type: application/json" in problem(response, 400, "invalid_request")["detail"]


@pytest.mark.parametrize("media_type", ["Application/JSON; charset=utf-8", "application/vnd.shop+json"])
def test_json_may_say_more_of_itself(app: FastAPI, media_type: str) -> None:
    response = send(app, "POST", "/v1/online", content=json.dumps(ALMA).encode(), headers={"content-type": media_type})

    assert response.status_code == 200


def test_the_description_names_every_route(app: FastAPI) -> None:
    paths = send(app, "GET", "/openapi.json").json()["paths"]

    assert set(paths) == {
        "/health/live",
        "/health/ready",
        "/metrics",
        "/v1/artifacts",
        "/v1/audits",
        "/v1/catalog",
        "/v1/datasets",
        "/v1/datasets/{dataset}",
        "/v1/datasets/{dataset}/file",
        "/v1/datasets/{dataset}/rebuild",
        "/v1/datasets/{dataset}/rows",
        "/v1/lineage",
        "/v1/serving-log",
        "/v1/skew",
        "/v1/models",
        "/v1/models/{name}",
        "/v1/models/{name}/aliases/{alias}",
        "/v1/models/{name}/versions",
        "/v1/models/{name}/versions/{target}",
        "/v1/models/{name}/versions/{target}/artifact",
        "/v1/online",
        "/v1/status",
        "/v1/training-sets",
        "/v1/training-sets/explain-known",
        "/v1/views/{view}/audit",
        "/v1/views/{view}/push",
    }


def references(node: object) -> Iterator[str]:
    """Every `$ref` of a JSON document."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)
