"""Lookup: features for entities as the online store has them now, each with a status.

`prepare` does once what a feature set needs; a lookup then makes one round trip for each request, and works on columns.
`lookup` and `lookup_async` differ in the reader alone: what comes before and after the round trip is shared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from featurestore.compiler.tiles import empty_value
from featurestore.errors import EntityRowsError, LookupInThePast, NotMaterialized, QueryError
from featurestore.graph.resolved import Column, FeatureSet, ViewUse
from featurestore.intervals import EPOCH, show_moment
from featurestore.operations.answered_rows import AnsweredRows, OnlineAnswer, Status
from featurestore.operations.compute_on_demand import compute, first_failing
from featurestore.operations.entity_rows import Entities, row_count, typed_columns
from featurestore.operations.prepare_on_demand import PreparedOnDemand, prepare_on_demand
from featurestore.ports.engine import Engine
from featurestore.ports.online_store import AsyncOnlineReader, Key, OnlineReader, OnlineTable, TableRead, TableRows
from featurestore.spec.dtypes import Kind
from featurestore.spec.names import show_duration

_MICROSECOND = timedelta(microseconds=1)
_ANSWERED_AT_ONCE = 20_000
"""Values that an event loop works on between two other lookups; more are worked on in a thread."""


@dataclass(frozen=True, slots=True)
class PreparedUse:
    """One view as a lookup reads it."""

    name: str
    table: OnlineTable
    join_columns: tuple[str, ...]
    ttl: timedelta | None
    publish_delay: timedelta
    positions: tuple[int, ...]
    """Which of a stored row's values are asked for."""
    defaults: tuple[object, ...]
    """What each stored value is where there is no row: an empty window's value."""
    is_windowed: bool
    """A windowed row whose windows are all empty is as good as no row, and whether the store still has it depends on
    when it was filled."""


@dataclass(frozen=True, slots=True)
class PreparedLookup:
    """A feature set made ready: `inputs` are the columns that every request's rows must have."""

    features: FeatureSet
    names: tuple[str, ...]
    """The outputs' names."""
    uses: tuple[PreparedUse, ...]
    places: Mapping[str, tuple[int, int]]
    """For each column of a view, the use it is of and its position among that one's stored values."""
    outputs: tuple[tuple[int, int] | None, ...]
    """The outputs' places; None for on-demand features."""
    inputs: tuple[Column, ...]
    on_demand: PreparedOnDemand
    model: str | None = None
    """The model version whose features these are, such as `fraud@3`, where they were chosen by model."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The moment of a lookup. `replayed`: the caller named it, so a store that has moved on can not answer."""

    at: datetime
    replayed: bool = False
    now: datetime | None = None
    """For a replay, what the clock says: by that a store lets rows go."""


_Inputs = Mapping[str, Sequence[object]]
_Positions = list[int | None] | None
"""For each row asked for, where its key stands among those read; None for a null key. None as a whole: one by one."""


def prepare(features: FeatureSet, engine: Engine) -> PreparedLookup:
    """What lookups of these features have in common. The engine is asked about on-demand features, if there are any."""
    inputs = {column.name: column for column in (*features.join_columns, *features.request_inputs)}
    uses = tuple(_prepared_use(features, use) for use in features.uses)
    places = {
        use.column(feature): (index, [value.name for value in uses[index].table.values].index(feature))
        for index, use in enumerate(features.uses)
        for feature in use.features
    }
    computed = {feature.name for feature in features.on_demand}
    return PreparedLookup(
        features=features,
        names=tuple(output.name for output in features.outputs),
        uses=uses,
        places=places,
        outputs=tuple(None if output.name in computed else places[output.name] for output in features.outputs),
        inputs=tuple(inputs.values()),
        on_demand=prepare_on_demand(features, engine),
    )


def lookup(prepared: PreparedLookup, entities: Entities, asked: Asked, store: OnlineReader) -> OnlineAnswer:
    """The features for each row. An unknown key or a null key gives MISSING, never an error.

    Raises EntityRowsError for rows that are no keys, NotMaterialized when a view is not in the store, LookupInThePast
    when the store is filled beyond a replayed moment, and QueryError where an on-demand feature has no value.
    """
    request = _Request.of(prepared, entities, asked)
    return request.answer(store.read(request.reads) if request.reads else [])


async def lookup_async(
    prepared: PreparedLookup, entities: Entities, asked: Asked, store: AsyncOnlineReader
) -> OnlineAnswer:
    """As `lookup`, without holding the event loop up."""
    request = _Request.of(prepared, entities, asked)
    found = await store.read(request.reads) if request.reads else []
    if not prepared.on_demand.by_engine and request.rows * len(prepared.outputs) <= _ANSWERED_AT_ONCE:
        return request.answer(found)
    return await asyncio.to_thread(request.answer, found)


