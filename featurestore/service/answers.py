"""What the service can be asked, as functions of what it serves.

HTTP routes and the SDK in this process both call them. They take and give plain values and know nothing of HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from featurestore.errors import NotMaterialized
from featurestore.graph.lineage import Direction
from featurestore.operations.answered_rows import OnlineAnswer
from featurestore.operations.as_served import served_history
from featurestore.operations.audit import AuditedStore, audit
from featurestore.operations.audit_report import AuditedView, AuditReport, AuditState
from featurestore.operations.audit_views import AuditChoice, audit_views, chosen_views, named_views
from featurestore.operations.chosen_features import FeatureChoice, chosen_features
from featurestore.operations.entity_rows import Entities
from featurestore.operations.explain_known import explain_known
from featurestore.operations.log_answers import log_answer
from featurestore.operations.lookup import Asked, PreparedLookup, lookup, lookup_async
from featurestore.operations.read_log import write_spine
from featurestore.operations.rebuild import rebuild
from featurestore.operations.skew import SkewRequest, skew
from featurestore.operations.status import view_statuses
from featurestore.operations.training_set import TrainingSetRequest, training_set
from featurestore.ports.serving_log import LogQuery
from featurestore.service.audit_documents import audit_report_document, view_audit_document
from featurestore.service.documents import (
    catalog_document,
    known_document,
    lineage_document,
    manifest_document,
    manifest_summary,
    skew_document,
    status_document,
)
from featurestore.service.served import ServedFeatures
from featurestore.service.wire import Document, Json

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SpineOptions:
    """How a spine is to be read, beside its rows."""

    timestamp: str = "event_timestamp"
    label: str | None = None
    keep_spine: bool = True
    as_served: bool = False


def look_up(
    served: ServedFeatures, choice: FeatureChoice, entities: Entities, *, at: datetime | None = None
) -> OnlineAnswer:
    """The features of each row, now or, for a replay, at a moment that the store has not passed."""
    asked = _asked(served, at)
    try:
        return _looked_up(served, choice, entities, asked)
    except NotMaterialized:
        if not served.lookups.refresh():  # something was applied this very second, and the old table is gone already
            raise
    return _looked_up(served, choice, entities, asked)


def _asked(served: ServedFeatures, at: datetime | None) -> Asked:
    now = served.clock()
    return Asked(now) if at is None else Asked(at, replayed=True, now=now)


def _looked_up(served: ServedFeatures, choice: FeatureChoice, entities: Entities, asked: Asked) -> OnlineAnswer:
    prepared = served.lookups.of(choice)
    answer = lookup(prepared, entities, asked, served.online.store)
    if not asked.replayed:
        log_answer(choice, prepared, answer, served.serving_log)
    return answer


async def look_up_async(
    served: ServedFeatures, choice: FeatureChoice, entities: Entities, *, at: datetime | None = None
) -> OnlineAnswer:
    """As `look_up`, without holding the event loop up."""
    asked = _asked(served, at)
    try:
        return await _looked_up_async(served, choice, entities, asked)
    except NotMaterialized:
        if not await asyncio.to_thread(served.lookups.refresh):
            raise
    return await _looked_up_async(served, choice, entities, asked)


async def _looked_up_async(
    served: ServedFeatures, choice: FeatureChoice, entities: Entities, asked: Asked
) -> OnlineAnswer:
    prepared = await _prepared(served, choice)
    answer = await lookup_async(prepared, entities, asked, served.readers.of_this_loop())
    if not asked.replayed:
        log_answer(choice, prepared, answer, served.serving_log)
    return answer


async def _prepared(served: ServedFeatures, choice: FeatureChoice) -> PreparedLookup:
    """What is not prepared yet asks the state, which the event loop must not wait for."""
    kept = served.lookups.kept(choice)
    return kept if kept is not None else await asyncio.to_thread(served.lookups.of, choice)


def pull(served: ServedFeatures, choice: FeatureChoice, spine: pa.Table, options: SpineOptions) -> Document:
    """The manifest of a training set."""
    features = chosen_features(choice, served.lookups.applied().graph)
    request = TrainingSetRequest(
        spine,
        features,
        timestamp=options.timestamp,
        label=options.label,
        keep_spine=options.keep_spine,
        served=served_history(features, served.online) if options.as_served else None,
    )
    return manifest_document(training_set(request, served.offline, served.archive, now=served.clock()))


def explained(served: ServedFeatures, choice: FeatureChoice, spine: pa.Table, *, timestamp: str) -> Document:
    """How many cells of a training set would differ if event time alone were used."""
    features = chosen_features(choice, served.lookups.applied().graph)
    return known_document(explain_known(TrainingSetRequest(spine, features, timestamp=timestamp), served.offline))


def dataset(served: ServedFeatures, dataset_id: str) -> Document:
    return manifest_document(served.archive.datasets.get(dataset_id))


def datasets(served: ServedFeatures) -> list[Json]:
    return [manifest_summary(manifest) for manifest in served.archive.datasets.all()]


def rebuilt(served: ServedFeatures, dataset_id: str) -> Document:
    """The manifest of a dataset that has just been computed again, to the same bytes."""
    return manifest_document(rebuild(dataset_id, served.offline, served.archive).manifest)


def audited(served: ServedFeatures, view: str, *, sample: int) -> Document:
    """The audit of one applied view. Raises NotMaterialized when it is not online."""
    served.online.check()
    resolved = served.lookups.applied().graph.view(view)
    found = audit(AuditedView.whole(resolved), sample, _audited_store(served))
    if found.state is not AuditState.COMPARED:
        raise NotMaterialized(" ".join(found.notes))
    return view_audit_document(found)


def audits(served: ServedFeatures, choice: AuditChoice, *, sample: int) -> Document:
    """The audits of several views. One that is not online is told, not refused."""
    served.online.check()
    graph = served.lookups.applied().graph
    if choice.service is not None:
        asked = chosen_views(chosen_features(FeatureChoice(service=choice.service), graph))
    elif choice.model is not None:
        served.lookups.refresh()  # what an alias means now, not what it meant a second ago
        asked = chosen_views(served.lookups.of(FeatureChoice(model=choice.model)).features)
    else:
        asked = named_views(graph, choice.views)
    store = _audited_store(served)
    found = audit_views(asked, sample, store, graph)
    return audit_report_document(AuditReport(store.now, choice.service, choice.model, found))


def _audited_store(served: ServedFeatures) -> AuditedStore:
    return AuditedStore(served.offline, served.online, served.catalog, served.clock())


@dataclass(frozen=True, slots=True)
class LoggedAnswers:
    """Which answers of the serving log: by the service or by the model that was asked for, and from when on. A model is
    `fraud@3`, or `fraud@champion` for the version that the alias means now."""

    service: str | None = None
    model: str | None = None
    since: datetime | None = None


def skewed(served: ServedFeatures, logged: LoggedAnswers, *, examples: int) -> Document:
    """How many of the logged values are not the point-in-time answer, by feature."""
    request = SkewRequest(_log_query(served, logged), examples)
    graph = served.lookups.applied().graph
    return skew_document(skew(request, served.serving_log.shelf, served.offline, graph))


def write_logged_spine(served: ServedFeatures, logged: LoggedAnswers, path: Path) -> int:
    """Write what was asked as a Parquet file, and give its number of rows."""
    return write_spine(_log_query(served, logged), served.serving_log.shelf, path)


def _log_query(served: ServedFeatures, logged: LoggedAnswers) -> LogQuery:
    model = None if logged.model is None else served.lookups.version_of(logged.model)
    return LogQuery(logged.service, model, logged.since)


def lineage(served: ServedFeatures, urn: str, *, down: bool) -> Document:
    return lineage_document(served.lineage(urn, Direction.DOWN if down else Direction.UP))


def status(served: ServedFeatures) -> list[Json]:
    served.online.check()
    graph = served.lookups.applied().graph
    found = view_statuses(graph, served.offline, served.online, now=served.clock())
    return [status_document(one) for one in found]


def catalog(served: ServedFeatures) -> Document:
    return catalog_document(served.lookups.applied())
