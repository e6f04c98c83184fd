"""Tiles built event by event in plain Python, and the views that they belong to.

What a state holds is said by `featurestore.compiler.tile_states`; here it is computed without any engine.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

import pyarrow as pa

from featurestore.compiler.tile_states import SQUARE_SHIFTS, Part, StateColumn, needed_parts, squares_of
from featurestore.graph.arrow_types import arrow_type
from featurestore.graph.resolved import ResolvedFeature, ResolvedView, TileInput, WindowOf
from featurestore.spec.aggregate import Function
from featurestore.spec.dtypes import DType

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MOMENT = pa.timestamp("us", "UTC")
RECENT = 3
WINDOWS = (1, 4, 24, None)
_NAN, _PLUS, _MINUS = 2**80, 2**40, 1


@dataclass(frozen=True)
class Event:
    key: int
    hop: int
    known_hop: int
    at: datetime
    known: datetime
    value: Any


def drawn_events(chance: random.Random, values: Sequence[Any], count: int, first: int) -> list[Event]:
    """Events of a few keys, some known late. Times meet, so that values decide who is last."""
    events = []
    for _ in range(count):
        hop = first + chance.randrange(12)
        at = EPOCH + hop * HOUR + chance.choice((0, 0, 10)) * timedelta(minutes=1)
        late = chance.choice((0, 0, 0, 1, 3, 30))
        known = at + late * HOUR
        known_hop = max(hop + 1, -((EPOCH - known) // HOUR))
        events.append(Event(chance.randrange(3), hop, known_hop, at, known, chance.choice(values)))
    return events


def view_of(dtype: DType, functions: Sequence[tuple[Function, float | None]]) -> ResolvedView:
    """A view of one input `v`, with each function over each window."""
    entry = TileInput("v", dtype, tuple({function for function, _ in functions}), RECENT)
    features = tuple(
        ResolvedFeature(
            f"{function.value}_{parameter}_{window}",
            _type_of(function, dtype),
            "",
            (),
            WindowOf("v", function, None if window is None else window * HOUR, parameter),
        )
        for function, parameter in functions
        for window in WINDOWS
    )
    return ResolvedView(
        name="w", fingerprint="0" * 64, entity=None, keys=(), query="", sources=(), features=features, every=HOUR,
        inputs=(entry,), ttl=None, publish_delay=timedelta(0), delay=None,
    )  # fmt: skip


def tile_table(view: ResolvedView, events: Sequence[Event]) -> pa.Table:
    """The tiles of the events: key, event hop, known hop, and the states of the input."""
    (entry,) = view.inputs
    parts = list(dict.fromkeys(part for f in entry.functions for part in needed_parts(f, entry.dtype)))
    columns: dict[str, list[Any]] = {name: [] for name in ("key", "hop", "known_hop", *(part.name for part in parts))}
    in_tiles = sorted(events, key=lambda event: (event.key, event.hop, event.known_hop))
    for tile, group in groupby(in_tiles, lambda event: (event.key, event.hop, event.known_hop)):
        counted = sorted((event for event in group if event.value is not None), key=order)
        for name, value in zip(("key", "hop", "known_hop"), tile, strict=True):
            columns[name].append(value)
        for part in parts:
            columns[part.name].append(state(part, counted, is_float=entry.dtype.is_float))
    kinds = {part.name: _kind(part, entry.dtype) for part in parts}
    names = {part.name: StateColumn(entry, part).name for part in parts}
    return pa.table(
        {names.get(name, name): pa.array(values, kinds.get(name, pa.int64())) for name, values in columns.items()}
    )


def order(event: Event) -> tuple[Any, ...]:
    return event.at, event.known, rank(event.value)


def rank(value: Any) -> tuple[Any, ...]:
    """NaN after everything, -0.0 before 0.0."""
    if isinstance(value, float):
        return (1, 0, 0) if math.isnan(value) else (0, value, math.copysign(1.0, value))
    return (0, value, 0)


def one_zero(value: Any) -> Any:
    return value + 0.0 if isinstance(value, float) else value


def whole(value: Any) -> int:
    """What is added up: a double times 2**60, rounded."""
    return int(value) if not isinstance(value, float) else round(value * 2**60) if math.isfinite(value) else 0


def state(part: Part, counted: Sequence[Event], *, is_float: bool) -> Any:
    """The state of a tile's events that have a value, in their order."""
    values = [event.value for event in counted]
    if part is Part.COUNT:
        return len(values)
    if not values:
        return None
    if part is Part.SUM:
        return Decimal(sum(map(whole, values))) if not is_float or any(map(math.isfinite, values)) else None
    if part is Part.SPECIAL:
        kinds = (_NAN if math.isnan(v) else _PLUS if v > 0 else _MINUS for v in values if not math.isfinite(v))
        return Decimal(sum(kinds)) or None
    if part in squares_of():
        place = squares_of().index(part)
        return Decimal(sum(_squares(whole(value))[place] for value in values))
    return _of_values(part, counted)


def _of_values(part: Part, counted: Sequence[Event]) -> Any:
    values = sorted((one_zero(event.value) for event in counted), key=rank)
    ends = {Part.FIRST: 0, Part.FIRST_AT: 0, Part.FIRST_KNOWN: 0, Part.LAST: -1, Part.LAST_AT: -1, Part.LAST_KNOWN: -1}
    times = {Part.FIRST_AT: "at", Part.LAST_AT: "at", Part.RECENT_AT: "at"}
    times |= {Part.FIRST_KNOWN: "known", Part.LAST_KNOWN: "known", Part.RECENT_KNOWN: "known"}
    if part in (Part.MIN, Part.MAX):
        return values[0 if part is Part.MIN else -1]
    if part is Part.DISTINCT:
        return list({rank(value): value for value in values}.values())
    if part is Part.VALUES:
        return [float(value) for value in values]
    if part in ends:
        return getattr(counted[ends[part]], times.get(part, "value"))
    return [getattr(event, times.get(part, "value")) for event in counted[-RECENT:]]


def _squares(value: int) -> list[int]:
    a, b, c = value >> 96, value >> 48 & (2**48 - 1), value & (2**48 - 1)
    assert SQUARE_SHIFTS == (192, 144, 96, 48, 0)
    return [a * a, 2 * a * b, 2 * a * c + b * b, 2 * b * c, c * c]


def _kind(part: Part, dtype: DType) -> pa.DataType:
    added = dict.fromkeys((Part.SUM, Part.SPECIAL, *squares_of()), pa.decimal128(38, 0))
    times = dict.fromkeys((Part.FIRST_AT, Part.FIRST_KNOWN, Part.LAST_AT, Part.LAST_KNOWN), MOMENT)
    lists = {Part.RECENT_AT: MOMENT, Part.RECENT_KNOWN: MOMENT, Part.VALUES: pa.float64()}
    lists |= dict.fromkeys((Part.RECENT, Part.DISTINCT), arrow_type(dtype))
    if part in lists:
        return pa.list_(lists[part])
    return {Part.COUNT: pa.int64(), **added, **times}.get(part, arrow_type(dtype))


def _type_of(function: Function, dtype: DType) -> DType:
    match function:
        case Function.COUNT | Function.COUNT_DISTINCT:
            return DType.INT64
        case Function.MEAN | Function.STD | Function.VAR | Function.PERCENTILE:
            return DType.FLOAT64
        case Function.SUM:
            return DType.FLOAT64 if dtype.is_float else DType.INT64
        case _:
            return dtype
