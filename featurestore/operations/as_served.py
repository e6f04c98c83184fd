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
from featurestore.ports.joins import NamedRows, ServedRun, ServedView
from featurestore.ports.objects import ObjectStore
from featurestore.ports.publications import Publication, Published, Push, PushSpan


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
    changing = (run for run in history.runs if not run.changed_nothing)
    in_order = sorted(changing, key=lambda run: (run.published_at, run.as_of))
    through = tuple(run for run in in_order if run.published_at <= last)
    further = _bringing_further(through, first)
    if not further:
        return ServedView(())
    # What was known and shown by then has also been filled and copied for all who ask.
    settled = min(further[0].as_of, _filled(further[0])) if further[0].published_at <= first else None
    named = _named_rows(history.pushes, settled, last)
    runs = through if named is not None and _some_wait(named) else further
    return ServedView(
        tuple(map(_served_run, runs)),
        _span(history.pushed, last),
        _stamped(history.pushes, settled, last),
        named,
    )


def _bringing_further(runs: Iterable[Publication], first: datetime) -> tuple[Publication, ...]:
    """Of runs in the order in which they were published: the last one before anybody asks, and those after it."""
    further: list[Publication] = []
    for run in runs:
        if further and (run.as_of, _filled(run)) <= (further[-1].as_of, _filled(further[-1])):
            continue
        if run.published_at <= first and (not further or _filled(run) >= _filled(further[-1])):
            further.clear()
        further.append(run)
    return tuple(further)


def _filled(run: Publication) -> datetime:
    return run.as_of if run.filled_at is None else run.filled_at


def _served_run(run: Publication) -> ServedRun:
    if run.filled_at is None:
        return ServedRun(run.published_at, run.as_of)
    return ServedRun(run.published_at, run.as_of, run.began_at, run.copied_from, run.filled_at)


def _some_wait(named: NamedRows) -> bool:
    """Whether a run may have brought one of the rows, one that brought the store no further included."""
    times = zip(named.arrived_at, named.shown_at, strict=True)
    return any(arrived is not None and (shown is None or shown > arrived) for arrived, shown in times)


def _span(pushed: PushSpan | None, last: datetime) -> PushSpan | None:
    if pushed is None or pushed.first_at > last:
        return None
    return PushSpan(pushed.first_at, min(pushed.last_at, last))


def _stamped(
    pushes: Iterable[Push], settled: datetime | None, last: datetime
) -> tuple[tuple[datetime, datetime | None], ...]:
    """The stamps of what was pushed in time for those who ask, and when it was online."""
    told = {
        (stamp, push.at if push.is_online else None)
        for push in pushes
        if push.at <= last and (settled is None or push.at > settled)
        for stamp in push.stamps
    }
    return tuple(sorted(told, key=lambda pair: (pair[0], pair[1] is None, pair[1] or pair[0])))


def _named_rows(pushes: Iterable[Push], settled: datetime | None, last: datetime) -> NamedRows | None:
    """The rows that pushes name, each once: as it came first, and as it was first shown."""
    found: dict[tuple[Any, ...], tuple[datetime | None, datetime | None]] = {}
    for push in pushes:
        if push.rows is None:
            continue
        shown = push.at if push.is_online else None
        for row in _texts(push.rows):
            arrived, before = found.get(row, (None if push.is_repeated else push.at, None))
            found[row] = (arrived, min((one for one in (before, shown) if one is not None), default=None))
    chosen = {
        row: (arrived, shown)
        for row, (arrived, shown) in sorted(found.items(), key=lambda one: one[0])
        if max(row[-2:]) <= last and (shown is None or settled is None or shown > settled)
    }
    if not chosen:
        return None
    *keys, events, known = zip(*chosen, strict=True)
    arrivals = tuple(arrived for arrived, _ in chosen.values())
    return NamedRows(tuple(keys), events, known, arrivals, tuple(shown for _, shown in chosen.values()))


def _texts(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    """The rows, their keys as text."""
    keys = [column.cast(pa.string()).to_pylist() for column in rows.columns[:-2]]
    times = [column.to_pylist() for column in rows.columns[-2:]]
    return zip(*keys, *times, strict=True)


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
    pushed, named = view.pushed, view.named
    told: dict[str, object] = {
        "runs": [_run_document(run) for run in view.runs],
        "pushed": None if pushed is None else _texted((pushed.first_at, pushed.last_at)),
    }
    if view.stamped:
        told["stamped"] = [_texted(pair) for pair in view.stamped]
    if named is not None:
        told["named"] = {
            "keys": [list(texts) for texts in named.keys],
            "event_timestamp": _texted(named.event_timestamp),
            "known_at": _texted(named.known_at),
            "arrived_at": _texted(named.arrived_at),
            "shown_at": _texted(named.shown_at),
        }
    return told


def _run_document(run: ServedRun) -> list[str | None]:
    moments = (run.published_at, run.as_of)
    if run.filled_at is None:
        return _texted(moments)
    return _texted((*moments, run.began_at, run.copied_from, run.filled_at))


def _view(document: Mapping[str, Any]) -> ServedView:
    pushed, named = document["pushed"], document.get("named")
    return ServedView(
        tuple(ServedRun(*_moments(run)) for run in document["runs"]),
        PushSpan(*_moments(pushed)) if pushed else None,
        tuple((stamp, shown) for stamp, shown in map(_moments, document.get("stamped", ()))),
        None if named is None else _named(named),
    )


def _named(document: Mapping[str, Any]) -> NamedRows:
    times = (tuple(_moments(document[name])) for name in ("event_timestamp", "known_at", "arrived_at", "shown_at"))
    return NamedRows(tuple(tuple(texts) for texts in document["keys"]), *times)


def _texted(moments: Iterable[datetime | None]) -> list[str | None]:
    return [None if moment is None else moment.isoformat() for moment in moments]


def _moments(texts: Iterable[str | None]) -> Any:
    """As many as there are texts; None where there is none."""
    return tuple(None if text is None else datetime.fromisoformat(text) for text in texts)
