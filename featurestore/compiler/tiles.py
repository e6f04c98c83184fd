"""Tiles: what a windowed view stores. Per key, event hop and known hop, one mergeable state for each input.

A state is a few columns (`featurestore.compiler.tile_states`) that merge to the same bits whatever the order, the
threads or the increments; `featurestore.merging.windows` merges them.
"""

from __future__ import annotations

from datetime import timedelta

from sqlglot import exp

from featurestore.compiler.hops import boundary_of, first_boundary_knowing, hop_of
from featurestore.compiler.tile_states import Part, StateColumn, aggregated, columns_read, needed_parts
from featurestore.compiler.trees import cast_to, column, columns, function, named, number
from featurestore.graph.resolved import ResolvedFeature, ResolvedView, TileInput
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.spec.aggregate import Function

EVENT_HOP = "event_hop"
KNOWN_HOP = "known_hop"
"""The first boundary at which the tile's events are all over and known: from there on it counts."""


def state_columns(view: ResolvedView) -> tuple[StateColumn, ...]:
    """The state columns of a view's tiles: only what its functions need."""
    return tuple(StateColumn(entry, part) for entry in view.inputs for part in _parts(entry))


def tiles(view: ResolvedView, rows: exp.Select) -> exp.Select:
    """The tiles of `rows`, which have the view's keys, both times and inputs.

    They come in no order: sorting them took as long as making them, and whoever merges tiles sorts those it needs.
    """
    every = _every(view)
    keys = [key.name for key in view.keys]
    always_known = view.delay == timedelta(0)
    hops = [named(hop_of(column(EVENT_TIMESTAMP), every), EVENT_HOP)]
    if not always_known:
        hops.append(named(_known_hop(every), KNOWN_HOP))
    read = dict.fromkeys(name for state in state_columns(view) for name in columns_read(state))
    placed = exp.select(*columns(keys), *hops, *columns(read)).from_(rows.subquery("inside"))
    states = [named(aggregated(state), state.name) for state in state_columns(view)]
    grouped = [*keys, *(hop.alias for hop in hops)]
    made = exp.select(*columns(grouped), *states).from_(placed.subquery("placed")).group_by(*columns(grouped))
    known = (
        named(exp.Add(this=column(EVENT_HOP), expression=number(1)), KNOWN_HOP) if always_known else column(KNOWN_HOP)
    )
    day = named(cast_to(boundary_of(column(EVENT_HOP), every), "DATE"), "event_day")  # hops divide a day
    stored = columns(state.name for state in state_columns(view))
    return exp.select(*columns(keys), column(EVENT_HOP), known, *stored, day).from_(made.subquery("made"))


def _known_hop(every: timedelta) -> exp.Expr:
    over = exp.Add(this=hop_of(column(EVENT_TIMESTAMP), every), expression=number(1))
    return function("GREATEST", over, first_boundary_knowing(column(KNOWN_AT), every))


def empty_value(feature: ResolvedFeature) -> int | None:
    """What a windowed feature is where its window holds nothing: a count is 0, everything else is null."""
    counts = (Function.COUNT, Function.COUNT_DISTINCT)
    return 0 if feature.window is not None and feature.window.function in counts else None


def input_of(view: ResolvedView, feature: ResolvedFeature) -> TileInput:
    """The input that a windowed feature aggregates."""
    assert feature.window is not None  # noqa: S101 - only windowed features have inputs
    name = feature.window.input
    return next(entry for entry in view.inputs if entry.name == name)


def parts_of(feature: ResolvedFeature, view: ResolvedView) -> tuple[StateColumn, ...]:
    """The state columns that a feature's value is computed from."""
    assert feature.window is not None  # noqa: S101 - only windowed features have states
    entry = input_of(view, feature)
    return tuple(StateColumn(entry, part) for part in needed_parts(feature.window.function, entry.dtype))


def _every(view: ResolvedView) -> timedelta:
    assert view.every is not None  # noqa: S101 - a windowed view has a hop: FeatureView refuses anything else
    return view.every


def _parts(entry: TileInput) -> tuple[Part, ...]:
    needed = {part for function in entry.functions for part in needed_parts(function, entry.dtype)}
    return tuple(part for part in Part if part in needed)
