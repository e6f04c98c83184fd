"""GET /metrics, for Prometheus."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from featurestore.errors import KnownatError
from featurestore.operations.online_freshness import online_freshness
from featurestore.service.metrics import ServiceMetrics
from featurestore.service.problems import Responses
from featurestore.service.served import ServedFeatures

_TEXT: Responses = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


def monitoring_routes(served: ServedFeatures, metrics: ServiceMetrics) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/metrics", response_class=Response, responses=_TEXT)
    def read_metrics() -> Response:
        """Requests by route, values by view and status, freshness by view, in Prometheus' text format."""
        metrics.observe_log(served.serving_log.log)
        return Response(metrics.text(_freshness(served)), headers={"content-type": CONTENT_TYPE_LATEST})

    return router


def _freshness(served: ServedFeatures) -> dict[str, timedelta]:
    """None of any view when the store does not answer: the counts matter most just then."""
    try:
        return online_freshness(served.lookups.applied().graph, served.online.store, now=served.clock())
    except KnownatError:
        return {}
