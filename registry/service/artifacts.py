"""PUT /v1/artifacts: bytes in, their digest out. Nobody here looks into them."""

from __future__ import annotations

from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from featurestore.service.bodies import BoundedRoute, received_file
from featurestore.service.problems import StrictJson
from registry.service import answers
from registry.service.served import ServedProject

_BINARY_BODY: dict[str, Any] = {
    "requestBody": {
        "description": "The artifact's bytes.",
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class StoredBody(BaseModel):
    """Where the artifact is found from now on, and its bytes."""

    sha256: str
    size: int


def artifact_routes(served: ServedProject) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["models"], route_class=BoundedRoute, default_response_class=StrictJson)

    @router.put("/artifacts", openapi_extra=_BINARY_BODY, responses={200: {"model": StoredBody}})
    def store(body: Annotated[BinaryIO, Depends(received_file)]) -> StrictJson:
        """Store an artifact; storing the same bytes again is free. Answers with sha256 and size."""
        return StrictJson(answers.store_artifact(served, body))

    return router
