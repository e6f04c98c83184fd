"""Audit of several views: those that are named, all that are applied, or those of a feature service or a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from featurestore.errors import InvalidRequest
from featurestore.graph.resolved import FeatureSet, Graph
from featurestore.operations.audit import AuditedStore, audit
from featurestore.operations.audit_report import AuditedView, ViewAudit


@dataclass(frozen=True, slots=True)
class AuditChoice:
    """What to audit: views by their names, the views of a feature service, or what a model was trained on; with none
    of them, every applied view. Raises InvalidRequest for several."""

    views: tuple[str, ...] | None = None
    service: str | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("views", "service", "model") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InvalidRequest(f"An audit is of views, of a service or of a model: got {' and '.join(given)}.")


def audit_views(
    asked: Sequence[AuditedView], sample: int, store: AuditedStore, applied: Graph
) -> tuple[ViewAudit, ...]:
    """One audit after the other. A view that is asked for at another fingerprint than the applied one is said to be."""
    tables = {view.name: view.table for view in applied.views}
    found = (audit(one, sample, store) for one in asked)
    return tuple(_told(one, tables.get(one.view.name)) for one in found)


def named_views(graph: Graph, names: Sequence[str] | None) -> tuple[AuditedView, ...]:
    """The applied views of these names, each once, by default all of them. Raises UnknownName."""
    views = graph.views if names is None else tuple(graph.view(name) for name in dict.fromkeys(names))
    return tuple(AuditedView.whole(view) for view in views)


def chosen_views(features: FeatureSet) -> tuple[AuditedView, ...]:
    """The views of a feature set, at its fingerprints, with the features that it uses, in whichever role. On-demand
    features are made of these and the request, and hold nothing of their own that could differ."""
    used: dict[str, dict[str, None]] = {view.name: {} for view in features.views}
    for use in features.uses:
        used[use.view] |= dict.fromkeys(use.features)
    return tuple(AuditedView(view, tuple(used[view.name])) for view in features.views)


def _told(found: ViewAudit, applied: str | None) -> ViewAudit:
    if found.view.table == applied:
        return found
    now = f"applied is {applied}" if applied else "it is applied no more"
    return replace(found, notes=(f"Pinned is {found.view.table}; {now}.", *found.notes))
