"""Prepared lookups, kept: preparing a feature set costs more than looking it up.

What is kept is bounded, and never stale: a service's or a reference's features belong to the applied graph they were
chosen from, and a model version's never change.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from featurestore.errors import NotApplied, UnsupportedOperation
from featurestore.graph.resolved import FeatureSet
from featurestore.operations.chosen_features import FeatureChoice, applied_graph, chosen_features
from featurestore.operations.lookup import PreparedLookup, prepare
from featurestore.ports.model_features import ModelFeatures
from featurestore.ports.state import AppliedGraph, CatalogState

MOST_KEPT = 256

_Key = tuple[int | None, FeatureChoice]


class PreparedLookups:
    """Threads may share one."""

    def __init__(self, catalog: CatalogState, models: ModelFeatures, *, most_kept: int = MOST_KEPT) -> None:
        self._catalog = catalog
        self._models = models
        self._most_kept = most_kept
        self._applied: AppliedGraph | None = None
        self._kept: OrderedDict[_Key, PreparedLookup] = OrderedDict()
        self._lock = threading.Lock()

    def applied(self) -> AppliedGraph:
        """What readers see now: after an apply, the next call already returns the new graph. Raises NotApplied."""
        known = self._applied
        serial = self._catalog.serial()
        if serial is None:
            raise NotApplied("Nothing has been applied yet: there are no features. Run `knownat apply`.")
        if known is None or known.serial != serial:
            known = self._applied = applied_graph(self._catalog)
        return known

    def of(self, choice: FeatureChoice) -> PreparedLookup:
        """Raises UnknownName, InvalidReference, NotApplied, and what the port says of an unknown model."""
        if choice.model is not None:
            version = self._models.version_of(choice.model)
            return self._get((None, FeatureChoice(model=version)), lambda: prepare(self._models.features_of(version)))
        applied = self.applied()
        return self._get((applied.serial, choice), lambda: prepare(chosen_features(choice, applied.graph)))

    def _get(self, key: _Key, make: Callable[[], PreparedLookup]) -> PreparedLookup:
        with self._lock:
            if (found := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return found
        made = make()  # outside the lock: two threads may prepare the same once, and nobody waits for them
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self._most_kept:
                self._kept.popitem(last=False)
        return made


class NoModels:
    """A ModelFeatures where there is no registry."""

    def version_of(self, model: str) -> str:
        raise UnsupportedOperation(_no_registry(model))

    def features_of(self, version: str) -> FeatureSet:
        raise UnsupportedOperation(_no_registry(version))


def _no_registry(model: str) -> str:
    return (
        f"Features can not be looked up by model ('{model}') here: this service has no model registry. "
        "Name them by service or by references, or ask a service that serves the whole project."
    )
