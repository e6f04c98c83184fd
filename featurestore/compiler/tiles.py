"""Tiles: what a windowed view stores. Per key, event hop and known hop, one mergeable state for each input.

A state is a few columns (`featurestore.compiler.tile_states`) that merge to the same bits whatever the order, the
threads or the increments; `featurestore.merging.windows` merges them.
"""

from __future__ import annotations

from datetime import timedelta

from sqlglot import exp

from featurestore.compiler.hops import first_boundary_knowing, hop_of
from featurestore.compiler.tile_states import Part, StateColumn, aggregated, needed_parts
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
    """The tiles of `rows`, which have the view's keys, both times and inputs."""
    every = _every(view)
    keys = columns(key.name for key in view.keys)
    event_hop = hop_of(column(EVENT_TIMESTAMP), every)
    over = exp.Add(this=event_hop.copy(), expression=number(1))
    known_hop = function("GREATEST", over, first_boundary_knowing(column(KNOWN_AT), every))
    states = [named(aggregated(state), state.name) for state in state_columns(view)]
    day = hop_day(column(EVENT_TIMESTAMP))
    grouped = [*keys, event_hop, known_hop, day]
    return (
        exp.select(*keys, named(event_hop, EVENT_HOP), named(known_hop, KNOWN_HOP), *states, named(day, "event_day"))
        .from_(rows.subquery("inside"))
        .group_by(*(part.copy() for part in grouped))
        .order_by(
            *(exp.Ordered(this=tree, nulls_first=False) for tree in [*keys, column(EVENT_HOP), column(KNOWN_HOP)])
        )
    )


def hop_day(moment: exp.Expr) -> exp.Expr:
    """The UTC day of a moment. Hops divide a day, so all events of a hop share theirs."""
    return cast_to(moment, "DATE")


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
