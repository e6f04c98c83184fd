"""Prepared lookups, kept and kept fresh: a lookup itself asks no database.

A background thread looks every second whether something was applied, or an alias moved, and prepares again what that
concerns; whoever changes something in this process has it done at once. While the state can not be read, lookups go on
with what they know.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from featurestore.errors import KnownatError, NotApplied, StoreUnavailable, UnsupportedOperation
from featurestore.graph.resolved import FeatureSet
from featurestore.operations.chosen_features import FeatureChoice, applied_graph, chosen_features
from featurestore.operations.lookup import PreparedLookup
from featurestore.ports.model_features import ModelFeatures
from featurestore.ports.state import AppliedGraph, CatalogState

MOST_KEPT = 1_024
REFRESH_SECONDS = 1.0
CLOSE_SECONDS = 2.0
"""How long whoever closes waits for the background thread, which may wait for a database that does not answer."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kept:
    """`made_from`: the number of the applied graph, or the model version, that the lookup was prepared for."""

    lookup: PreparedLookup
    made_from: int | str


class PreparedLookups:
    """Threads may share one. Close it when done."""

    def __init__(
        self,
        catalog: CatalogState,
        models: ModelFeatures,
        prepare: Callable[[FeatureSet], PreparedLookup],
        *,
        most_kept: int = MOST_KEPT,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> None:
        self._catalog = catalog
        self._models = models
        self._most_kept = most_kept
        self._refresh_seconds = refresh_seconds
        self._prepare = prepare
        self._applied: AppliedGraph | None = None
        self._kept: OrderedDict[FeatureChoice, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None

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
        if (kept := self.kept(choice)) is not None:
            return kept
        made = self._made(choice)  # outside the lock: two threads may prepare the same once, and nobody waits for them
        self._keep(choice, made)
        self._watch()
        return made.lookup

    def kept(self, choice: FeatureChoice) -> PreparedLookup | None:
        """What was prepared before. Asks nobody."""
        with self._lock:
            if (found := self._kept.get(choice)) is None:
                return None
            self._kept.move_to_end(choice)
            return found.lookup

    def prepare_services(self) -> None:
        """Prepare every service that is applied, so that the first request of each is as fast as the next."""
        for service in self.applied().graph.services:
            self.of(FeatureChoice(service=service.name))

    def refresh(self) -> bool:
        """Prepare again what an apply or a moved alias concerns; return whether there was something. What can not be
        prepared any more is forgotten: the next request is told why. Raises StoreUnavailable."""
        serial = self._catalog.serial()
        changed = False
        with self._lock:  # looking at a choice takes its hash, and lets other threads in between
            known = list(self._kept.items())
        for choice, kept in known:
            now = self._made_from(choice, serial)
            if now != kept.made_from:
                changed = True
                self._renew(choice)
        return changed

    def close(self) -> None:
        """End the background thread. One that waits for the state ends with its answer."""
        self._closed.set()
        if self._watcher is not None:
            self._watcher.join(CLOSE_SECONDS)

    def version_of(self, model: str) -> str:
        """The model version that a name such as `fraud@champion` means now, as `fraud@3`."""
        return self._models.version_of(model)

    def _made_from(self, choice: FeatureChoice, serial: int | None) -> int | str | None:
        """None where what was chosen is gone."""
        if choice.model is None:
            return serial
        try:
            return self._models.version_of(choice.model)
        except StoreUnavailable:
            raise
        except KnownatError:
            return None

    def _made(self, choice: FeatureChoice) -> _Kept:
        if choice.model is not None:
            version = self._models.version_of(choice.model)
            if version != choice.model:  # an alias: what it means is kept once, under the version's own name
                return _Kept(self.of(FeatureChoice(model=version)), version)
            prepared = self._prepare(self._models.features_of(version))
            return _Kept(replace(prepared, model=version), version)
        applied = self.applied()
        return _Kept(self._prepare(chosen_features(choice, applied.graph)), applied.serial)

    def _renew(self, choice: FeatureChoice) -> None:
        try:
            self._keep(choice, self._made(choice))
        except StoreUnavailable:
            raise
        except KnownatError:
            with self._lock:
                self._kept.pop(choice, None)

    def _keep(self, choice: FeatureChoice, made: _Kept) -> None:
        with self._lock:
            self._kept[choice] = made
            self._kept.move_to_end(choice)
            while len(self._kept) > self._most_kept:
                self._kept.popitem(last=False)

    def _watch(self) -> None:
        with self._lock:
            if self._watcher is None and not self._closed.is_set():
                arguments = (weakref.ref(self), self._closed, self._refresh_seconds)
                self._watcher = threading.Thread(target=_watch, args=arguments, name="knownat-refresh", daemon=True)
                self._watcher.start()


def _watch(lookups: weakref.ref[PreparedLookups], closed: threading.Event, seconds: float) -> None:
    """Until the lookups are closed, or nobody has them any more."""
    told = False
    while not closed.wait(seconds):
        watched = lookups()
        if watched is None:
            return
        try:
            watched.refresh()
            told = False
        except Exception as error:  # noqa: BLE001 - the edge of a thread: lookups go on with what they know
            if not told:
                _LOG.warning("Applied definitions can not be read, lookups go on with those known: %s", error)
            told = True
        del watched


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
