"""The whole project wired: the registry's adapters, and the feature store that stands below it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from featurestore.adapters.sql_database import upgrade
from featurestore.operations.prepared_lookups import PreparedLookups
from featurestore.service.served import LoopReaders, ServedFeatures
from featurestore.settings import Settings, read_settings
from featurestore.wiring import FeatureStore, check_folders, open_database, wire
from registry.adapters.artifact_users import RegisteredArtifacts
from registry.adapters.dataset_users import RegisteredDatasetUsers
from registry.adapters.sql_aliases import SqlAliases
from registry.adapters.sql_models import SqlModels
from registry.adapters.sql_tables import REGISTRY_MIGRATIONS
from registry.operations.model_features import RegisteredModelFeatures
from registry.operations.read_lineage import read_lineage
from registry.ports import RegistryStores
from registry.service.served import ServedProject


@dataclass(frozen=True, slots=True)
class WiredProject:
    """Both storeys of one project. Close it when done."""

    features: FeatureStore
    registry: RegistryStores

    def close(self) -> None:
        self.features.close()


def open_project(folder: Path, overrides: Mapping[str, object] | None = None) -> WiredProject:
    """The project in `folder`, with `overrides` over its settings. Raises SettingsError when there is none, or its
    settings are wrong."""
    return wire_project(read_settings(folder, overrides))


def wire_project(settings: Settings) -> WiredProject:
    """The project of these settings, its state brought to the newest layout."""
    check_folders(settings)
    database = open_database(settings)
    upgrade(database, REGISTRY_MIGRATIONS)
    models = SqlModels(database)
    aliases = SqlAliases(database)
    features = wire(settings, database, RegisteredDatasetUsers(models, aliases), RegisteredArtifacts(models))
    return WiredProject(features, RegistryStores(models, aliases, features.archive.objects, features.archive.datasets))


def served_project(project: WiredProject) -> ServedProject:
    """The project as it is served, over HTTP or in this process. Closing it stays with whoever opened the project."""
    features, registry = project.features, project.registry
    catalog = features.project.catalog
    served = ServedFeatures(
        catalog=catalog,
        offline=features.offline,
        online=features.online,
        archive=features.archive,
        frames=features.frames,
        lookups=PreparedLookups(catalog, RegisteredModelFeatures(registry), features.prepare),
        readers=LoopReaders(features.open_reader),
        lineage=lambda urn, direction: read_lineage(urn, direction, catalog, registry),
        clock=features.clock,
        serving_log=features.serving_log,
    )
    return ServedProject(served, registry)
