"""POST /v1/online: features of entities, as the online store has them.

The route reads its request and writes its answer by itself: what FastAPI does for a route takes longer than a lookup.
The models below describe both for the OpenAPI document, and a test holds the route to them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Literal

import msgspec
import pyarrow as pa
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from featurestore.errors import EntityRowsError, InvalidRequest
from featurestore.operations.chosen_features import FeatureChoice
from featurestore.operations.entity_rows import Entities
from featurestore.service import answers
from featurestore.service.bodies import json_of
from featurestore.service.metrics import ServiceMetrics
from featurestore.service.online_answers import AnswerWriter, Include, answer_table, written
from featurestore.service.served import ServedFeatures
from featurestore.service.value_counts import value_counts
from featurestore.service.wire import columns_of, moment_of, rows_of

MOST_ENTITIES = 10_000
ARROW_STREAM = "application/vnd.apache.arrow.stream"


class OnlineBody(BaseModel):
    """Exactly one of service, features and model."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"service": "arrival_delay_v1", "entities": [{"tailnum": "N14228", "carrier": "UA"}]}]
        },
    )

    service: str | None = Field(None, description="A feature service's name.")
    features: list[str] | None = Field(None, description="References: view:feature, view:*, or on-demand features.")
    model: str | None = Field(None, description="A model version: name@3 or name@alias.")
    entities: list[dict[str, Any]] | dict[str, list[Any]] = Field(
        description=f"At most {MOST_ENTITIES} rows, or columns of as many values: join keys and request inputs. A "
        'value that JSON does not know is written {"$float": "NaN"}, {"$decimal": "1.50"}, {"$date": "…"} or '
        '{"$timestamp": "…"}, in lists too.'
    )
    at: str | None = Field(None, description="For a replay: the moment asked for, ISO 8601. By default it is now.")
    include: list[Literal["statuses", "event_timestamps"]] = Field(
        [], description="What to say of each value beside it: why it is what it is, and when its row happened."
    )
    layout: Literal["columns", "rows"] = Field("columns", description="How the answer is laid out in JSON.")


class DescribedColumn(BaseModel):
    name: str
    reference: str
    dtype: str = Field(description="Such as int64, decimal(18, 2), list(string) or embedding(384).")
    fingerprint: str


class OnlineColumnAnswer(DescribedColumn):
    values: list[Any] = Field(
        description='Floats that JSON does not know are "NaN", "Infinity" and "-Infinity"; decimals are text with all '
        'their digits, such as "12.50"; dates and timestamps are ISO 8601; lists and embeddings are lists of values.'
    )
    statuses: list[str] | None = Field(
        None, description="For each value: present, null, missing, expired or unreadable."
    )
    event_timestamps: list[str | None] | None = None


class OnlineAnswerBody(BaseModel):
    """Column by column, in the order of the features; each column has one value for each row asked for."""

    rows: int
    at: str
    columns: list[OnlineColumnAnswer]


class EntityAnswer(BaseModel):
    values: dict[str, Any]
    statuses: dict[str, str] | None = None
    event_timestamps: dict[str, str | None] | None = None


class OnlineRowsBody(BaseModel):
    """Row by row, where `layout` is `rows`."""

    rows: int
    at: str
    columns: list[DescribedColumn]
    entities: list[EntityAnswer]


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    """A request's body, as msgspec checks it: OnlineBody again, in a hundredth of the time."""

    entities: list[dict[str, Any]] | dict[str, list[Any]]
    service: str | None = None
    features: list[str] | None = None
    model: str | None = None
    at: str | None = None
    include: list[Literal["statuses", "event_timestamps"]] = []
    layout: Literal["columns", "rows"] = "columns"


def online_routes(served: ServedFeatures, metrics: ServiceMetrics) -> APIRouter:
    writer = AnswerWriter()

    class OnlineRoute(APIRoute):
        """Answers without FastAPI's own reading and checking of requests."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            async def handle(request: Request) -> Response:
                return await _answer(request, served, metrics, writer)

            return handle

    router = APIRouter(prefix="/v1", tags=["online"], route_class=OnlineRoute)

    @router.post(
        "/online",
        responses={
            200: {
                "model": OnlineAnswerBody | OnlineRowsBody,
                "content": {ARROW_STREAM: {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    def online(body: OnlineBody) -> None:
        """Look the features of entities up, as the online store has them now.

        `Accept: application/vnd.apache.arrow.stream` gives an Arrow stream.
        """

    return router


async def _answer(request: Request, served: ServedFeatures, metrics: ServiceMetrics, writer: AnswerWriter) -> Response:
    asked = _asked(await json_of(request))
    choice = FeatureChoice(asked.service, None if asked.features is None else tuple(asked.features), asked.model)
    at = moment_of(asked.at, what="at")
    include = frozenset(map(Include, asked.include))
    answer = await answers.look_up_async(served, choice, _entities(asked.entities), at=at)
    metrics.observe_lookup(answer.rows, value_counts(answer))
    metrics.observe_log(served.serving_log.log)
    if ARROW_STREAM in request.headers.get("accept", ""):
        table = await asyncio.to_thread(answer_table, answer, include)
        return Response(_arrow_stream(table), media_type=ARROW_STREAM)
    write = writer.rows if asked.layout == "rows" else writer.columns
    return Response(await written(write, answer, include), media_type="application/json")


def _asked(document: Any) -> _Asked:
    try:
        return msgspec.convert(document, _Asked)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The request is not as it should be: {error}"[:500]) from error


def _entities(given: list[dict[str, Any]] | dict[str, list[Any]]) -> Entities:
    count = len(given) if isinstance(given, list) else max(map(len, given.values()), default=0)
    if count > MOST_ENTITIES:
        raise EntityRowsError(
            f"{count} rows were asked for and {MOST_ENTITIES} may be at once: ask in parts, or pull a training set."
        )
    return columns_of(given) if isinstance(given, Mapping) else rows_of(given)


def _arrow_stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content
