"""Audit of one view: the online store's values against the point-in-time answer at the moment up to which it is filled,
and why each value differs that does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from featurestore.compiler.newest import sampled_keys
from featurestore.compiler.row_wise import takes_pushes
from featurestore.graph.resolved import ResolvedView
from featurestore.operations.answers_at import answers_at
from featurestore.operations.audit_evidence import Case, KeyCompared, gathered
from featurestore.operations.audit_report import (
    MOST_LISTED,
    AuditedView,
    AuditState,
    Difference,
    ViewAudit,
    ahead_note,
    notes,
)
from featurestore.operations.causes import Answered, Cause, RowEvidence, ValueCompared, verdict
from featurestore.operations.clock import filled_ahead
from featurestore.operations.equality import same_value
from featurestore.operations.online_values import StoredLayout, answers_from, online_values
from featurestore.operations.reach import answers_until
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.operations.stored_rows import StoredRow, how_filled, keys_sampled, stored_rows
from featurestore.ports.engine import Query
from featurestore.ports.online_store import Key, OnlineRow, OnlineTable
from featurestore.ports.state import CatalogState


@dataclass(frozen=True, slots=True)
class AuditedStore:
    """Where an audit looks, and when. `catalog` knows how views were defined before."""

    offline: OfflineSide
    online: OnlineSide
    catalog: CatalogState
    now: datetime


def audit(asked: AuditedView, sample: int, store: AuditedStore) -> ViewAudit:
    """As `_compared`; what was filled by a clock that was ahead is no answer of now, even where both sides agree."""
    found = _compared(asked, sample, store)
    ahead = filled_ahead(asked.view, store.offline, store.online, now=store.now)
    if ahead is None:
        return found
    return replace(found, filled_ahead=ahead, notes=(*found.notes, ahead_note(asked.view, ahead)))


def _compared(asked: AuditedView, sample: int, store: AuditedStore) -> ViewAudit:
    """Compare up to `sample` keys that are online, and as many that should be, value by value.

    Where the view is not online, but another definition of it is, that one is compared: what it answers is not what
    is asked for. Raises StoreUnavailable; StoreCorrupted where more than single rows can not be read.
    """
    view = asked.view
    offline_to = _offline_to(view, store.offline)
    held = _held(view, store)
    comparable = held is view or (held is not None and offline_to is not None)
    comparison = _comparison(view, held, sample, store) if held is not None and comparable else None
    if comparison is None:
        state = AuditState.NOTHING_FILLED if held is None and offline_to is None else AuditState.NOT_MATERIALIZED
        return ViewAudit(view, state, None, offline_to, notes=tuple(notes(view, None, offline_to, left_out=0)))
    return _audited(asked, comparison, offline_to, store)


def _audited(
    asked: AuditedView, comparison: _Comparison, offline_to: datetime | None, store: AuditedStore
) -> ViewAudit:
    counted: Counter[Cause] = Counter()
    listed: list[Difference] = []
    for difference in _differences(asked, comparison, store):
        counted[difference.cause] += 1
        if len(listed) < MOST_LISTED:
            listed.append(difference)
    held, online_to, keys = comparison.held, comparison.case.filled.to, len(comparison.compared)
    return ViewAudit(
        asked.view,
        AuditState.COMPARED if _answers(asked.view, comparison) else AuditState.NOT_MATERIALIZED,
        online_to,
        offline_to,
        keys=keys,
        values=keys * len(asked.features),
        left_out=comparison.left_out,
        causes=tuple((cause, counted[cause]) for cause in Cause if counted[cause]),
        differences=tuple(listed),
        notes=tuple(notes(asked.view, (held, comparison.case.filled), offline_to, left_out=comparison.left_out)),
    )


def _answers(view: ResolvedView, comparison: _Comparison) -> bool:
    """Whether lookups of the view are answered from what is online."""
    return comparison.held.table == view.table and comparison.case.filled.keeps_for(view.ttl)


def _offline_to(view: ResolvedView, offline: OfflineSide) -> datetime | None:
    """Up to when the offline table answers; None where nothing is filled."""
    reached = offline.coverage.coverage(view.table).filled_to
    return None if reached is None else answers_until(view, reached)


def _held(view: ResolvedView, store: AuditedStore) -> ResolvedView | None:
    """The view if it is online; else the newest other definition of it that is, with the same keys."""
    if how_filled(store.online.store, OnlineTable.of(view)) is not None:
        return view
    others = (one for one in _applied(view, store) if one.table != view.table and one.keys == view.keys)
    return next((one for one in others if how_filled(store.online.store, OnlineTable.of(one)) is not None), None)


def _applied(view: ResolvedView, store: AuditedStore) -> tuple[ResolvedView, ...]:
    """The view as it was applied at any time, newest first."""
    graphs = reversed(store.catalog.history())
    return tuple(dict.fromkeys(one for applied in graphs for one in applied.graph.views if one.name == view.name))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Both sides of a view, before anybody asks why they differ."""

    case: Case
    held: ResolvedView
    """What is online: the view, or another definition of it."""
    compared: tuple[KeyCompared, ...]
    left_out: int
    unreadable_keys: str | None