@dataclass(frozen=True, slots=True)
class _Request:
    """A lookup before its round trip."""

    prepared: PreparedLookup
    inputs: _Inputs
    rows: int
    reads: tuple[TableRead, ...]
    positions: tuple[_Positions, ...]
    asked: Asked

    @classmethod
    def of(cls, prepared: PreparedLookup, entities: Entities, asked: Asked) -> _Request:
        inputs, count = typed_columns(entities, prepared.inputs), row_count(entities)
        keys = [_keys(use, inputs, count) for use in prepared.uses]
        reads = tuple(TableRead(use.table, read) for use, (read, _) in zip(prepared.uses, keys, strict=True))
        return cls(prepared, inputs, count, reads, tuple(positions for _, positions in keys), asked)

    def answer(self, found: Sequence[TableRows]) -> OnlineAnswer:
        """What the round trip's outcome means at the moment asked for."""
        prepared, at = self.prepared, self.asked.at
        columns: list[Sequence[Sequence[object]]] = []
        answered: list[AnsweredRows] = []
        for use, positions, answer in zip(prepared.uses, self.positions, found, strict=True):
            _check_filled(use, answer, self.asked)
            values, rows = _answered(use, answer if positions is None else _taken(use, answer, positions), at)
            columns.append(values)
            answered.append(rows)
        computed = self._computed(columns) if prepared.features.on_demand else {}
        outputs = prepared.features.outputs
        return OnlineAnswer(
            outputs,
            [
                computed[name] if place is None else columns[place[0]][place[1]]
                for name, place in zip(prepared.names, prepared.outputs, strict=True)
            ],
            [len(answered) if place is None else place[0] for place in prepared.outputs],
            [*answered, AnsweredRows((None,) * self.rows)],
            self.rows,
            at,
            self.inputs,
        )

    def _computed(self, columns: Sequence[Sequence[Sequence[object]]]) -> Mapping[str, Sequence[object]]:
        """The on-demand features, as a training set has them: the same bits."""
        on_demand, places = self.prepared.on_demand, self.prepared.places
        arrays: dict[str, pa.Array] = {}
        for name, arrow in on_demand.arrow_types.items():
            use, position = places.get(name, (0, 0))
            arrays[name] = pa.array(self.inputs[name] if name in self.inputs else columns[use][position], arrow)
        try:
            computed = compute(on_demand, arrays, self.rows)
        except QueryError as error:  # of these values: the expression itself was tried when it was applied
            found = first_failing(on_demand, arrays, self.rows)
            rows, reason = ("these rows", error) if found is None else (f"row {found[0]}", found[1])
            raise EntityRowsError(f"A feature can not be computed of {rows}. {reason.message}") from error
        return {name: tuple(map(_in_utc, values.to_pylist())) for name, values in computed.items()}


def _prepared_use(features: FeatureSet, use: ViewUse) -> PreparedUse:
    view = features.view(use.view)
    table = OnlineTable.of(view)
    return PreparedUse(
        name=view.name,
        table=table,
        join_columns=use.join_columns,
        ttl=view.ttl,
        publish_delay=view.publish_delay,
        positions=tuple(index for index, value in enumerate(table.values) if value.name in use.features),
        defaults=tuple(empty_value(view.feature(value.name)) for value in table.values),
        is_windowed=view.is_windowed,
    )


def _keys(use: PreparedUse, inputs: _Inputs, count: int) -> tuple[Sequence[Key], _Positions]:
    """The distinct keys to read, none of them with a null."""
    columns = [inputs[name] for name in use.join_columns]
    rows: list[Key] = list(zip(*columns, strict=True)) if columns else [()] * count
    if len(set(rows)) == count and not any(None in column for column in columns):
        return rows, None
    keys: dict[Key, int] = {}
    positions = [None if None in key else keys.setdefault(key, len(keys)) for key in rows]
    return list(keys), positions


def _taken(use: PreparedUse, answer: TableRows, positions: list[int | None]) -> TableRows:
    """An entry for each row asked for, of those for each key read. Lists are each row's own: who changes one in this
    process changes no other row."""

    def taken(column: Sequence[object]) -> list[object]:
        return [None if at is None else column[at] for at in positions]

    events, known = taken(answer.event_timestamps), taken(answer.known_at)
    values = [taken(column) for column in answer.values]
    for index, column in enumerate(use.table.values):
        if not (column.dtype.is_scalar or column.dtype.kind is Kind.DECIMAL):
            values[index] = [list(value) if isinstance(value, list) else value for value in values[index]]
    unreadable = {
        row: answer.unreadable[at] for row, at in enumerate(positions) if at is not None and at in answer.unreadable
    }
    return TableRows(answer.filled, events, known, values, unreadable)  # type: ignore[arg-type]  # what was int stays int


