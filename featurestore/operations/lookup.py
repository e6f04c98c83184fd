"""Lookup: features for entities as the online store has them now, each with a status.

`prepare` does once what a feature set needs; `lookup` then makes one round trip for each request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

import pyarrow as pa

from featurestore.compiler.on_demand import ROWS, on_demand_rows, read_columns
from featurestore.compiler.tiles import empty_value
from featurestore.errors import LookupInThePast, NotMaterialized
from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import Column, FeatureSet, OutputColumn
from featurestore.intervals import show_moment
from featurestore.operations.entity_rows import Row, typed_columns
from featurestore.ports.engine import Engine, Query
from featurestore.ports.online_store import Key, OnlineReader, OnlineRow, OnlineTable, TableRead, TableRows


class Status(Enum):
    """Why a value is what it is. MISSING: no such key. EXPIRED: older than the TTL when asked."""

    PRESENT = "present"
    NULL = "null"
    MISSING = "missing"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class PreparedUse:
    """One view as a lookup reads it."""

    name: str
    table: OnlineTable
    join_columns: tuple[str, ...]
    ttl: timedelta | None
    columns: tuple[str, ...]
    positions: tuple[int, ...]
    """Where each column's value stands in a stored row."""
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
class OnlineValues:
    """One output column of an answer, a value, a status and an event timestamp for each row asked for.

    The event timestamp is when the row behind the value happened (for windows: the boundary it was computed at); None
    where there is no row, and for on-demand features.
    """

    column: OutputColumn
    values: tuple[object, ...]
    statuses: tuple[Status, ...]
    event_timestamps: tuple[datetime | None, ...]


@dataclass(frozen=True, slots=True)
class OnlineAnswer:
    """An answer's columns, in the feature set's order, and the moment they were asked for."""

    columns: tuple[OnlineValues, ...]
    rows: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """The moment of a lookup. `replayed`: the caller named it, so a store that has moved on can not answer."""

    at: datetime
    replayed: bool = False


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
    prepared: PreparedLookup, rows: Sequence[Row], asked: Asked, store: OnlineReader, engine: Engine
) -> OnlineAnswer:
    """The features for each row. An unknown key or a null key gives MISSING, never an error.

    Raises EntityRowsError for rows that are no keys, NotMaterialized when a view is not in the store, and
    LookupInThePast when the store is filled beyond a replayed moment.
    """
    inputs = typed_columns(rows, prepared.inputs)
    reads = [_read(use, inputs, len(rows)) for use in prepared.uses]
    found = store.read([read for read, _ in reads]) if reads else []
    columns: dict[str, _Answered] = {}
    for use, (_, positions), answer in zip(prepared.uses, reads, found, strict=True):
        _check_filled(use, answer, asked)
        columns |= _answers(use, [None if at is None else _row(use, answer.rows[at]) for at in positions], asked.at)
    columns |= _computed(prepared, inputs, columns, len(rows), engine)
    return OnlineAnswer(
        tuple(
            OnlineValues(output, tuple(one.values), tuple(one.statuses), tuple(one.event_timestamps))
            for output in prepared.features.outputs
            for one in [columns[output.name]]
        ),
        len(rows),
        asked.at,
    )


@dataclass(frozen=True, slots=True)
class _Answered:
    values: list[object]
    statuses: list[Status]
    event_timestamps: list[datetime | None]


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
        columns=tuple(use.column(feature) for feature in use.features),
        positions=tuple(stored.index(feature) for feature in use.features),
        defaults=tuple(empty_value(view.feature(feature)) for feature in use.features),
        emptied=tuple(empty_value(view.feature(name)) for name in stored) if view.is_windowed else None,
    )


def _read(use: PreparedUse, inputs: dict[str, list[object]], count: int) -> tuple[TableRead, list[int | None]]:
    """The distinct keys to read, and for each row where its key stands among them; None for a null key."""
    keys: dict[Key, int] = {}
    positions: list[int | None] = []
    rows = zip(*(inputs[name] for name in use.join_columns), strict=True) if use.join_columns else [()] * count
    for key in rows:
        positions.append(None if None in key else keys.setdefault(key, len(keys)))
    return TableRead(use.table, list(keys)), positions


def _row(use: PreparedUse, row: OnlineRow | None) -> OnlineRow | None:
    return None if row is None or row.values == use.emptied else row


def _check_filled(use: PreparedUse, answer: TableRows, asked: Asked) -> None:
    if answer.filled_to is None:
        raise NotMaterialized(
            f"View '{use.name}' ({use.table.name}) is not in the online store. Run `knownat materialize`."
        )
    if asked.replayed and asked.at < answer.filled_to:
        raise LookupInThePast(
            f"View '{use.name}' is online as of {show_moment(answer.filled_to)}, after {show_moment(asked.at)}: the "
            "online store holds only the newest rows. Ask for a training set instead."
        )


def _answers(use: PreparedUse, rows: list[OnlineRow | None], at: datetime) -> dict[str, _Answered]:
    """Every column of one view, for each row asked for."""
    oldest = None if use.ttl is None else at - use.ttl
    events = [None if row is None else row.event_timestamp for row in rows]
    expired = [event is not None and oldest is not None and event <= oldest for event in events]
    answered: dict[str, _Answered] = {}
    for name, position, default in zip(use.columns, use.positions, use.defaults, strict=True):
        values: list[object] = []
        statuses: list[Status] = []
        for row, is_expired in zip(rows, expired, strict=True):
            if row is None:
                values.append(default)
                statuses.append(Status.MISSING)
            elif is_expired:
                values.append(None)
                statuses.append(Status.EXPIRED)
            else:
                value = row.values[position]
                values.append(value)
                statuses.append(Status.NULL if value is None else Status.PRESENT)
        answered[name] = _Answered(values, statuses, events)
    return answered


def _computed(
    prepared: PreparedLookup, inputs: dict[str, list[object]], columns: dict[str, _Answered], count: int, engine: Engine
) -> dict[str, _Answered]:
    """The on-demand features, by the engine that computes them offline: the same bits."""
    if prepared.computed is None:
        return {}
    if not count:
        return {feature.name: _Answered([], [], []) for feature in prepared.features.on_demand}
    arrays = [
        pa.array(inputs[c.name] if c.name in inputs else columns[c.name].values, field.type)
        for c, field in zip(prepared.computed_from, arrow_schema(prepared.computed_from), strict=True)
    ]
    names = [column.name for column in prepared.computed_from]
    rows = pa.table([pa.array(range(count), pa.int64()), *arrays], names=["__row", *names])
    with engine.stream(Query(prepared.computed.tree, {ROWS: rows})) as reader:
        computed = reader.read_all()
    answered = {}
    for name in computed.column_names:
        values = computed[name].to_pylist()
        statuses = [Status.NULL if value is None else Status.PRESENT for value in values]
        answered[name] = _Answered(values, statuses, [None] * count)
    return answered
