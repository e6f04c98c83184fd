"""What there is, how far it is filled, and whether both stores agree."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

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

    return router
