"""A window's value, merged from tiles, is the aggregate of its events one by one."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from featurestore.errors import QueryError
from featurestore.merging import ranges
from featurestore.merging.visible import Boundaries, TileTimes
from featurestore.merging.windows import Tiles, window_values
from featurestore.spec.aggregate import Function
from featurestore.spec.dtypes import DType
from tests.property.oracle import aggregate, percentile_of, same
from tests.unit.merging.tiles_by_hand import EPOCH, HOUR, WINDOWS, Event, drawn_events, order, tile_table, view_of

NUMBERS = (Function.SUM, Function.MEAN, Function.STD, Function.VAR)
ANY = (Function.COUNT, Function.COUNT_DISTINCT, Function.MIN, Function.MAX, Function.FIRST, Function.LAST)
PERCENTS = (0.0, 12.5, 50.0, 100.0)
GREATEST = 2**63 - 1
NAMES = {Function.COUNT_DISTINCT: "count_distinct"}
# For each type the values, and whether they can be added up without leaving 64 bits.
VALUES: dict[str, tuple[DType, tuple[Any, ...], bool]] = {
    "doubles": (DType.FLOAT64, (None, -0.0, 0.0, 0.1, -1.5, 1 / 3, 98765432.125, -7.25e9), True),
    "special doubles": (DType.FLOAT64, (math.nan, math.inf, -math.inf, -0.0, 1.0, None), True),
    "floats": (DType.FLOAT32, (None, 0.5, -2.25, -0.0, 3e7, math.nan), True),
    "integers": (DType.INT64, (None, 0, 1, -7, 2**53 + 1, -(2**53) - 1, 2**58), True),
    "extreme integers": (DType.INT64, (GREATEST, -GREATEST - 1, 0), False),
    "small integers": (DType.INT8, (None, -128, 127, 0), True),
    "texts": (DType.STRING, ("", "a", "Z", "é", "\U0001f6eb", None), False),
    "booleans": (DType.BOOL, (True, False, None), False),
    "moments": (DType.TIMESTAMP, (datetime(1969, 12, 31, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC), None), False),
}


def functions(kind: str) -> list[tuple[Function, float | None]]:
    dtype, _, adds = VALUES[kind]
    listed: list[tuple[Function, float | None]] = [(function, None) for function in (*ANY, *(NUMBERS if adds else ()))]
    return [*listed, *((Function.PERCENTILE, percent) for percent in PERCENTS if adds or dtype.is_integer)]


def wanted(function: Function, parameter: float | None, events: Sequence[Event]) -> Any:
    values = [event.value for event in sorted(events, key=lambda event: (event.value is None, order_of(event)))]
    if function is Function.PERCENTILE:
        assert parameter is not None
        return percentile_of(values, parameter)
    return aggregate(NAMES.get(function, function.value), values)


def order_of(event: Event) -> Any:
    return order(event) if event.value is not None else ()


def merged(
    kind: str, events: Sequence[Event], points: list[tuple[int, int]], *, shuffled: bool = False
) -> list[dict[str, Any]]:
    """The features at each point, from the tiles of the events."""
    view = view_of(VALUES[kind][0], functions(kind))
    table = tile_table(view, events)
    if shuffled:
        table = table.take(pa.array(np.random.default_rng(0).permutation(table.num_rows)))
    times = TileTimes(*(np.asarray(table[name], np.int64) for name in ("key", "hop", "known_hop")))
    states = {name: table[name].combine_chunks() for name in table.column_names[3:]}
    boundaries = Boundaries(*(np.array([point[part] for point in points], np.int64) for part in range(2)))
    arrays = window_values(view, view.features, boundaries, Tiles(times, states))
    rows: list[dict[str, Any]] = pa.table(arrays, names=[feature.name for feature in view.features]).to_pylist()
    return rows


def check(kind: str, events: Sequence[Event], points: list[tuple[int, int]], *, shuffled: bool = False) -> None:
    for (key, hop), row in zip(points, merged(kind, events, points, shuffled=shuffled), strict=True):
        for function, parameter in functions(kind):
            for window in WINDOWS:
                inside = [
                    event
                    for event in events
                    if event.key == key
                    and (window is None or event.hop >= hop - window)
                    and event.hop < hop
                    and event.known_hop <= hop
                ]
                found, value = row[f"{function.value}_{parameter}_{window}"], wanted(function, parameter, inside)
                assert same(found, value), (function, parameter, window, key, hop, inside)


@pytest.mark.parametrize("first", [-6, 400_000])
@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("seed", range(4))
def test_every_aggregate_of_every_window_is_that_of_its_events(kind: str, seed: int, first: int) -> None:
    chance = random.Random(f"{kind} {seed}")
    events = drawn_events(chance, VALUES[kind][1], chance.choice((1, 15, 60)), first)
    points = sorted({(chance.randrange(4), first + chance.randrange(-2, 30)) for _ in range(40)})

    check(kind, events, points, shuffled=bool(seed % 2))


@pytest.mark.parametrize("kind", ["special doubles", "integers", "texts"])
@pytest.mark.parametrize("most", [1, 7])
def test_windows_are_looked_at_in_pieces_with_the_same_outcome(
    kind: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "_MOST_PAIRS", most)
    events = drawn_events(random.Random(1), VALUES[kind][1], 60, 0)

    check(kind, events, [(key, hop) for key in range(4) for hop in range(-1, 20)])


@pytest.mark.parametrize("kind", VALUES)
def test_without_tiles_counts_are_0_and_the_rest_is_null_and_without_points_nothing_is_asked(kind: str) -> None:
    events = drawn_events(random.Random(2), VALUES[kind][1], 5, 0)

    check(kind, [], [(0, 5), (3, -1)])
    assert merged(kind, events, []) == []
    assert merged(kind, [], []) == []


def event(hop: int, value: Any) -> Event:
    return Event(0, hop, hop + 1, EPOCH + hop * HOUR, EPOCH + hop * HOUR, value)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("integers", (GREATEST, 1)),
        ("integers", (-GREATEST - 1, -1)),
        ("doubles", (8e19, 8e19)),
        ("doubles", (-8e19, -8e19)),
        ("doubles", (8e19,) * 4),
    ],
)
def test_a_sum_that_is_too_great_is_refused_with_its_feature(kind: str, values: tuple[Any, ...]) -> None:
    events = [event(hop, value) for hop, value in enumerate(values)]

    with pytest.raises(QueryError, match=r"w:sum_None_4: a sum .* too great.* expression"):
        merged(kind, events, [(0, len(values))])


@pytest.mark.parametrize(
    ("kind", "values", "total"),
    [
        ("integers", (GREATEST, 1, -1), GREATEST),
        ("integers", (-GREATEST - 1, -1, 1), -GREATEST - 1),
        ("doubles", (8e19, 6e19, -8e19), 6e19),
        ("doubles", (8e19, 8e19, -8e19, -8e19, 0.5), 0.5),
        ("doubles", (8e19, 8e19, -8e19, math.nan), math.nan),
    ],
)
def test_a_sum_that_fits_in_the_end_is_told(kind: str, values: tuple[Any, ...], total: Any) -> None:
    events = [event(hop, value) for hop, value in enumerate(values)]
    view = view_of(VALUES[kind][0], [(Function.SUM, None)])
    table = tile_table(view, events)
    times = TileTimes(*(np.asarray(table[name], np.int64) for name in ("key", "hop", "known_hop")))
    states = {name: table[name].combine_chunks() for name in table.column_names[3:]}
    lifetime = next(feature for feature in view.features if feature.name == "sum_None_None")

    [found] = window_values(view, (lifetime,), Boundaries(np.array([0]), np.array([len(values)])), Tiles(times, states))

    assert same(found.to_pylist()[0], total)
