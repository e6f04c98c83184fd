"""One definition of everything: views of each kind over one source, and what the oracle says they hold.

`declarations` is what people would write; `expected` computes the same from `tests/property/oracle.py` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from featurestore.spec.aggregate import Aggregate, Feature, Parameterized, percentile
from featurestore.spec.declarations import Declaration
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import ParquetSource
from tests.property.oracle import EPOCH, NOTHING, Row, aggregate, in_order, in_window, newest, percentile_of

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

# column, function, filter: what every windowed view below aggregates.
AGGREGATES = (
    ("*", "count", False),
    ("*", "count", True),
    ("x", "count", False),
    ("x", "sum", False),
    ("x", "mean", False),
    ("x", "mean", True),
    ("x", "min", False),
    ("x", "max", False),
    ("n", "sum", False),
    ("n", "mean", False),
    ("n", "max", True),
    ("f", "sum", False),
    ("f", "min", False),
    ("f", "max", False),
    ("i", "sum", False),
    ("s", "min", False),
    ("s", "max", False),
    ("b", "mean", False),
    ("b", "max", False),
    ("t", "max", False),
    ("x", "std", False),
    ("x", "var", True),
    ("f", "var", False),
    ("n", "var", False),
    ("i", "std", False),
    ("x", "first", False),
    ("x", "last", False),
    ("f", "last", True),
    ("s", "first", False),
    ("s", "last", False),
    ("b", "last", False),
    ("t", "first", True),
    ("n", "last", False),
    ("x", "count_distinct", False),
    ("s", "count_distinct", True),
    ("b", "count_distinct", False),
    ("x", "p50", False),
    ("n", "p90", False),
    ("f", "p12_5", True),
)
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p12_5": 12.5}
VALUES = ("b", "f", "i", "n", "s", "t", "x")


@dataclass(frozen=True)
class Choices:
    """The durations that examples differ in."""

    delay: timedelta
    publish_delay: timedelta
    ttl: timedelta | None


@dataclass(frozen=True)
class Windows:
    """A windowed view: which rows it is made of, whose they are, and how it cuts time."""

    name: str
    keys: tuple[str, ...]
    known: str
    every: timedelta
    windows: tuple[timedelta | None, ...]
    """None is the lifetime."""


@dataclass(frozen=True)
class Rows:
    """A row-level view. `columns` are its features, each the source's column of another name."""

    name: str
    keys: tuple[str, ...]
    known: str
    columns: dict[str, str]
    mortal: bool


WINDOWED = (
    Windows("late_by_k", ("k",), "column", HOUR, (HOUR, 3 * HOUR, DAY, None)),
    Windows("all", (), "delay", 6 * HOUR, (6 * HOUR, DAY)),
    Windows("pair", ("n", "k"), "delay", 30 * timedelta(minutes=1), (HOUR,)),
)
ROW_LEVEL = (
    Rows("newest_by_k", ("k",), "column", {name: name for name in VALUES}, mortal=True),
    Rows("pair_rows", ("k", "n"), "delay", {"x": "x", "s": "s"}, mortal=True),
    Rows("newest_of_all", (), "column", {"x": "x", "a": "n"}, mortal=False),
    Rows("by_sql", ("k",), "sql", {"x": "x", "was": "t"}, mortal=False),
)


def declarations(choices: Choices) -> tuple[Declaration, ...]:
    entities = {
        ("k",): Entity("thing", join_keys={"k": DType.STRING}),
        ("n", "k"): Entity("pair", join_keys={"n": DType.INT64, "k": DType.STRING}),
        ("k", "n"): Entity("riap", join_keys={"k": DType.STRING, "n": DType.INT64}),
        (): None,
    }
    late = ParquetSource("late", path="events", event_timestamp="happened", known_at="known")
    delayed = ParquetSource("delayed", path="events", event_timestamp="happened", delay=choices.delay)
    sources = {"column": late, "delay": delayed}
    windowed = {
        view.name: FeatureView(
            view.name,
            entity=entities[view.keys],
            source=sources[view.known],
            every=view.every,
            publish_delay=choices.publish_delay,
            features=[
                Aggregate(
                    column, _function(function), windows=view.windows, where="n > 0" if filtered else None,
                    name=aggregate_name(column, function, filtered),
                )
                for column, function, filtered in AGGREGATES
            ],
        )
        for view in WINDOWED
    }  # fmt: skip
    row_level = {
        view.name: FeatureView(
            view.name,
            entity=entities[view.keys],
            source=sources[view.known],
            ttl=choices.ttl if view.mortal else None,
            publish_delay=choices.publish_delay,
            features=[Feature(name, column) for name, column in view.columns.items()],
        )
        for view in ROW_LEVEL
        if view.known != "sql"
    }
    by_sql = FeatureView(
        "by_sql",
        entity=entities["k",],
        sql="WITH e AS (SELECT * FROM delayed) SELECT k, happened AS event_timestamp, known AS known_at, x, t AS was "
        "FROM e WHERE b IS DISTINCT FROM FALSE",
        publish_delay=choices.publish_delay,
    )
    ratio = OnDemandFeature(
        "ratio", expression="note / all:rows_6h + coalesce(newest_by_k:x, 0)", inputs={"note": DType.FLOAT64}
    )
    everything = FeatureService(
        "everything",
        features=[
            *windowed.values(),
            *row_level.values(),
            by_sql,
            row_level["newest_by_k"].role("other", k="other"),
            windowed["late_by_k"].role("other", k="other"),
            ratio,
        ],
    )
    return late, delayed, *windowed.values(), *row_level.values(), by_sql, everything


