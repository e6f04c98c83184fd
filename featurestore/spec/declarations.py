"""All that one definitions folder declares, as found and not yet checked against each other."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.spec.entity import Entity
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import Source

Declaration = Entity | Source | FeatureView | OnDemandFeature | FeatureService


@dataclass(frozen=True, slots=True)
class Declarations:
    """The declarations of a folder in the order of their files and lines. Duplicate names are still in it."""

    entities: tuple[Entity, ...] = ()
    sources: tuple[Source, ...] = ()
    views: tuple[FeatureView, ...] = ()
    on_demand: tuple[OnDemandFeature, ...] = ()
    services: tuple[FeatureService, ...] = ()
