"""Register a model version: its artifact into the object store first, its record last."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import BinaryIO

from featurestore.ports.objects import ObjectReference
from featurestore.ports.state import Manifest
from registry.errors import RegistrationKeyReused
from registry.ports import RegistryStores
from registry.records import (
    Artifact,
    ModelVersion,
    Particulars,
    Registration,
    RegistrationRequest,
    UsedFeature,
    UsedTable,
)


def register_model(
    request: RegistrationRequest, content: BinaryIO, stores: RegistryStores, now: datetime
) -> ModelVersion:
    """A new version of `request.model`, whose artifact is what `content` reads, streamed.

    The features and their fingerprints are those of the dataset; nobody needs to remember them. Each call makes a
    version of its own, but one with the key of an earlier call gives that call's version, so it can be repeated
    safely. Raises UnknownName for a dataset that does not exist, RegistrationKeyReused.
    """
    manifest = _manifest(request, stores)
    stored = stores.objects.put(content)
    return _register(request, stored, manifest, stores, now)


def register_stored(request: RegistrationRequest, sha256: str, stores: RegistryStores, now: datetime) -> ModelVersion:
    """As `register_model`, of an artifact whose bytes are in the object store already: they are read through once.

    Raises UnknownName when they are not there, StoreCorrupted when they are not the stored ones any more.
    """
    manifest = _manifest(request, stores)
    size = sum(len(chunk) for chunk in stores.objects.read(sha256))
    return _register(request, ObjectReference(sha256, size), manifest, stores, now)


def _manifest(request: RegistrationRequest, stores: RegistryStores) -> Manifest | None:
    return None if request.dataset is None or request.no_dataset else stores.datasets.get(request.dataset)


def _register(
    request: RegistrationRequest,
    stored: ObjectReference,
    manifest: Manifest | None,
    stores: RegistryStores,
    now: datetime,
) -> ModelVersion:
    artifact = Artifact(sha256=stored.sha256, size=stored.size, file_name=request.file_name)
    registration = _registration(request, artifact, manifest, now)
    version = stores.models.register(registration)
    _check_same_subject(registration, version)
    return version


def _registration(
    request: RegistrationRequest, artifact: Artifact, manifest: Manifest | None, now: datetime
) -> Registration:
    particulars = {field.name: getattr(request, field.name) for field in fields(Particulars)}
    return Registration(
        model=request.model,
        dataset=manifest.id if manifest else None,
        no_dataset_reason=request.no_dataset_reason,
        artifact=artifact,
        features=_used_features(manifest) if manifest else (),
        tables=_used_tables(manifest) if manifest else (),
        registered_at=now,
        **particulars,
    )


def _used_features(manifest: Manifest) -> tuple[UsedFeature, ...]:
    return tuple(UsedFeature(output.reference, output.name, output.fingerprint) for output in manifest.features.outputs)


def _used_tables(manifest: Manifest) -> tuple[UsedTable, ...]:
    return tuple(UsedTable(pinned.table, pinned.version) for pinned in manifest.tables)


def _check_same_subject(asked: Registration, version: ModelVersion) -> None:
    """A key may come back with other words about the model, but not with another model."""
    if version.key is None:
        return
    if (version.artifact.sha256, version.dataset) != (asked.artifact.sha256, asked.dataset):
        raise RegistrationKeyReused(version.model, version.key, version.version)
