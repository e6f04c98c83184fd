"""What the whole service is given: the served feature store, and the registry that stands on it."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.service.served import ServedFeatures
from registry.ports import RegistryStores


@dataclass(frozen=True, slots=True)
class ServedProject:
    features: ServedFeatures
    registry: RegistryStores
