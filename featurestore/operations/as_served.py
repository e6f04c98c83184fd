"""As served: the part of an online store's history that decides a training set, as it is pinned for rebuilding it.

What it means for each row is said in `featurestore.ports.joins.ServedView`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import StoreCorrupted
from featurestore.graph.resolved import FeatureSet
from featurestore.operations.sides import OnlineSide
from featurestore.ports.joins import ServedRun, ServedView
from featurestore.ports.objects import ObjectStore
from featurestore.ports.publications import Published, PushSpan


@dataclass(frozen=True, slots=True)
class ServedHistory:
    """When an online store was brought up to date, by the views' names."""

    store: str
    views: Mapping[str, Published]


@dataclass(frozen=True, slots=True)
class PinnedHistory:
    """What of a history decides a training set, by the views' names, and the sha256 of the object that keeps it."""

    sha256: str
    views: Mapping[str, ServedView]


def served_history(features: FeatureSet, online: OnlineSide) -> ServedHistory:
    """The history of the tables that lookups of these features read."""
    found = {view.name: online.publications.published(online.address, view.table) for view in features.views}
    return ServedHistory(online.address, found)


def deciding(history: Published, first: datetime, last: datetime) -> ServedView:
    """What of a view's history decides its answers at the moments from `first` to `last`, and nothing else: what is
    published later changes nothing, nor do runs that changed nothing, of which only the last is remembered."""
    runs: list[ServedRun] = []
    deciding = (run for run in history.runs if not run.changed_nothing)
    for run in sorted(deciding, key=lambda run: (run.published_at, run.filled_to)):
        if run.published_at > last:
            break
        if runs and run.filled_to <= runs[-1].filled_to:
            continue
        if run.published_at <= first:
            runs.clear()
        runs.append(ServedRun(run.published_at, run.filled_to))
    pushed = history.pushed
    if pushed is None or not runs or pushed.first_at > last:
        return ServedView(tuple(runs))
    return ServedView(tuple(runs), PushSpan(pushed.first_at, min(pushed.last_at, last)))


def pin_history(
    history: ServedHistory, span: tuple[datetime | None, datetime | None], objects: ObjectStore
) -> PinnedHistory:
    """Store what of a history decides a training set whose rows ask about moments of `span` (None: it has no rows). The
    same history gives the same bytes."""
    first, last = span
    views = {
        name: ServedView(()) if first is None or last is None else deciding(published, first, last)
        for name, published in history.views.items()
    }
    document = {"store": history.store, "views": {name: _document(view) for name, view in views.items()}}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return PinnedHistory(objects.put(BytesIO(text.encode())).sha256, views)


def pinned_history(sha256: str, objects: ObjectStore) -> PinnedHistory:
    """What `pin_history` stored. Raises UnknownName when it is gone, StoreCorrupted when it is something else."""
    content = b"".join(objects.read(sha256))
    try:
        return PinnedHistory(sha256, {name: _view(one) for name, one in json.loads(content)["views"].items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreCorrupted(f"The object {sha256[:12]} is no publish history: {error}") from error


def served_warnings(history: ServedHistory, moments: pa.ChunkedArray, *, now: datetime) -> Iterator[str]:
    """What whoever pulls as served should know, with the number of rows it concerns. `moments`: when the rows ask."""
    in_order = moments.combine_chunks().sort()
    for name, published in history.views.items():
        first = min((run.published_at for run in published.runs), default=None)
        if before := len(in_order) if first is None else _counts_before(in_order, [first])[0]:
            yield f"{before} rows ask when '{name}' was not online yet, and hold nothing of it"
        begun = _counts_before(in_order, [run.began_at for run in published.runs])
        done = _counts_before(in_order, [run.published_at for run in published.runs])
        if between := sum(late - early for early, late in zip(begun, done, strict=True)):
            yield f"{between} rows ask while '{name}' was being written: they hold what was online before"
    if later := len(in_order) - _counts_before(in_order, [now])[0]:
        yield f"{later} rows ask about moments to come: they hold what is online now"


def _counts_before(in_order: pa.Array, limits: list[datetime]) -> list[int]:
    """How many of the moments are before each of `limits`."""
    counts: list[int] = pc.search_sorted(in_order, pa.array(limits, in_order.type), side="left").to_pylist()
    return counts


def _document(view: ServedView) -> dict[str, object]:
    pushed = view.pushed
    return {
        "runs": [[run.published_at.isoformat(), run.filled_to.isoformat()] for run in view.runs],
        "pushed": None if pushed is None else [pushed.first_at.isoformat(), pushed.last_at.isoformat()],
    }


def _view(document: Mapping[str, Any]) -> ServedView:
    runs = (_moments(pair) for pair in document["runs"])
    pushed = document["pushed"]
    return ServedView(tuple(ServedRun(*run) for run in runs), PushSpan(*_moments(pushed)) if pushed else None)


def _moments(texts: Iterable[str]) -> tuple[datetime, datetime]:
    first, second = map(datetime.fromisoformat, texts)
    return first, second
