"""Models and aliases in memory: the twins of `sql_models.py` and `sql_aliases.py`, for tests."""

from __future__ import annotations

import threading
from collections.abc import Collection

from registry.errors import AliasNotFound, ModelNotFound, VersionNotFound
from registry.records import Alias, ModelVersion, RegisteredModel, Registration


class MemoryModels:
    def __init__(self) -> None:
        self._models: dict[str, RegisteredModel] = {}
        self._versions: dict[str, list[ModelVersion]] = {}
        self._lock = threading.Lock()

    def register(self, registration: Registration) -> ModelVersion:
        with self._lock:
            versions = self._versions.setdefault(registration.model, [])
            for version in versions:
                if registration.key is not None and version.key == registration.key:
                    return version
            if not versions:
                self._models[registration.model] = RegisteredModel(
                    name=registration.model, created_at=registration.registered_at, owner=registration.registered_by
                )
            versions.append(registration.numbered(len(versions) + 1))
            return versions[-1]

    def models(self) -> tuple[RegisteredModel, ...]:
        return tuple(model for _, model in sorted(self._models.items()))

    def versions(self, model: str) -> tuple[ModelVersion, ...]:
        if model not in self._models:
            raise ModelNotFound(model, self._models)
        return tuple(self._versions[model])

    def version(self, model: str, version: int) -> ModelVersion:
        versions = {known.version: known for known in self.versions(model)}
        if version not in versions:
            raise VersionNotFound(model, version, versions)
        return versions[version]

    def trained_on(self, datasets: Collection[str]) -> tuple[ModelVersion, ...]:
        return tuple(
            version for model in self.models() for version in self.versions(model.name) if version.dataset in datasets
        )


class MemoryAliases:
    def __init__(self, models: MemoryModels) -> None:
        self._models = models
        self._aliases: dict[tuple[str, str], Alias] = {}

    def aliases(self, model: str) -> tuple[Alias, ...]:
        self._models.versions(model)
        return tuple(alias for (owner, _), alias in sorted(self._aliases.items()) if owner == model)

    def move(self, alias: Alias) -> None:
        self._models.version(alias.model, alias.version)
        self._aliases[alias.model, alias.name] = alias

    def remove(self, model: str, name: str) -> None:
        known = [alias.name for alias in self.aliases(model)]
        if name not in known:
            raise AliasNotFound(model, name, known)
        del self._aliases[model, name]
