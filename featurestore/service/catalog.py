"""What there is, how far it is filled, and whether both stores agree."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from featurestore.operations.audit_views import AuditChoice
from featurestore.service import answers
from featurestore.service.bodies import BoundedRoute
from featurestore.service.problems import OBJECT, OBJECTS, StrictJson
from featurestore.service.served import ServedFeatures

MOST_AUDITED = 100_000


def catalog_routes(served: ServedFeatures) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["catalog"], route_class=BoundedRoute, default_response_class=StrictJson)

    @router.get("/catalog", responses=OBJECT)
    def catalog() -> StrictJson:
        """Everything that is applied: entities, sources, views, on-demand features, feature services."""
        return StrictJson(answers.catalog(served))

    @router.get("/status", responses=OBJECTS)
    def status() -> StrictJson:
        """For each applied view, how far it is filled offline and online."""
        return StrictJson(answers.status(served))

    @router.post("/views/{view}/audit", responses=OBJECT)
    def audit(view: str, sample: Annotated[int, Query(ge=1, le=MOST_AUDITED)] = 1000) -> StrictJson:
        """Compare the view's online values with the point-in-time answer at the moment it is online up to."""
        return StrictJson(answers.audited(served, view, sample=sample))

    @router.post("/audits", responses=OBJECT)
    def audits(
        view: Annotated[list[str] | None, Query(description="Applied views by name; by default all.")] = None,
        service: Annotated[str | None, Query(description="Or the views of this feature service.")] = None,
        model: Annotated[str | None, Query(description="Or what this model, name@3 or name@alias, asks for.")] = None,
        sample: Annotated[int, Query(ge=1, le=MOST_AUDITED)] = 1000,
    ) -> StrictJson:
        """Compare the online values of several views with the point-in-time answer, and say why each differs."""
        choice = AuditChoice(None if view is None else tuple(view), service, model)
        return StrictJson(answers.audits(served, choice, sample=sample))

    return router
