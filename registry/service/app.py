"""The whole app: features and models. The one place that knows HTTP statuses of the registry's errors."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from types import MappingProxyType

from fastapi import FastAPI

from featurestore.service.app import STATUSES as FEATURE_STATUSES
from featurestore.service.app import ServiceOptions
from featurestore.service.app import create_app as create_feature_app
from featurestore.service.problems import ErrorStatuses
from registry import errors
from registry.service.artifacts import artifact_routes
from registry.service.models import model_routes
from registry.service.served import ServedProject

STATUSES: ErrorStatuses = MappingProxyType(
    {
        **FEATURE_STATUSES,
        errors.RegistryError: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.ModelNotFound: HTTPStatus.NOT_FOUND,
        errors.VersionNotFound: HTTPStatus.NOT_FOUND,
        errors.AliasNotFound: HTTPStatus.NOT_FOUND,
        errors.InvalidModelReference: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.InvalidAlias: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.InvalidRegistration: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.RegistrationKeyReused: HTTPStatus.CONFLICT,
    }
)


def create_app(served: ServedProject, options: ServiceOptions | None = None) -> FastAPI:
    """Every route of the feature store, and those of the registry."""
    app = create_feature_app(served.features, replace(options or ServiceOptions(), statuses=STATUSES))
    for routes in (model_routes, artifact_routes):
        app.include_router(routes(served))
    return app