def _check_filled(use: PreparedUse, answer: TableRows, asked: Asked) -> None:
    filled = answer.filled
    if filled is None:
        raise NotMaterialized(
            f"View '{use.name}' ({use.table.name}) is not in the online store. Run `knownat materialize`."
        )
    if not filled.keeps_for(use.ttl):
        raise NotMaterialized(
            f"View '{use.name}' ({use.table.name}) was copied into the online store with a shorter TTL, so rows that "
            "count now may be gone from it. Run `knownat materialize`."
        )
    if asked.replayed:
        _check_not_passed(use, answer, filled.to, asked.at)
        _check_not_let_go(use, answer, asked)


def _check_not_passed(use: PreparedUse, answer: TableRows, filled_to: datetime, at: datetime) -> None:
    """A row that was pushed may be newer than what the table is filled up to."""
    known, happened = (
        max((moment for moment in moments if moment is not None), default=None)
        for moments in (answer.known_at, answer.event_timestamps)
    )
    reached = filled_to
    if known is not None and happened is not None:
        published = EPOCH + timedelta(microseconds=known) + use.publish_delay
        reached = max(reached, published, EPOCH + timedelta(microseconds=happened))
    if at < reached:
        raise LookupInThePast(
            f"View '{use.name}' is online as of {show_moment(reached)}, after {show_moment(at)}: the "
            "online store holds only the newest rows. Ask for a training set instead."
        )


def _check_not_let_go(use: PreparedUse, answer: TableRows, asked: Asked) -> None:
    """A row that is there is the answer; one that is not may have been, if it counts at a moment so long ago."""
    keeps = None if answer.filled is None else answer.filled.keeps
    if keeps is None or use.ttl is None or asked.now is None or None not in answer.event_timestamps:
        return
    if asked.now - asked.at > keeps - use.ttl:
        raise LookupInThePast(
            f"The online store lets rows of view '{use.name}' go {show_duration(keeps)} after they happened, and has "
            f"none for a key that may have had one at {show_moment(asked.at)}. Ask for a training set instead."
        )


def _answered(use: PreparedUse, found: TableRows, at: datetime) -> tuple[Sequence[Sequence[object]], AnsweredRows]:
    """A view's stored values, those that are asked for as they count at the moment, for each row."""
    events, stored = found.event_timestamps, found.values
    if use.is_windowed and (emptied := _emptied_rows(use.defaults, stored, events)):
        events = [None if row in emptied and row not in found.unreadable else event for row, event in enumerate(events)]
    states = _states(events, None if use.ttl is None else (at - EPOCH - use.ttl) // _MICROSECOND)
    if found.unreadable:
        states = _with_unreadable(states, len(events), use, found.unreadable)
    if states is None:
        return stored, AnsweredRows(events)
    gone = [(row, state is Status.MISSING) for row, state in enumerate(states) if state is not Status.PRESENT]
    values = list(stored)
    for position in use.positions:
        changed, default = list(stored[position]), use.defaults[position]
        for row, is_missing in gone:
            changed[row] = default if is_missing else None
        values[position] = changed
    return values, AnsweredRows(events, states)


def _with_unreadable(
    states: Sequence[Status] | None, rows: int, use: PreparedUse, unreadable: Mapping[int, frozenset[int]]
) -> Sequence[Status] | None:
    """Of the rows that are there, those are UNREADABLE that hold a value asked for that nobody can be told."""
    told = {row for row, positions in unreadable.items() if not positions.isdisjoint(use.positions)}
    known = states or [Status.PRESENT] * rows
    if not any(known[row] is Status.PRESENT for row in told):
        return states
    return [Status.UNREADABLE if row in told and state is Status.PRESENT else state for row, state in enumerate(known)]


def _states(events: Sequence[int | None], oldest: int | None) -> Sequence[Status] | None:
    """PRESENT, MISSING or EXPIRED for each row; None where all are there."""
    if None not in events and (oldest is None or not events or min(events) > oldest):  # type: ignore[type-var,operator]
        return None
    return [
        Status.MISSING
        if event is None
        else Status.EXPIRED
        if oldest is not None and event <= oldest
        else Status.PRESENT
        for event in events
    ]


def _emptied_rows(
    emptied: tuple[object, ...], stored: Sequence[Sequence[object]], events: Sequence[int | None]
) -> set[int]:
    """Rows whose windows are all empty."""
    rows = {row for row, event in enumerate(events) if event is not None}
    for values, empty in zip(stored, emptied, strict=True):
        if not rows:
            break
        rows = {row for row in rows if values[row] == empty}
    return rows


def _in_utc(value: object) -> object:
    """Arrow names the zone in its own way."""
    match value:
        case datetime():
            return value.astimezone(UTC)
        case list():
            return [_in_utc(item) for item in value]
        case _:
            return value
