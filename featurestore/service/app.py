"""The app that serves features, and the one place that knows HTTP statuses of the feature store's errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from starlette.types import Lifespan

from featurestore import errors
from featurestore.errors import NotApplied, StoreUnavailable
from featurestore.service.bodies import Limits
from featurestore.service.catalog import catalog_routes
from featurestore.service.datasets import dataset_routes
from featurestore.service.health import health_routes
from featurestore.service.lineage import lineage_routes
from featurestore.service.measured import Measured
from featurestore.service.metrics import ServiceMetrics
from featurestore.service.monitoring import monitoring_routes
from featurestore.service.online import online_routes
from featurestore.service.problems import PROBLEM_RESPONSES, ErrorStatuses, ProblemBody, StrictJson, add_problems
from featurestore.service.push import push_routes
from featurestore.service.served import ServedFeatures
from featurestore.service.serving_log import serving_log_routes

STATUSES: ErrorStatuses = MappingProxyType(
    {
        errors.KnownatError: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.DefinitionsError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.InvalidDeclaration: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.SettingsError: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.UnknownName: HTTPStatus.NOT_FOUND,
        errors.InvalidReference: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.InvalidRequest: HTTPStatus.BAD_REQUEST,
        errors.RequestTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        errors.SpineError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.EntityRowsError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.SourceError: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.SourceDrifted: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.QueryError: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.EngineTimeout: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.ValueRefused: HTTPStatus.INTERNAL_SERVER_ERROR,
        # Whoever asks can not mend these two: nothing is applied, or what is applied is not filled yet.
        errors.NotApplied: HTTPStatus.CONFLICT,
        errors.NotMaterialized: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.NothingLogged: HTTPStatus.NOT_FOUND,
        errors.LookupInThePast: HTTPStatus.CONFLICT,
        errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.StoreRefused: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.StoreCorrupted: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.ClockBehind: HTTPStatus.CONFLICT,
        errors.ConcurrentChange: HTTPStatus.CONFLICT,
        errors.ProjectsMixed: HTTPStatus.CONFLICT,
        errors.TableDamaged: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.DatasetInUse: HTTPStatus.CONFLICT,
        errors.DatasetGone: HTTPStatus.GONE,
        errors.DatasetDiffers: HTTPStatus.CONFLICT,
        errors.UnsupportedOperation: HTTPStatus.NOT_IMPLEMENTED,
    }
)


def create_app(served: ServedFeatures, options: ServiceOptions | None = None) -> FastAPI:
    """The app over these ports."""
    options = options or ServiceOptions()
    # Without pages to read the description in: they would load their code from a public host.
    app = _DescribedApp(
        title="Knownat",
        description="A training row holds what was known at its time: features, datasets, models and their lineage.",
        version="1",
        responses=PROBLEM_RESPONSES,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifetime(served, options.at_end),
    )
    app.state.limits = options.limits
    add_problems(app, options.statuses, options.metrics.observe_error)
    app.add_middleware(Measured, metrics=options.metrics)
    # First: routes are tried in order, which takes longer than much of a lookup.
    app.include_router(online_routes(served, options.metrics))
    for routes in (push_routes, dataset_routes, catalog_routes, lineage_routes, serving_log_routes, health_routes):
        app.include_router(routes(served))
    app.include_router(monitoring_routes(served, options.metrics))
    app.add_api_route("/", _signpost, include_in_schema=False)
    return app


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """How an app is made. `statuses` is larger where a storey above adds routes with errors of its own."""

    statuses: ErrorStatuses = field(default_factory=lambda: STATUSES)
    limits: Limits = field(default_factory=Limits)
    metrics: ServiceMetrics = field(default_factory=ServiceMetrics)
    at_end: Callable[[], None] = lambda: None
    """Called when the server has stopped and nothing is under way any more."""


class _DescribedApp(FastAPI):
    """FastAPI, whose description also has the problem that every route's errors refer to."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas[ProblemBody.__name__] = ProblemBody.model_json_schema()
        return document


def _lifetime(served: ServedFeatures, at_end: Callable[[], None]) -> Lifespan[FastAPI]:
    @asynccontextmanager
    async def lifetime(_: FastAPI) -> AsyncIterator[None]:
        with suppress(NotApplied, StoreUnavailable):  # the first requests prepare what they need, or are told why not
            await asyncio.to_thread(served.lookups.prepare_services)
        yield
        await served.readers.close()
        served.lookups.close()
        await asyncio.to_thread(served.serving_log.log.close)
        at_end()

    return lifetime


async def _signpost() -> StrictJson:
    """Whoever opens the address in a browser finds out what it is, and where things are."""
    return StrictJson(
        {
            "name": "Knownat",
            "description": "/openapi.json",
            "online": "/v1/online",
            "catalog": "/v1/catalog",
            "status": "/v1/status",
            "health": ["/health/live", "/health/ready"],
            "metrics": "/metrics",
        }
    )
