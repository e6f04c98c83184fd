"""Registering, reading and naming models, with every port in memory."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from featurestore.adapters.memory_objects import MemoryObjects
from featurestore.adapters.memory_state import MemoryDatasets
from featurestore.errors import StoreCorrupted, UnknownName
from featurestore.graph.resolved import FeatureSet, OutputColumn
from featurestore.ports.state import Manifest, PinnedTable
from featurestore.spec.dtypes import DType
from registry.adapters.memory_models import MemoryAliases, MemoryModels
from registry.errors import AliasNotFound, ModelNotFound, RegistrationKeyReused, VersionNotFound
from registry.operations.delete_alias import delete_alias
from registry.operations.read_artifact import read_artifact
from registry.operations.read_models import list_models, read_model, read_version
from registry.operations.register_model import register_model
from registry.operations.set_alias import set_alias
from registry.ports import RegistryStores
from registry.records import Alias, ModelVersion, RegistrationRequest, UsedFeature, UsedTable
from registry.reference import ModelReference

NOON = datetime(2014, 1, 1, 12, tzinfo=UTC)
DATASET = "abcdef" + "0" * 58
WIND = OutputColumn("dest_weather__wind", DType.FLOAT64, "dest_weather:wind", "f" * 64)
MANIFEST = Manifest(
    id=DATASET,
    features=FeatureSet(service=None, views=(), uses=(), on_demand=(), outputs=(WIND,)),
    tables=(PinnedTable("weather@ffffffff", "weather", "f" * 64, 12, NOON, ()),),
    spine="5" * 64,
    spine_kept=True,
    timestamp="at",
    label=None,
    rows=0,
    first=None,
    last=None,
    result="6" * 64,
    result_size=0,
    profile=(),
    libraries=(),
    warnings=(),
    created_at=NOON,
)
REQUEST = RegistrationRequest(
    model="delay", file_name="delay.pkl", dataset=DATASET, metrics=(("auc", 0.7),), registered_by="ada"
)


@pytest.fixture
def stores(tmp_path: Path) -> RegistryStores:
    models, datasets = MemoryModels(), MemoryDatasets()
    datasets.put(MANIFEST)
    return RegistryStores(models, MemoryAliases(models), MemoryObjects(tmp_path), datasets)


def register(stores: RegistryStores, request: RegistrationRequest = REQUEST, data: bytes = b"model") -> ModelVersion:
    return register_model(request, io.BytesIO(data), stores, NOON)


def test_a_version_knows_the_features_and_tables_of_its_dataset(stores: RegistryStores) -> None:
    version = register(stores)

    assert version.urn == "model:delay@1"
    assert version.features == (UsedFeature("dest_weather:wind", "dest_weather__wind", "f" * 64),)
    assert version.tables == (UsedTable("weather@ffffffff", 12),)
    assert version.metrics == (("auc", 0.7),)
    assert version.registered_at == NOON


def test_the_beginning_of_a_dataset_id_is_kept_whole(stores: RegistryStores) -> None:
    assert register(stores, replace(REQUEST, dataset="abcdef")).dataset == DATASET


def test_an_unknown_dataset_registers_nothing(stores: RegistryStores) -> None:
    with pytest.raises(UnknownName, match="dataset"):
        register(stores, replace(REQUEST, dataset="nosuch"))

    assert list_models(stores) == ()


def test_a_model_without_a_dataset_keeps_the_reason(stores: RegistryStores) -> None:
    version = register(stores, replace(REQUEST, dataset=None, no_dataset=True, no_dataset_reason="bought"))

    assert (version.dataset, version.no_dataset_reason, version.features) == (None, "bought", ())


def test_content_that_breaks_off_registers_nothing(stores: RegistryStores) -> None:
    closed = io.BytesIO(b"model")
    closed.close()

    with pytest.raises(ValueError, match="closed file"):
        register_model(REQUEST, closed, stores, NOON)

    assert list_models(stores) == ()


def test_a_registration_can_be_repeated_by_its_key(stores: RegistryStores) -> None:
    first = register(stores, replace(REQUEST, key="run-1"))

    again = register_model(replace(REQUEST, key="run-1"), io.BytesIO(b"model"), stores, NOON + timedelta(hours=1))

    assert again == first


def test_a_key_does_not_stand_for_two_models(stores: RegistryStores) -> None:
    register(stores, replace(REQUEST, key="run-1"))

    with pytest.raises(RegistrationKeyReused, match="delay@1"):
        register(stores, replace(REQUEST, key="run-1"), b"another model")


def test_a_version_is_read_by_number_and_by_alias(stores: RegistryStores) -> None:
    first, second = register(stores), register(stores)
    champion = Alias(model="delay", name="champion", version=1, moved_at=NOON)

    assert set_alias(champion, stores) == first
    assert read_version(ModelReference.parse("delay@champion"), stores) == first
    assert read_version(ModelReference.parse("delay@2"), stores) == second


def test_a_model_is_read_with_its_versions_and_aliases(stores: RegistryStores) -> None:
    version = register(stores)
    champion = Alias(model="delay", name="champion", version=1, moved_at=NOON)
    set_alias(champion, stores)

    overview = read_model("delay", stores)

    assert (overview.model.name, overview.versions, overview.aliases) == ("delay", (version,), (champion,))


def test_what_is_not_there_is_named(stores: RegistryStores) -> None:
    register(stores)

    with pytest.raises(ModelNotFound, match="Did you mean 'delay'"):
        read_model("dely", stores)
    with pytest.raises(VersionNotFound, match="version 1 only"):
        read_version(ModelReference("delay", 2), stores)
    with pytest.raises(AliasNotFound, match="None exist yet"):
        read_version(ModelReference("delay", "champion"), stores)


def test_a_deleted_alias_means_nothing_any_more(stores: RegistryStores) -> None:
    register(stores)
    set_alias(Alias(model="delay", name="champion", version=1, moved_at=NOON), stores)
    delete_alias("delay", "champion", stores)

    with pytest.raises(AliasNotFound):
        read_version(ModelReference("delay", "champion"), stores)


def test_an_artifact_is_read_as_it_was_registered(stores: RegistryStores) -> None:
    register(stores)

    stream = read_artifact(ModelReference("delay", 1), stores)

    assert (stream.artifact.file_name, stream.artifact.size) == ("delay.pkl", 5)
    assert b"".join(stream.chunks) == b"model"


def test_a_damaged_artifact_is_noticed(stores: RegistryStores) -> None:
    version = register(stores)
    assert isinstance(stores.objects, MemoryObjects)
    stores.objects.contents[version.artifact.sha256] = b"other"

    with pytest.raises(StoreCorrupted):
        list(read_artifact(ModelReference("delay", 1), stores).chunks)
