"""What the service is given: the ports of a wired feature store, and the lookups that were prepared for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from featurestore.graph.lineage import Direction, LineageTree
from featurestore.operations.prepared_lookups import PreparedLookups
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.operations.training_set import Archive
from featurestore.ports.state import CatalogState

ReadLineage = Callable[[str, Direction], LineageTree]
"""The storey above answers with its models and aliases."""


@dataclass(frozen=True, slots=True)
class ServedFeatures:
    """A feature store as it is served. Threads share it."""

    catalog: CatalogState
    offline: OfflineSide
    online: OnlineSide
    archive: Archive
    lookups: PreparedLookups
    lineage: ReadLineage
    clock: Callable[[], datetime]
