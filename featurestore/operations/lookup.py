"""Lookup: features for entities as the online store has them now, each with a status.

`prepare` does once what a feature set needs; a lookup then makes one round trip for each request, and works on columns.
`lookup` and `lookup_async` differ in the reader alone: what comes before and after the round trip is shared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from featurestore.compiler.on_demand import ROWS, on_demand_rows, read_columns
from featurestore.compiler.tiles import empty_value
from featurestore.errors import LookupInThePast, NotMaterialized
from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import Column, FeatureSet
from featurestore.intervals import EPOCH, show_moment
from featurestore.operations.answered_rows import AnsweredRows, OnlineAnswer, OnlineValues, Status
from featurestore.operations.entity_rows import Entities, row_count, typed_columns
from featurestore.ports.engine import Engine, Query
from featurestore.ports.online_store import AsyncOnlineReader, Key, OnlineReader, OnlineTable, TableRead, TableRows

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class PreparedUse:
    """One view as a lookup reads it."""

    name: str
    table: OnlineTable
    join_columns: tuple[str, ...]
    ttl: timedelta | None
    publish_delay: timedelta
    columns: tuple[str, ...]
    positions: tuple[int, ...]
    """Where each column's values stand among a stored row's."""
    defaults: tuple[object, ...]
    """What each column is where there is no row: an empty window's value."""
    emptied: tuple[object, ...] | None
    """Of a windowed view, the stored values of a row whose windows are all empty: it is as good as no row, and whether
    the store still has it depends on when it was filled. None for other views."""


@dataclass(frozen=True, slots=True)
class PreparedLookup:
    """A feature set made ready: `inputs` are the columns that every request's rows must have."""

    features: FeatureSet
    uses: tuple[PreparedUse, ...]
    inputs: tuple[Column, ...]
    computed_from: tuple[Column, ...]
    computed: Query | None


@dataclass(frozen=True, slots=True)
class Asked:
    """The moment of a lookup. `replayed`: the caller named it, so a store that has moved on can not answer."""

    at: datetime
    replayed: bool = False


_Inputs = Mapping[str, Sequence[object]]
_Positions = list[int | None] | None
"""For each row asked for, where its key stands among those read; None for a null key. None as a whole: one by one."""


def prepare(features: FeatureSet) -> PreparedLookup:
    """What lookups of these features have in common."""
    inputs = {column.name: column for column in (*features.join_columns, *features.request_inputs)}
    computed_from = read_columns(features)
    return PreparedLookup(
        features=features,
        uses=tuple(_prepared_use(features, index) for index in range(len(features.uses))),
        inputs=tuple(inputs.values()),
        computed_from=computed_from,
        computed=Query(on_demand_rows(features)) if features.on_demand else None,
    )


def lookup(
    prepared: PreparedLookup, entities: Entities, asked: Asked, store: OnlineReader, engine: Engine
) -> OnlineAnswer:
    """The features for each row. An unknown key or a null key gives MISSING, never an error.

    Raises EntityRowsError for rows that are no keys, NotMaterialized when a view is not in the store, and
    LookupInThePast when the store is filled beyond a replayed moment.
    """
    request = _Request.of(prepared, entities, asked)
    return request.answer(store.read(request.reads) if request.reads else [], engine)


async def lookup_async(
    prepared: PreparedLookup, entities: Entities, asked: Asked, store: AsyncOnlineReader, engine: Engine
) -> OnlineAnswer:
    """As `lookup`, without holding the event loop up."""
    request = _Request.of(prepared, entities, asked)
    found = await store.read(request.reads) if request.reads else []
    if prepared.computed is None:
        return request.answer(found, engine)
    return await asyncio.to_thread(request.answer, found, engine)


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

    def answer(self, found: Sequence[TableRows], engine: Engine) -> OnlineAnswer:
        """What the round trip's outcome means at the moment asked for."""
        columns: dict[str, tuple[Sequence[object], AnsweredRows]] = {}
        for use, positions, answer in zip(self.prepared.uses, self.positions, found, strict=True):
            _check_filled(use, answer, self.asked)
            columns |= _answers(use, answer if positions is None else _taken(answer, positions), self.asked.at)
        computed = _computed(self.prepared, self.inputs, columns, self.rows, engine)
        rows = AnsweredRows((None,) * self.rows)
        columns |= {name: (values, rows) for name, values in computed.items()}
        outputs = self.prepared.features.outputs
        return OnlineAnswer(
            tuple(OnlineValues(output, *columns[output.name]) for output in outputs), self.rows, self.asked.at
        )


