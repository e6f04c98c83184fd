"""Read a version's artifact, streamed and verified. Nobody here looks into the bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from registry.operations.read_models import read_version
from registry.ports import RegistryStores
from registry.records import Artifact
from registry.reference import ModelReference


@dataclass(frozen=True, slots=True)
class ArtifactStream:
    artifact: Artifact
    chunks: Iterator[bytes]
    """Raises StoreCorrupted after the last chunk when the bytes are not the registered ones."""


def read_artifact(reference: ModelReference, stores: RegistryStores) -> ArtifactStream:
    """Raises ModelNotFound, VersionNotFound, AliasNotFound; UnknownName when the object store lost the bytes."""
    artifact = read_version(reference, stores).artifact
    return ArtifactStream(artifact, stores.objects.read(artifact.sha256))
