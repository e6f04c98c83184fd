"""Which models depend on a dataset: the feature store's question, answered from the registry."""

from __future__ import annotations

from collections.abc import Collection

from featurestore.ports.model_usage import DatasetUse
from registry.ports import AliasStore, ModelStore
from registry.records import ModelVersion


class RegisteredDatasetUsers:
    """A ModelUsage: every registered version uses the dataset it was trained on."""

    def __init__(self, models: ModelStore, aliases: AliasStore) -> None:
        self._models = models
        self._aliases = aliases

    def users_of(self, datasets: Collection[str]) -> tuple[DatasetUse, ...]:
        versions = self._models.trained_on(datasets)
        aliases = self._names_of(versions)
        uses = [
            DatasetUse(version.dataset, version.urn, tuple(aliases.get((version.model, version.version), ())))
            for version in versions
            if version.dataset is not None
        ]
        return tuple(sorted(uses, key=lambda use: use.user))

    def _names_of(self, versions: Collection[ModelVersion]) -> dict[tuple[str, int], list[str]]:
        names: dict[tuple[str, int], list[str]] = {}
        for model in {version.model for version in versions}:
            for alias in self._aliases.aliases(model):
                names.setdefault((model, alias.version), []).append(alias.name)
        return names