def _prepared_use(features: FeatureSet, index: int) -> PreparedUse:
    use = features.uses[index]
    view = features.view(use.view)
    table = OnlineTable.of(view)
    stored = [value.name for value in table.values]
    return PreparedUse(
        name=view.name,
        table=table,
        join_columns=use.join_columns,
        ttl=view.ttl,
        publish_delay=view.publish_delay,
        columns=tuple(use.column(feature) for feature in use.features),
        positions=tuple(stored.index(feature) for feature in use.features),
        defaults=tuple(empty_value(view.feature(feature)) for feature in use.features),
        emptied=tuple(empty_value(view.feature(name)) for name in stored) if view.is_windowed else None,
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


def _taken(answer: TableRows, positions: list[int | None]) -> TableRows:
    """An entry for each row asked for, of those for each key read."""

    def taken(column: Sequence[object]) -> list[object]:
        return [None if at is None else column[at] for at in positions]

    events, known = taken(answer.event_timestamps), taken(answer.known_at)
    values = [taken(column) for column in answer.values]
    return TableRows(answer.filled, events, known, values)  # type: ignore[arg-type]  # what was int stays int


def _check_filled(use: PreparedUse, answer: TableRows, asked: Asked) -> None:
    filled = answer.filled
    if filled is None:
        raise NotMaterialized(
            f"View '{use.name}' ({use.table.name}) is not in the online store. Run `knownat materialize`."
        )
    if filled.keeps is not None and (use.ttl is None or use.ttl > filled.keeps):
        raise NotMaterialized(
            f"View '{use.name}' ({use.table.name}) was copied into the online store with a shorter TTL, so rows that "
            "count now may be gone from it. Run `knownat materialize`."
        )
    if asked.replayed:
        _check_not_passed(use, answer, filled.to, asked.at)


def _check_not_passed(use: PreparedUse, answer: TableRows, filled_to: datetime, at: datetime) -> None:
    """A row that was pushed may be newer than what the table is filled up to."""
    newest = max((moment for moment in answer.known_at if moment is not None), default=None)
    reached = filled_to
    if newest is not None:
        reached = max(reached, EPOCH + timedelta(microseconds=newest) + use.publish_delay)
    if at < reached:
        raise LookupInThePast(
            f"View '{use.name}' is online as of {show_moment(reached)}, after {show_moment(at)}: the "
            "online store holds only the newest rows. Ask for a training set instead."
        )


def _answers(use: PreparedUse, found: TableRows, at: datetime) -> dict[str, tuple[Sequence[object], AnsweredRows]]:
    """Every column of one view, for each row asked for."""
    events, stored = found.event_timestamps, found.values
    if use.emptied is not None and (emptied := _emptied_rows(use.emptied, stored, events)):
        events = [None if row in emptied else event for row, event in enumerate(events)]
    states = _states(events, None if use.ttl is None else (at - use.ttl - EPOCH) // _MICROSECOND)
    rows = AnsweredRows(events, states)
    answered: dict[str, tuple[Sequence[object], AnsweredRows]] = {}
    for name, position, default in zip(use.columns, use.positions, use.defaults, strict=True):
        values = stored[position]
        if states is not None:
            values = [
                value if state is Status.PRESENT else default if state is Status.MISSING else None
                for value, state in zip(values, states, strict=True)
            ]
        answered[name] = (tuple(values), rows)
    return answered


def _states(events: Sequence[int | None], oldest: int | None) -> Sequence[Status] | None:
    """PRESENT, MISSING or EXPIRED for each row; None where all are there."""
    if not any(event is None or (oldest is not None and event <= oldest) for event in events):
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


def _computed(
    prepared: PreparedLookup,
    inputs: _Inputs,
    columns: Mapping[str, tuple[Sequence[object], AnsweredRows]],
    count: int,
    engine: Engine,
) -> dict[str, Sequence[object]]:
    """The on-demand features, by the engine that computes them offline: the same bits."""
    if prepared.computed is None:
        return {}
    if not count:
        return {feature.name: () for feature in prepared.features.on_demand}
    arrays = [
        pa.array(inputs[c.name] if c.name in inputs else columns[c.name][0], field.type)
        for c, field in zip(prepared.computed_from, arrow_schema(prepared.computed_from), strict=True)
    ]
    names = [column.name for column in prepared.computed_from]
    rows = pa.table([pa.array(range(count), pa.int64()), *arrays], names=["__row", *names])
    with engine.stream(Query(prepared.computed.tree, {ROWS: rows})) as reader:
        computed = reader.read_all()
    return {name: tuple(computed[name].to_pylist()) for name in computed.column_names}
