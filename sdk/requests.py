"""What a client can ask, as frozen records: built and checked here, answered by whichever transport there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from featurestore.errors import InvalidReference, InvalidRequest
from registry.errors import InvalidModelReference
from sdk.entities import Entities, Row
from sdk.log_requests import LoggedSpine, Skew
from sdk.texts import check_text, is_text

MOST_AUDITED = 100_000


@dataclass(frozen=True, slots=True)
class Choice:
    """Exactly one way of choosing features. Raises InvalidRequest for none or several."""

    service: str | None = None
    features: tuple[str, ...] | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        if (self.service is not None) + (self.features is not None) + (self.model is not None) == 1:
            return
        ways = {"service": self.service, "features": self.features, "model": self.model}
        given = [name for name, value in ways.items() if value is not None]
        found = f"got {' and '.join(given)}" if given else "got none of them"
        raise InvalidRequest(f"Features are chosen by exactly one of service, features and model: {found}.")

    @classmethod
    def of(
        cls, *, service: str | None = None, features: Iterable[str] | None = None, model: str | None = None
    ) -> Choice:
        if isinstance(features, str):
            raise InvalidRequest(f"features is a list of references such as ['view:feature'], got {features!r}")
        if features is not None and not (features := tuple(features)):
            raise InvalidReference("no features were asked for: name at least one, as view:feature")
        for text in (service, model, *(features or ())):
            check_text("a name of features", text)
        return cls(service, features, model)


@dataclass(frozen=True, slots=True)
class Online:
    """Look entities up."""

    choice: Choice
    entities: Entities
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PullTrainingSet:
    choice: Choice
    spine: pa.Table
    timestamp: str
    label: str | None
    keep_spine: bool
    as_served: bool


@dataclass(frozen=True, slots=True)
class ExplainKnown:
    choice: Choice
    spine: pa.Table
    timestamp: str


@dataclass(frozen=True, slots=True)
class ListDatasets:
    pass


@dataclass(frozen=True, slots=True)
class ReadDataset:
    dataset: str

    def __post_init__(self) -> None:
        _check_name("a dataset's id", self.dataset)


@dataclass(frozen=True, slots=True)
class Rebuild:
    dataset: str

    def __post_init__(self) -> None:
        _check_name("a dataset's id", self.dataset)


@dataclass(frozen=True, slots=True)
class Audit:
    view: str
    sample: int

    def __post_init__(self) -> None:
        _check_name("a view's name", self.view)
        _check_sample(self.sample)


@dataclass(frozen=True, slots=True)
class Audits:
    """At most one of views, service and model; none of them means every applied view."""

    views: tuple[str, ...] | None
    service: str | None
    model: str | None
    sample: int

    def __post_init__(self) -> None:
        _check_sample(self.sample)
        for text in (self.service, self.model, *(self.views or ())):
            check_text("a name to audit", text)
        given = [name for name in ("views", "service", "model") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InvalidRequest(f"An audit is of views, of a service or of a model: got {' and '.join(given)}.")

    @classmethod
    def of(cls, views: Iterable[str] | None, service: str | None, model: str | None, sample: int) -> Audits:
        if isinstance(views, str):
            raise InvalidRequest(f"views is a list of names, got {views!r:.80}")
        if views is not None and not (views := tuple(views)):
            raise InvalidRequest("no views were named to audit: leave views out to audit all of them")
        return cls(views, service, model, sample)


@dataclass(frozen=True, slots=True)
class Push:
    """Rows for a view: as a table, or as dicts."""

    view: str
    rows: pa.Table | tuple[Row, ...]
    key: str

    def __post_init__(self) -> None:
        _check_name("a view's name", self.view)
        if not is_text(self.key) or not self.key:
            raise InvalidRequest(
                f"key is {self.key!r:.80}, expected a text that names this piece of data and no other: pushed again, "
                "it changes nothing."
            )


@dataclass(frozen=True, slots=True)
class Lineage:
    urn: str
    down: bool

    def __post_init__(self) -> None:
        check_text("a URN", self.urn)


@dataclass(frozen=True, slots=True)
class Status:
    pass


@dataclass(frozen=True, slots=True)
class Catalog:
    pass


@dataclass(frozen=True, slots=True)
class ListModels:
    pass


@dataclass(frozen=True, slots=True)
class ReadModel:
    name: str

    def __post_init__(self) -> None:
        _check_model("a model's name", self.name)


@dataclass(frozen=True, slots=True)
class ReadVersion:
    """`name@3` or `name@champion`."""

    reference: str

    def __post_init__(self) -> None:
        _check_reference(self.reference)


@dataclass(frozen=True, slots=True)
class RegisterModel:
    """`particulars` is what POST /v1/models/{name}/versions takes, but for the artifact."""

    name: str
    artifact: bytes | Path
    particulars: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SetAlias:
    model: str
    alias: str
    version: int

    def __post_init__(self) -> None:
        _check_model("a model's name", self.model)
        _check_model("an alias", self.alias)
        if not isinstance(self.version, int) or isinstance(self.version, bool):
            raise InvalidModelReference(f"{self.version!r:.80} is not a version: they are numbered from 1")


@dataclass(frozen=True, slots=True)
class DeleteAlias:
    model: str
    alias: str

    def __post_init__(self) -> None:
        _check_model("a model's name", self.model)
        _check_model("an alias", self.alias)


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """A dataset's rows as the Parquet file they are kept in."""

    dataset: str


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    reference: str

    def __post_init__(self) -> None:
        _check_reference(self.reference)


FeatureQuestion = (
    PullTrainingSet
    | ExplainKnown
    | ListDatasets
    | ReadDataset
    | Rebuild
    | Audit
    | Audits
    | Skew
    | Lineage
    | Status
    | Catalog
)
ModelQuestion = ListModels | ReadModel | ReadVersion | SetAlias | DeleteAlias
Question = FeatureQuestion | ModelQuestion | RegisterModel | Push
"""Everything that is answered by one document."""

Download = DatasetFile | LoggedSpine | ArtifactFile
"""Everything that is answered by bytes."""


def utc(moment: datetime | None, *, what: str = "at") -> datetime | None:
    """A moment without a zone is in UTC."""
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        raise InvalidRequest(f"{what} is a datetime, got {moment!r:.80}")
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidRequest(
            f"{what} is {moment.isoformat()}, which is no moment in UTC of the years 1 to 9999"
        ) from error


def nameable(text: object) -> bool:
    """Whether a text can be one part of an address, and so name anything over HTTP."""
    return is_text(text) and text not in ("", ".", "..") and "/" not in str(text)


def _check_sample(sample: object) -> None:
    if not (isinstance(sample, int) and not isinstance(sample, bool) and 1 <= sample <= MOST_AUDITED):
        raise InvalidRequest(f"sample is {sample!r:.80}, expected a number of keys from 1 to {MOST_AUDITED}")


def _check_name(what: str, text: object) -> None:
    if not nameable(text):
        raise InvalidReference(f"{text!r:.80} can not be {what}")


def _check_model(what: str, text: object) -> None:
    if not nameable(text):
        raise InvalidModelReference(f"{text!r:.80} can not be {what}")


def _check_reference(text: object) -> None:
    model, _, target = str(text).rpartition("@")
    if not (nameable(model) and nameable(target)):
        raise InvalidModelReference(f"{text!r:.80} is not a model version: write name@version or name@alias")
