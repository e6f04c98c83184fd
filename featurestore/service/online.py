"""POST /v1/online: features of entities, as the online store has them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from featurestore.errors import EntityRowsError
from featurestore.operations.chosen_features import FeatureChoice
from featurestore.service import answers
from featurestore.service.bodies import BoundedRoute
from featurestore.service.documents import answer_document
from featurestore.service.problems import StrictJson
from featurestore.service.served import ServedFeatures
from featurestore.service.wire import moment_of, rows_of

MOST_ENTITIES = 10_000


class OnlineBody(BaseModel):
    """Exactly one of service, features and model."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"service": "arrival_delay_v1", "entities": [{"tailnum": "N14228", "carrier": "UA"}]}]
        },
    )

    service: str | None = Field(None, description="A feature service's name.")
    features: list[str] | None = Field(None, description="References: view:feature, view:*, or on-demand features.")
    model: str | None = Field(None, description="A model version: name@3 or name@alias.")
    entities: list[dict[str, Any]] = Field(
        description=f"At most {MOST_ENTITIES} rows: join keys and request inputs by column. A value that JSON does not "
        'know is written {"$float": "NaN"}, {"$decimal": "1.50"}, {"$date": "…"} or {"$timestamp": "…"}, in lists too.'
    )
    at: str | None = Field(None, description="For a replay: the moment asked for, ISO 8601. By default it is now.")


class OnlineColumnAnswer(BaseModel):
    name: str
    reference: str
    dtype: str = Field(description="Such as int64, decimal(18, 2), list(string) or embedding(384).")
    fingerprint: str
    values: list[Any] = Field(
        description='Floats that JSON does not know are "NaN", "Infinity" and "-Infinity"; decimals are text with all '
        'their digits, such as "12.50"; dates and timestamps are ISO 8601; lists and embeddings are lists of values.'
    )
    statuses: list[str] = Field(description="For each value: present, null, missing or expired.")
    event_timestamps: list[str | None]


class OnlineAnswerBody(BaseModel):
    """Column by column, in the order of the features; each column has one value for each row asked for."""

    rows: int
    at: str
    columns: list[OnlineColumnAnswer]


def online_routes(served: ServedFeatures) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["online"], route_class=BoundedRoute, default_response_class=StrictJson)

    @router.post("/online", responses={200: {"model": OnlineAnswerBody}})
    def online(body: OnlineBody) -> StrictJson:
        """Look the features of entities up, as the online store has them now."""
        if len(body.entities) > MOST_ENTITIES:
            raise EntityRowsError(
                f"{len(body.entities)} rows were asked for and {MOST_ENTITIES} may be at once: ask in parts, or pull a "
                "training set."
            )
        choice = FeatureChoice(body.service, None if body.features is None else tuple(body.features), body.model)
        at = moment_of(body.at, what="at")
        return StrictJson(answer_document(answers.look_up(served, choice, rows_of(body.entities), at=at)))

    return router
