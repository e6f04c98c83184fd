"""The serving log: sampled online answers, kept as they were given. Offered by whoever answers, shelved by a writer.

A log is of one feature set: whoever asks by a service, by references or by a model for the same features at the same
fingerprints is answered from the same tables, so the answers lie in one log. It is named by the feature set's identity,
and the feature set is kept whole beside the rows: a log means the same however the definitions change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

import pyarrow as pa

from featurestore.errors import InvalidRequest
from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.fingerprint import fingerprint
from featurestore.graph.resolved import Column, FeatureSet

# What a log has beside keys, inputs and features. Names that people give start with a letter, so none is one of these.
REQUEST = "__request"
"""One request's rows share it."""
ROW = "__row"
"""Where in its request a row stood."""
REQUESTED_AT = "__requested_at"
SERVICE = "__service"
MODEL = "__model"
"""The model version that was asked for, such as `fraud@3`."""
_STATUS = "__status__"

_MOMENT = pa.timestamp("us", tz="UTC")


class AnsweredColumn(Protocol):
    """A value and a status for each row of an answer. A status is an enum whose value is its text."""

    @property
    def values(self) -> Sequence[object]: ...

    @property
    def statuses(self) -> Sequence[Enum]: ...


class Answer(Protocol):
    """An answer as it was given. Making its columns takes a while, which is the writer's while."""

    @property
    def columns(self) -> Sequence[AnsweredColumn]:
        """In the order of the features' outputs."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ServedAnswer:
    """One answer, by reference: nothing of it is converted before a writer has time for it. `inputs` are the request's
    keys and request inputs by column."""

    features: FeatureSet
    service: str | None
    model: str | None
    at: datetime
    rows: int
    inputs: Mapping[str, Sequence[object]]
    answer: Answer


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which logged rows: asked for by this service or by this model version, at `since` or later. Raises
    InvalidRequest."""

    service: str | None = None
    model: str | None = None
    since: datetime | None = None

    def __post_init__(self) -> None:
        if self.service is not None and self.model is not None:
            raise InvalidRequest("Logged answers are chosen by service or by model: got both.")


@dataclass(frozen=True, slots=True)
class Log:
    """The answers of one feature set."""

    identity: str
    features: FeatureSet


class ServingLog(Protocol):
    """Where answers are offered. The counters are of rows, and only ever rise."""

    @property
    def logged(self) -> int:
        """Rows that are durable now."""
        ...

    @property
    def dropped(self) -> int:
        """Rows that were not taken, because as many were waiting as may."""
        ...

    @property
    def failed(self) -> int:
        """Rows that were taken and could not be written."""
        ...

    def offer(self, answer: ServedAnswer) -> None:
        """Take the answer or drop it: at once, and without ever raising. Threads may share a log."""
        ...

    def close(self) -> None:
        """Write what is waiting, and take nothing more. Closing twice is harmless."""
        ...


class LogShelf(Protocol):
    """Where logs are kept. Several processes may append to one log at the same time."""

    def append(self, features: FeatureSet, rows: pa.Table) -> None:
        """Add rows of `log_schema(features)`. Durable when it returns. Raises StoreUnavailable."""
        ...

    def logs(self) -> tuple[Log, ...]:
        """Every log there is, by identity. Raises StoreCorrupted, StoreUnavailable."""
        ...

    def rows(self, log: Log, query: LogQuery, columns: tuple[str, ...] | None = None) -> Iterator[pa.Table]:
        """The rows that the query asks for, all columns or these, in pieces of any size, oldest days first. What is
        appended while they are read need not be among them. Raises StoreCorrupted, StoreUnavailable."""
        ...


def log_identity(features: FeatureSet) -> str:
    """The same for feature sets that answer alike: services' names, descriptions, owners and tags leave it alone."""
    return fingerprint(
        "serving-log",
        [[output.name, output.dtype.value, output.reference, output.fingerprint] for output in features.outputs],
        [[use.name, use.view, use.join_columns, use.features] for use in features.uses],
        [
            [view.name, view.fingerprint, None if view.ttl is None else view.ttl.total_seconds()]
            for view in features.views
        ],
    )


def log_inputs(features: FeatureSet) -> tuple[Column, ...]:
    """The columns that every request brings: join keys and request inputs."""
    return tuple({column.name: column for column in (*features.join_columns, *features.request_inputs)}.values())


def log_schema(features: FeatureSet) -> pa.Schema:
    """The columns of a log, its own first."""
    own = pa.schema(
        [
            (REQUEST, pa.string()),
            (ROW, pa.int32()),
            (REQUESTED_AT, _MOMENT),
            (SERVICE, pa.string()),
            (MODEL, pa.string()),
        ]
    )
    outputs = arrow_schema(tuple(Column(output.name, output.dtype) for output in features.outputs))
    statuses = [pa.field(status_column(output.name), pa.string()) for output in features.outputs]
    return pa.schema([*own, *arrow_schema(log_inputs(features)), *outputs, *statuses])


def status_column(output: str) -> str:
    """The column that holds the statuses of this output."""
    return f"{_STATUS}{output}"
