"""Which objects registered models are: the feature store's question, answered from the registry."""

from __future__ import annotations

from featurestore.ports.object_usage import ObjectUse
from registry.ports import ModelStore


class RegisteredArtifacts:
    """An ObjectUsage: every registered version keeps its artifact."""

    def __init__(self, models: ModelStore) -> None:
        self._models = models

    def objects(self) -> tuple[ObjectUse, ...]:
        versions = [version for model in self._models.models() for version in self._models.versions(model.name)]
        uses = [ObjectUse(version.artifact.sha256, version.artifact.size, version.urn) for version in versions]
        return tuple(sorted(uses, key=lambda use: use.user))