def expected(
    events: Sequence[dict[str, Any]], asked: dict[str, Any], choices: Choices, now: datetime
) -> Iterator[tuple[str, object]]:
    """Every column that the service `everything` gives for one row of the spine, when it was filled at `now`."""
    found = dict(_of_views(events, asked, choices, now))
    yield from found.items()
    yield "ratio", _ratio(asked["note"], found["all__rows_6h"], found["newest_by_k__x"])


def _of_views(
    events: Sequence[dict[str, Any]], asked: dict[str, Any], choices: Choices, now: datetime
) -> Iterator[tuple[str, object]]:
    for view in WINDOWED:
        rows = _rows(events, view.keys, view.known, {name: name for name in (*VALUES, "n")}, choices)
        end = filled_to(now, view.known, view.every, choices)
        rows = [row for row in rows if row.event < end]
        last = last_boundary(end, view, choices)
        for prefix, keys in _roles(view.name, view.keys):
            key = tuple(asked[name] for name in keys)
            yield from _windowed(prefix, view, rows, (key, asked["at"], last), choices)
    for table in ROW_LEVEL:
        rows = _rows(events, table.keys, table.known, table.columns, choices)
        rows = [row for row in rows if row.event <= filled_to(now, table.known, HOUR, choices)]
        for prefix, keys in _roles(table.name, table.keys):
            row = newest(
                rows, tuple(asked[name] for name in keys), asked["at"],
                ttl=choices.ttl if table.mortal else None, publish_delay=choices.publish_delay,
            )  # fmt: skip
            for name in table.columns:
                yield f"{prefix}__{name}", None if row is None else row.values[name]


def filled_to(now: datetime, known: str, step: timedelta, choices: Choices) -> datetime:
    """What happened before this is filled at `now`: whole steps, and only what is known by then. Of a row-level view
    what happened just then is filled, too."""
    known_to = now - (choices.delay if known == "delay" else NOTHING)
    return EPOCH + (known_to - EPOCH) // step * step


def last_boundary(end: datetime, view: Windows, choices: Choices) -> datetime:
    """The last boundary before which everything that was known by then is filled. What happens at `end` is not."""
    if view.known != "delay" or not choices.delay:
        return end
    known = end + choices.delay - timedelta(microseconds=1)
    return EPOCH + (known - EPOCH) // view.every * view.every


def aggregate_name(column: str, function: str, filtered: bool) -> str:
    return ("rows" if column == "*" else f"{column}_{function}") + ("_if" if filtered else "")


def _function(name: str) -> Parameterized | str:
    return percentile(PERCENTILES[name]) if name in PERCENTILES else name


def window_name(window: timedelta | None) -> str:
    if window is None:
        return "lifetime"
    return f"{window // DAY}d" if window % DAY == NOTHING else f"{window // HOUR}h"


def _ratio(note: float | None, rows: object, newest_x: object) -> float | None:
    """The on-demand feature, by the rules of floating-point numbers."""
    assert isinstance(rows, int)
    assert newest_x is None or isinstance(newest_x, float)
    if note is None:
        return None
    with np.errstate(all="ignore"):
        return float(np.float64(note) / np.float64(rows) + np.float64(0.0 if newest_x is None else newest_x))


def _roles(name: str, keys: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield name, keys
    if name in ("newest_by_k", "late_by_k"):
        yield f"other_{name}", ("other",)


def _windowed(
    prefix: str,
    view: Windows,
    rows: list[Row],
    asked: tuple[tuple[object, ...], datetime, datetime],
    choices: Choices,
) -> Iterator[tuple[str, object]]:
    key, moment, last = asked
    for window in view.windows:
        inside = in_window(
            rows, key, moment, every=view.every, window=window, last=last, publish_delay=choices.publish_delay
        )  # fmt: skip
        for column, function, filtered in AGGREGATES:
            counted = [row for row in inside if not filtered or (row.values["n"] or 0) > 0]  # type: ignore[operator]
            name = f"{prefix}__{aggregate_name(column, function, filtered)}_{window_name(window)}"
            if column == "*":
                yield name, len(counted)
            elif function in PERCENTILES:
                yield name, percentile_of(in_order(counted, column), PERCENTILES[function])
            else:
                yield name, aggregate(function, in_order(counted, column))


def _rows(
    events: Sequence[dict[str, Any]], keys: tuple[str, ...], known: str, columns: dict[str, str], choices: Choices
) -> list[Row]:
    """The events as rows of a view, without those that can not be stored."""
    rows = []
    for event in events:
        key = tuple(event.get(name) for name in keys)
        happened, arrived = event["happened"], event["known"]
        if known == "delay" and happened is not None:
            arrived = happened + choices.delay
        if happened is None or arrived is None or None in key or (known == "sql" and event.get("b") is False):
            continue
        rows.append(Row(key, happened, arrived, {name: event.get(column) for name, column in columns.items()}))
    return rows
