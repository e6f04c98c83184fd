"""The whole project wired: the registry's adapters, and the feature store that stands below it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from featurestore.adapters.sql_database import upgrade
from featurestore.settings import Settings, read_settings
from featurestore.wiring import FeatureStore, open_database, wire
from registry.adapters.dataset_users import RegisteredDatasetUsers
from registry.adapters.sql_aliases import SqlAliases
from registry.adapters.sql_models import SqlModels
from registry.adapters.sql_tables import REGISTRY_MIGRATIONS
from registry.ports import RegistryStores


@dataclass(frozen=True, slots=True)
class WiredProject:
    """Both storeys of one project. Close it when done."""

    features: FeatureStore
    registry: RegistryStores

    def close(self) -> None:
        self.features.close()


def open_project(folder: Path) -> WiredProject:
    """The project in `folder`. Raises SettingsError when there is none, or its settings are wrong."""
    return wire_project(read_settings(folder))


def wire_project(settings: Settings) -> WiredProject:
    """The project of these settings, its state brought to the newest layout."""
    database = open_database(settings)
    upgrade(database, REGISTRY_MIGRATIONS)
    models = SqlModels(database)
    aliases = SqlAliases(database)
    features = wire(settings, database, RegisteredDatasetUsers(models, aliases))
    return WiredProject(
        features, RegistryStores(models, aliases, features.archive.objects, features.archive.datasets)
    )
