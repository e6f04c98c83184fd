"""What the registry keeps: models, their immutable versions, and the aliases that point at them.

Records are checked when built, by the rules of `registry/rules.py`. How they are stored is left to the adapters.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from featurestore.ports.objects import ObjectReference
from registry.errors import InvalidRegistration
from registry.rules import (
    check_alias,
    check_model_name,
    check_version_number,
    dataset_problems,
    file_name_problems,
    model_name_problems,
    pairs_problems,
    text_problems,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredModel:
    """A model by its name. It exists from the registration of its first version on."""

    name: str
    created_at: datetime
    owner: str = ""
    description: str = ""
    tags: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check_model_name(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """The model's file: where its bytes are in the object store, and what the file was called."""

    sha256: str
    size: int
    file_name: str

    @property
    def object(self) -> ObjectReference:
        return ObjectReference(self.sha256, self.size)


@dataclass(frozen=True, slots=True)
class UsedFeature:
    """A feature as a version was trained on it: `reference` is `view:feature` or the name of an on-demand feature."""

    reference: str
    column: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class UsedTable:
    """The version of a view's Delta table that the training rows came from."""

    table: str
    version: int


@dataclass(frozen=True, slots=True)
class SignatureColumn:
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and gives, column by column, in order."""

    inputs: tuple[SignatureColumn, ...] = ()
    outputs: tuple[SignatureColumn, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Particulars:
    """What whoever registers a version says of it; kept as it was said. Metrics may be NaN or infinite."""

    params: tuple[tuple[str, str], ...] = ()
    metrics: tuple[tuple[str, float], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    """The versions of Python and of the libraries that trained the model."""
    code_commit: str | None = None
    run_id: str | None = None
    signature: Signature | None = None
    description: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    registered_by: str = ""
    key: str | None = None
    """Registering again with the key of an earlier registration gives that version back, not a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRequest(Particulars):
    """A wish to register a version: its dataset by id, or `no_dataset=True` and the reason why there is none."""

    model: str
    file_name: str
    dataset: str | None = None
    no_dataset: bool = False
    no_dataset_reason: str | None = None

    def __post_init__(self) -> None:
        problems = (
            *model_name_problems(self.model),
            *file_name_problems(self.file_name),
            *dataset_problems(self.dataset, self.no_dataset, self.no_dataset_reason),
            *text_problems("no_dataset_reason", self.no_dataset_reason),
            *particulars_problems(self),
        )
        if problems:
            raise InvalidRegistration(self.model, problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration(Particulars):
    """All that is known of a version before it has its number."""

    model: str
    dataset: str | None
    no_dataset_reason: str | None
    artifact: Artifact
    features: tuple[UsedFeature, ...]
    tables: tuple[UsedTable, ...]
    registered_at: datetime

    def numbered(self, version: int) -> ModelVersion:
        values = {field.name: getattr(self, field.name) for field in fields(Registration)}
        return ModelVersion(version=version, **values)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion(Registration):
    """One registered version. It never changes, and its number is never given to another."""

    version: int

    def __post_init__(self) -> None:
        check_version_number(self.model, self.version)

    @property
    def reference(self) -> str:
        return f"{self.model}@{self.version}"

    @property
    def urn(self) -> str:
        return f"model:{self.reference}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A movable name for one version of a model, such as `champion`."""

    model: str
    name: str
    version: int
    moved_at: datetime
    moved_by: str = ""

    def __post_init__(self) -> None:
        check_alias(self.name)
        check_version_number(self.model, self.version)

    @property
    def urn(self) -> str:
        return f"alias:{self.model}@{self.name}"


def particulars_problems(particulars: Particulars) -> tuple[str, ...]:
    return (
        *pairs_problems("param", particulars.params, str),
        *pairs_problems("metric", particulars.metrics, float),
        *pairs_problems("environment entry", particulars.environment, str),
        *pairs_problems("tag", particulars.tags, str),
        *(("the key is empty: give one, or None",) if particulars.key == "" else ()),
        *text_problems("key", particulars.key),
        *text_problems("code commit", particulars.code_commit),
        *text_problems("run id", particulars.run_id),
        *text_problems("description", particulars.description),
        *text_problems("name of who registers", particulars.registered_by),
    )
