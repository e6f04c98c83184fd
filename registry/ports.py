"""What the registry needs of the outside: somewhere to keep versions, and somewhere to keep aliases."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from featurestore.ports.objects import ObjectStore
from featurestore.ports.state import DatasetState
from registry.records import Alias, ModelVersion, RegisteredModel, Registration


class ModelStore(Protocol):
    """Models and their versions. Versions are only ever added."""

    def register(self, registration: Registration) -> ModelVersion:
        """Keep it under the model's next number, or give back the version that its key registered before.

        The model's first version creates the model. In one transaction; numbers have no holes and are never reused.
        """
        ...

    def models(self) -> tuple[RegisteredModel, ...]:
        """Every model, by name."""
        ...

    def versions(self, model: str) -> tuple[ModelVersion, ...]:
        """Every version of the model, by number. Raises ModelNotFound."""
        ...

    def version(self, model: str, version: int) -> ModelVersion:
        """Raises ModelNotFound, VersionNotFound."""
        ...

    def trained_on(self, datasets: Collection[str]) -> tuple[ModelVersion, ...]:
        """The versions that were trained on any of these datasets, by model and number."""
        ...


class AliasStore(Protocol):
    def aliases(self, model: str) -> tuple[Alias, ...]:
        """The model's aliases, by name. Raises ModelNotFound."""
        ...

    def move(self, alias: Alias) -> None:
        """Let the alias point where it says, whether it exists or not. Raises ModelNotFound, VersionNotFound."""
        ...

    def remove(self, model: str, name: str) -> None:
        """Forget the alias; the version stays. Raises ModelNotFound, AliasNotFound."""
        ...


@dataclass(frozen=True, slots=True)
class RegistryStores:
    """Where the registry's operations read and write."""

    models: ModelStore
    aliases: AliasStore
    objects: ObjectStore
    datasets: DatasetState
