"""POST /v1/views/{view}/push: rows for a view, as JSON or as an Arrow stream."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, BinaryIO

import pyarrow as pa
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from featurestore.errors import InvalidRequest, RequestTooLarge
from featurestore.operations.entity_rows import Row
from featurestore.operations.push_frame import MOST_KEY_LENGTH
from featurestore.operations.push_online import OnlineState
from featurestore.operations.pushed_rows import MOST_ROWS
from featurestore.service.arrow_bodies import read_stream
from featurestore.service.bodies import BoundedRoute, Limits, received_file, strict_json
from featurestore.service.datasets import ARROW_STREAM
from featurestore.service.problems import Responses, StrictJson
from featurestore.service.push_answers import pushed
from featurestore.service.served import ServedFeatures
from featurestore.service.wire import rows_of

_JSON = "application/json"
_BODY: dict[str, Any] = {
    "requestBody": {
        "description": f"From 1 to {MOST_ROWS} rows in the columns of the view's source. Its known timestamp may be "
        "left out: rows are then known when they arrive.",
        "required": True,
        "content": {
            _JSON: {
                "schema": {
                    "type": "object",
                    "properties": {"rows": {"type": "array", "items": {"type": "object"}, "minItems": 1}},
                    "required": ["rows"],
                    "additionalProperties": False,
                },
                "example": {"rows": [{"shop": "alma", "at": "2024-03-10T12:00:00Z", "visitors": 7}]},
            },
            ARROW_STREAM: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


class PushAnswerBody(BaseModel):
    """Rows that are durable, and where they can be seen."""

    view: str
    table: str
    source: str
    key: str
    rows: int
    feature_rows: int | None = Field(description="Rows of the view that they lead to; null for a windowed view.")
    rejected: int = Field(description="Rows without a key or a time.")
    is_new: bool = Field(description="False where the key had been pushed before, and nothing was added.")
    known_at: str | None = Field(description="When the rows are known, where they did not say it themselves.")
    source_version: str
    table_version: int | None = Field(description="The version of the view's table that has them; null: the next fill.")
    online: str = Field(description="now, later, not_materialized or unavailable.")
    online_from: str | None
    reason: str | None = Field(description="Why they are not online now, and what to do.")


_ANSWERS: Responses = {
    200: {"model": PushAnswerBody},
    202: {"model": PushAnswerBody, "description": "Durable, and not online: the online store did not take them."},
}


def push_routes(served: ServedFeatures) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["push"], route_class=BoundedRoute, default_response_class=StrictJson)

    @router.post("/views/{view}/push", openapi_extra=_BODY, responses=_ANSWERS)
    def push(
        request: Request,
        view: str,
        body: Annotated[BinaryIO, Depends(received_file)],
        key: Annotated[str, Query(min_length=1, max_length=MOST_KEY_LENGTH)],
    ) -> StrictJson:
        """Append rows to the view's history, once for each key, and bring them online."""
        answer = pushed(served, view, _rows(request, body), key=key)
        refused = answer["online"] == OnlineState.UNAVAILABLE.value
        return StrictJson(answer, status_code=HTTPStatus.ACCEPTED if refused else HTTPStatus.OK)

    return router


def _rows(request: Request, body: BinaryIO) -> pa.Table | Sequence[Row]:
    limits: Limits = request.app.state.limits
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == ARROW_STREAM:
        return read_stream(body, limits.pushed)
    if media_type == _JSON or (media_type.startswith("application/") and media_type.endswith("+json")):
        return _json_rows(body, limits)
    raise InvalidRequest(f"The body says it is {media_type[:80]!r}: send Content-Type: {_JSON} or {ARROW_STREAM}")


def _json_rows(body: BinaryIO, limits: Limits) -> Sequence[Row]:
    content = body.read(limits.json_bytes + 1)
    if len(content) > limits.json_bytes:
        raise RequestTooLarge(
            f"The request's body has more than {limits.json_bytes:,} bytes, the most that are taken as JSON: push in "
            f"parts, each under a key of its own, or send an Arrow stream ({ARROW_STREAM})."
        )
    document = strict_json(content)
    rows = document.get("rows") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidRequest(
            'The body is not {"rows": [{…}, …]}: a list of objects, one for each row, and nothing else'
        )
    return rows_of(rows)
