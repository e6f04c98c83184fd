"""What the registry can be asked, as functions of what is served: HTTP routes and the SDK in this process call them."""

from __future__ import annotations

from typing import BinaryIO

from featurestore.service.wire import Document, Json
from registry.operations.delete_alias import delete_alias
from registry.operations.read_artifact import ArtifactStream, read_artifact
from registry.operations.read_models import list_models, read_model, read_version
from registry.operations.register_model import register_model, register_stored
from registry.operations.set_alias import set_alias
from registry.records import Alias, RegistrationRequest
from registry.reference import ModelReference
from registry.service.documents import alias_document, model_document, overview_document, version_document
from registry.service.served import ServedProject


def models(served: ServedProject) -> list[Json]:
    return [model_document(model) for model in list_models(served.registry)]


def model(served: ServedProject, name: str) -> Document:
    return overview_document(read_model(name, served.registry))


def version(served: ServedProject, reference: ModelReference) -> Document:
    return version_document(read_version(reference, served.registry))


def register(served: ServedProject, request: RegistrationRequest, content: BinaryIO) -> Document:
    served.features.offline.claim()
    return version_document(register_model(request, content, served.registry, served.features.clock()))


def register_uploaded(served: ServedProject, request: RegistrationRequest, sha256: str) -> Document:
    served.features.offline.claim()
    return version_document(register_stored(request, sha256, served.registry, served.features.clock()))


def store_artifact(served: ServedProject, content: BinaryIO) -> Document:
    served.features.offline.claim()
    stored = served.registry.objects.put(content)
    return {"sha256": stored.sha256, "size": stored.size}


def artifact(served: ServedProject, reference: ModelReference) -> ArtifactStream:
    return read_artifact(reference, served.registry)


def point_alias(served: ServedProject, model_name: str, alias: str, version_number: int) -> Document:
    """From now on `model_name@alias` means this version. Raises InvalidAlias, ModelNotFound, VersionNotFound."""
    moved = Alias(model=model_name, name=alias, version=version_number, moved_at=served.features.clock())
    set_alias(moved, served.registry)
    served.features.lookups.refresh()
    return alias_document(moved)


def forget_alias(served: ServedProject, model_name: str, alias: str) -> None:
    delete_alias(model_name, alias, served.registry)
    served.features.lookups.refresh()
