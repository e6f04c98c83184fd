"""Training sets in and out: pulled with a spine, listed, read as Arrow or Parquet, rebuilt."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO

import pyarrow as pa
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from featurestore.errors import InvalidRequest, SpineError
from featurestore.operations.chosen_features import FeatureChoice
from featurestore.ports.objects import ObjectStore
from featurestore.service import answers
from featurestore.service.arrow_bodies import read_stream
from featurestore.service.bodies import BoundedRoute, Limits, received_file
from featurestore.service.problems import OBJECT, Responses, StrictJson, binary
from featurestore.service.served import ServedFeatures

ARROW_STREAM = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"

_ARROW_BODY: dict[str, Any] = {
    "requestBody": {
        "description": "The spine, as an Arrow IPC stream.",
        "required": True,
        "content": {ARROW_STREAM: {"schema": {"type": "string", "format": "binary"}}},
    }
}


class SummaryBody(BaseModel):
    """A dataset in a list of many."""

    id: str
    service: str | None = Field(description="None where features were chosen one by one.")
    feature_count: int
    label: str | None
    as_served: bool = Field(description="Whether rows hold what the online store answered.")
    rows: int
    first: str | None = Field(description="The earliest moment asked for, ISO 8601.")
    last: str | None
    created_at: str


class ManifestBody(SummaryBody):
    """Everything a training set was made of."""

    features: list[dict[str, Any]] = Field(description="Of each: name, reference, dtype, fingerprint.")
    tables: list[dict[str, Any]] = Field(description="Each table that was read, with its version.")
    spine: str = Field(description="The sha256 of the spine.")
    spine_kept: bool
    timestamp: str = Field(description="The spine's column that says when a row asks.")
    served: str | None = Field(description="As served: the sha256 of the publish history that rows were joined by.")
    result: str = Field(description="The sha256 of the rows as Parquet.")
    result_size: int
    profile: list[dict[str, Any]] = Field(description="Of each column: nulls, minimum, maximum, mean.")
    libraries: dict[str, str]
    warnings: list[str]


_MANIFEST: Responses = {200: {"model": ManifestBody}}


def spine_options(
    timestamp: Annotated[str, Query()] = "event_timestamp",
    label: Annotated[str | None, Query()] = None,
    keep_spine: Annotated[bool, Query()] = True,
    as_served: Annotated[bool, Query()] = False,
) -> answers.SpineOptions:
    return answers.SpineOptions(timestamp, label, keep_spine, as_served)


def received_spine(request: Request, body: Annotated[BinaryIO, Depends(received_file)]) -> pa.Table:
    """Raises SpineError for bytes that are no Arrow IPC stream, RequestTooLarge."""
    limits: Limits = request.app.state.limits
    try:
        return read_stream(body, limits.spine)
    except InvalidRequest as error:
        raise SpineError(error.message) from error


def dataset_routes(served: ServedFeatures) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["datasets"], route_class=BoundedRoute, default_response_class=StrictJson)

    @router.post("/training-sets", openapi_extra=_ARROW_BODY, responses=_MANIFEST)
    def training_set(
        spine: Annotated[pa.Table, Depends(received_spine)],
        service: Annotated[str | None, Query()] = None,
        features: Annotated[list[str] | None, Query()] = None,
        *,
        options: Annotated[answers.SpineOptions, Depends(spine_options)],
    ) -> StrictJson:
        """Join features to the spine as they were known at each row's timestamp or, with `as_served`, as the online
        store would have answered then; answers with the manifest."""
        choice = FeatureChoice(service, None if features is None else tuple(features))
        return StrictJson(answers.pull(served, choice, spine, options))

    @router.post("/training-sets/explain-known", openapi_extra=_ARROW_BODY, responses=OBJECT)
    def explain_known(
        spine: Annotated[pa.Table, Depends(received_spine)],
        service: Annotated[str | None, Query()] = None,
        features: Annotated[list[str] | None, Query()] = None,
        timestamp: Annotated[str, Query()] = "event_timestamp",
    ) -> StrictJson:
        """How many cells of this training set would differ, by feature, if event time alone were used."""
        choice = FeatureChoice(service, None if features is None else tuple(features))
        return StrictJson(answers.explained(served, choice, spine, timestamp=timestamp))

    @router.get("/datasets", responses={200: {"model": list[SummaryBody]}})
    def datasets() -> StrictJson:
        """Every dataset that was pulled, oldest first."""
        return StrictJson(answers.datasets(served))

    @router.get("/datasets/{dataset}", responses=_MANIFEST)
    def dataset(dataset: str) -> StrictJson:
        """A dataset's manifest, by its id or the start of it."""
        return StrictJson(answers.dataset(served, dataset))

    @router.get("/datasets/{dataset}/rows", response_class=StreamingResponse, responses=binary(ARROW_STREAM))
    def rows(dataset: str) -> StreamingResponse:
        """A dataset's rows, as an Arrow IPC stream."""
        path = served.archive.objects.path(served.archive.datasets.get(dataset).result)
        return StreamingResponse(_arrow_stream(path), media_type=ARROW_STREAM)

    @router.get("/datasets/{dataset}/file", response_class=StreamingResponse, responses=binary(PARQUET))
    def file(dataset: str) -> StreamingResponse:
        """A dataset's rows as the Parquet file they are kept in."""
        manifest = served.archive.datasets.get(dataset)
        return object_response(served.archive.objects, manifest.result, manifest.result_size, PARQUET)

    @router.post("/datasets/{dataset}/rebuild", responses=_MANIFEST)
    def rebuild(dataset: str) -> StrictJson:
        """Compute a dataset again, and see that it is the same to the byte."""
        return StrictJson(answers.rebuilt(served, dataset))

    return router


def object_response(objects: ObjectStore, sha256: str, size: int, media_type: str) -> StreamingResponse:
    """An object, streamed. It is verified before the first byte is sent: afterwards there is no way to say so."""
    objects.path(sha256)
    digest = b64encode(bytes.fromhex(sha256)).decode("ascii")
    headers = {"content-length": str(size), "etag": f'"{sha256}"', "repr-digest": f"sha-256=:{digest}:"}
    return StreamingResponse(objects.read(sha256), media_type=media_type, headers=headers)


class _Portion:
    """A file that gives away what was written to it, piece by piece."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def _arrow_stream(path: str) -> Iterator[bytes]:
    """A Parquet file as an Arrow IPC stream, a batch at a time."""
    import pyarrow.parquet as pq  # 4 MB, which a process that only looks features up never needs

    portion = _Portion()
    with pq.ParquetFile(path) as file, pa.ipc.new_stream(portion, file.schema_arrow) as writer:
        for batch in file.iter_batches():
            writer.write_batch(batch)
            yield portion.take()
        writer.close()
        yield portion.take()
