"""Whether the process lives, and whether it can answer."""

from __future__ import annotations

from fastapi import APIRouter

from featurestore.ports.online_store import OnlineTable, TableRead
from featurestore.service.problems import OBJECT, StrictJson
from featurestore.service.served import ServedFeatures

_PROBE = TableRead(OnlineTable("health", (), ()), [])
"""A table that is never filled: asking for it is a round trip all the same."""


def health_routes(served: ServedFeatures) -> APIRouter:
    router = APIRouter(prefix="/health", tags=["health"], default_response_class=StrictJson)

    @router.get("/live", responses=OBJECT)
    def live() -> StrictJson:
        """The process answers."""
        return StrictJson({"status": "live"})

    @router.get("/ready", responses=OBJECT)
    def ready() -> StrictJson:
        """The state can be read and the online store answers; otherwise a problem says which does not."""
        serial = served.catalog.serial()
        served.online.store.read([_PROBE])
        return StrictJson({"status": "ready", "applied": serial})

    return router
