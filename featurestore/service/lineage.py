"""GET /v1/lineage: what something is made of, and what is made of it."""

from __future__ import annotations

from fastapi import APIRouter

from featurestore.service import answers
from featurestore.service.bodies import BoundedRoute
from featurestore.service.problems import OBJECT, StrictJson
from featurestore.service.served import ServedFeatures


def lineage_routes(served: ServedFeatures) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["lineage"], route_class=BoundedRoute, default_response_class=StrictJson)

    @router.get("/lineage", responses=OBJECT)
    def lineage(urn: str, down: bool = False) -> StrictJson:
        """The tree from `urn` up to source columns, or down to what depends on it."""
        return StrictJson(answers.lineage(served, urn, down=down))

    return router
