"""Read what is registered: every model, one model with its versions and aliases, one version by its reference."""

from __future__ import annotations

from dataclasses import dataclass

from registry.errors import AliasNotFound, ModelNotFound
from registry.ports import RegistryStores
from registry.records import Alias, ModelVersion, RegisteredModel
from registry.reference import ModelReference


@dataclass(frozen=True, slots=True)
class ModelOverview:
    """A model with all its versions, oldest first, and its aliases, by name."""

    model: RegisteredModel
    versions: tuple[ModelVersion, ...]
    aliases: tuple[Alias, ...]


def list_models(stores: RegistryStores) -> tuple[RegisteredModel, ...]:
    """Every registered model, by name."""
    return stores.models.models()


def read_model(name: str, stores: RegistryStores) -> ModelOverview:
    """Raises ModelNotFound."""
    models = {model.name: model for model in stores.models.models()}
    if name not in models:
        raise ModelNotFound(name, models)
    return ModelOverview(models[name], stores.models.versions(name), stores.aliases.aliases(name))


def read_version(reference: ModelReference, stores: RegistryStores) -> ModelVersion:
    """The version that `name@3` or `name@champion` means now. Raises ModelNotFound, VersionNotFound, AliasNotFound."""
    match reference.target:
        case int() as number:
            return stores.models.version(reference.model, number)
        case str() as alias:
            return stores.models.version(reference.model, _aliased(reference.model, alias, stores))


def _aliased(model: str, name: str, stores: RegistryStores) -> int:
    aliases = {alias.name: alias.version for alias in stores.aliases.aliases(model)}
    if name not in aliases:
        raise AliasNotFound(model, name, aliases)
    return aliases[name]
