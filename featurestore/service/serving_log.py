"""GET /v1/serving-log and POST /v1/skew: what was asked, as a spine, and whether what was served was right."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import file_digest
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from featurestore.operations.result_file import passing_file
from featurestore.service import answers
from featurestore.service.bodies import BoundedRoute
from featurestore.service.datasets import PARQUET
from featurestore.service.problems import OBJECT, StrictJson, binary
from featurestore.service.served import ServedFeatures
from featurestore.service.wire import moment_of

MOST_EXAMPLES = 1000
_CHUNK = 1024 * 1024

ServiceQuery = Annotated[str | None, Query(description="Only what was asked for by this feature service.")]
ModelQuery = Annotated[str | None, Query(description="Only what was asked for by this model: name@3 or name@alias.")]
SinceQuery = Annotated[str | None, Query(description="Only what was asked for at this moment or later, ISO 8601.")]


def serving_log_routes(served: ServedFeatures) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["serving log"], route_class=BoundedRoute, default_response_class=StrictJson)

    @router.post("/skew", responses=OBJECT)
    def skew(
        service: ServiceQuery = None,
        model: ModelQuery = None,
        since: SinceQuery = None,
        examples: Annotated[int, Query(ge=0, le=MOST_EXAMPLES)] = 5,
    ) -> StrictJson:
        """Replay the logged requests against the point-in-time join, and count by feature what differs."""
        wanted = answers.LoggedAnswers(service, model, moment_of(since, what="since"))
        return StrictJson(answers.skewed(served, wanted, examples=examples))

    @router.get("/serving-log", response_class=StreamingResponse, responses=binary(PARQUET))
    def serving_log(
        service: ServiceQuery = None, model: ModelQuery = None, since: SinceQuery = None
    ) -> StreamingResponse:
        """The moments, keys and request inputs of the logged requests as Parquet: a spine for training sets."""
        wanted = answers.LoggedAnswers(service, model, moment_of(since, what="since"))
        with passing_file("serving-log.parquet") as path:
            answers.write_logged_spine(served, wanted, path)
            file = path.open("rb")  # open, it stays readable when its folder is gone
        digest = b64encode(file_digest(file, "sha256").digest()).decode("ascii")
        headers = {"content-length": str(file.tell()), "repr-digest": f"sha-256=:{digest}:"}
        file.seek(0)
        return StreamingResponse(_chunks(file), media_type=PARQUET, headers=headers)

    return router


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk
