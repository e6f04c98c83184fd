"""Registered models, their versions and aliases."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from featurestore.service.bodies import BoundedRoute
from featurestore.service.datasets import object_response
from featurestore.service.problems import CREATED_OBJECT, OBJECT, OBJECTS, StrictJson, binary
from registry.operations.read_models import read_version
from registry.reference import ModelReference
from registry.service import answers
from registry.service.registrations import registration_request
from registry.service.served import ServedProject

_ARTIFACT = binary("application/octet-stream")


class RegistrationBody(BaseModel):
    """The artifact, stored before by PUT /v1/artifacts, and what is said of the version.

    Beside `sha256`: file_name; dataset, or no_dataset with no_dataset_reason; and any of params, metrics, environment,
    code_commit, run_id, signature, description, tags, registered_by, key.
    """

    model_config = ConfigDict(extra="allow")

    sha256: str = Field(description="Of the artifact's bytes.")


class AliasBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: int = Field(description="The version that the alias means from now on.")


def model_routes(served: ServedProject) -> APIRouter:
    router = APIRouter(
        prefix="/v1/models", tags=["models"], route_class=BoundedRoute, default_response_class=StrictJson
    )

    @router.get("", responses=OBJECTS)
    def models() -> StrictJson:
        """Every registered model, by name."""
        return StrictJson(answers.models(served))

    @router.get("/{name}", responses=OBJECT)
    def model(name: str) -> StrictJson:
        """A model with its versions, oldest first, and its aliases."""
        return StrictJson(answers.model(served, name))

    @router.post("/{name}/versions", status_code=201, responses=CREATED_OBJECT)
    def register(name: str, body: RegistrationBody) -> StrictJson:
        """Register an uploaded artifact as the model's next version."""
        request = registration_request(name, body.model_extra or {})
        return StrictJson(answers.register_uploaded(served, request, body.sha256), status_code=201)

    @router.get("/{name}/versions/{target}", responses=OBJECT)
    def version(name: str, target: str) -> StrictJson:
        """A version, by its number or an alias."""
        return StrictJson(answers.version(served, ModelReference.parse(f"{name}@{target}")))

    @router.get("/{name}/versions/{target}/artifact", response_class=StreamingResponse, responses=_ARTIFACT)
    def artifact(name: str, target: str) -> StreamingResponse:
        """A version's artifact, verified and streamed."""
        found = read_version(ModelReference.parse(f"{name}@{target}"), served.registry).artifact
        return object_response(served.registry.objects, found.sha256, found.size, "application/octet-stream")

    @router.put("/{name}/aliases/{alias}", responses=OBJECT)
    def point_alias(name: str, alias: str, body: AliasBody) -> StrictJson:
        """Let an alias mean a version, whether it exists or not."""
        return StrictJson(answers.point_alias(served, name, alias, body.version))

    @router.delete("/{name}/aliases/{alias}", status_code=204)
    def forget_alias(name: str, alias: str) -> Response:
        """Forget an alias; the version stays."""
        answers.forget_alias(served, name, alias)
        return Response(status_code=204)

    return router