def _comparison(view: ResolvedView, held: ResolvedView, sample: int, store: AuditedStore) -> _Comparison | None:
    """None where the table was dropped meanwhile."""
    table, offline = OnlineTable.of(held), store.offline
    offline_to = _offline_to(view, offline)
    # Read before the rows: what is filled meanwhile is then no reason to call a row stale.
    last = store.online.progress.last(store.online.address, held.table)
    sampled = keys_sampled(store.online.store, table, sample)
    keys = sorted({*sampled.keys, *_offline_keys(view, sample, offline)})  # told in an order that people expect
    found = stored_rows(store.online.store, table, keys)
    if found.filled is None:
        return None
    files = offline.tables.snapshot(view.table).files
    other = None if held.table == view.table else held.table
    case = Case(view, StoredLayout.of(view, held), found.filled, store.now, last, files, other_table=other)
    moments = [_moment(row, case, held, offline_to) for row in found.rows]
    asked = [one for one in zip(keys, moments, found.rows, strict=True) if one[1] is not None]
    questions = [(key, moment) for key, moment, _ in asked if moment is not None]
    expected = answers_at(view, questions, files, offline)
    compared = tuple(
        KeyCompared(key, at, row, wanted)
        for (key, at), (_, _, row), wanted in zip(questions, asked, expected, strict=True)
    )
    return _Comparison(case, held, compared, len(keys) - len(compared), sampled.unreadable)


def _moment(row: StoredRow, case: Case, held: ResolvedView, offline_to: datetime | None) -> datetime | None:
    """The moment to ask both sides for: that up to which the table is filled, or, for a row that was written since, as
    pushed ones are, the moment from which on it is the answer. None where the offline table does not reach that: but
    pushed rows are in the table before they are online, however far it is filled."""
    own = answers_from(row, held) if isinstance(row, OnlineRow) else case.filled.to
    if not case.filled.to < own <= case.now:  # nobody can have known a row yet that says it is of the future
        return case.filled.to
    reaches = takes_pushes(held) or (offline_to is not None and own <= offline_to)
    return own if reaches else None


def _offline_keys(view: ResolvedView, sample: int, offline: OfflineSide) -> list[Key]:
    """A sample of the keys that the offline table holds, spread by a hash: the same keys each time."""
    if not view.keys:
        return [()]
    files = offline.tables.snapshot(view.table).files
    with offline.engine.stream(Query(sampled_keys(view, sample, rows=view.table), {view.table: files})) as rows:
        table = rows.read_all()
    return [tuple(row[key.name] for key in view.keys) for row in table.to_pylist()]


def _differences(asked: AuditedView, comparison: _Comparison, store: AuditedStore) -> Iterator[Difference]:
    """Every value that differs, with its cause."""
    case = comparison.case
    if comparison.unreadable_keys is not None:
        unreadable = (Cause.ENCODING, comparison.unreadable_keys)
        yield Difference((), f"{case.view.name}:*", None, None, Answered.UNREADABLE, case.filled.to, *unreadable)
    differing = [(one, values) for one in comparison.compared if (values := _differing(asked, case, one))]
    if not differing:
        return
    case = replace(case, earlier=_applied(case.view, store))
    evidence = gathered(case, [one for one, _ in differing], store.offline)
    for (one, values), row in zip(differing, evidence, strict=True):
        for value in values:
            yield _difference(case.view, one, value, row)


def _differing(asked: AuditedView, case: Case, one: KeyCompared) -> list[ValueCompared]:
    answered = online_values(one.stored, case.layout, one.at)
    return [
        ValueCompared(online.value, online.status, position)
        for position, (feature, online, wanted) in enumerate(
            zip(case.view.features, answered, one.expected, strict=True)
        )
        if feature.name in asked.features
        and (online.status is Answered.UNREADABLE or not same_value(online.value, wanted))
    ]


def _difference(view: ResolvedView, one: KeyCompared, value: ValueCompared, row: RowEvidence) -> Difference:
    found = verdict(value, row)
    return Difference(
        tuple(zip((key.name for key in view.keys), one.key, strict=True)),
        f"{view.name}:{view.features[value.feature].name}",
        value.online,
        one.expected[value.feature],
        value.status,
        one.at,
        found.cause,
        found.evidence,
    )
