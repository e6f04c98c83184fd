"""One definition of everything: views of each kind over one source, as people would write them.

`tests/property/expected.py` computes the same from `tests/property/oracle.py` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from featurestore.spec.aggregate import Aggregate, Feature, Parameterized, last_n, percentile
from featurestore.spec.declarations import Declaration
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import ParquetSource
from tests.property.oracle import NOTHING

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

# column, function, filter: what the windowed views below aggregate.
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
    ("x", "last_3", False),
    ("s", "last_2", True),
    ("h", "min", False),
    ("h", "max", False),
    ("h", "mean", False),
    ("h", "var", False),
    ("h", "last", False),
    ("h", "count_distinct", False),
    ("d", "min", False),
    ("d", "last", True),
    ("d", "last_2", False),
    ("m", "sum", False),
    ("m", "mean", True),
    ("m", "max", False),
    ("m", "first", False),
    ("m", "last_3", False),
    ("m", "count_distinct", True),
    ("l", "count", False),
)
FEW = tuple(one for one in AGGREGATES if one[0] in ("*", "l") or one[1] in ("mean", "last", "p50", "last_3"))
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p12_5": 12.5}
LAST = {"last_2": 2, "last_3": 3}
VALUES = ("b", "d", "e", "f", "h", "i", "l", "m", "n", "s", "t", "x")


@dataclass(frozen=True)
class Choices:
    """The durations that examples differ in."""

    delay: timedelta
    publish_delay: timedelta
    ttl: timedelta | None
    hops: int = 0
    """Which of the hops that each windowed view can have."""


@dataclass(frozen=True)
class Windows:
    """A windowed view: which rows it is made of, whose they are, and how it cuts time."""

    name: str
    keys: tuple[str, ...]
    known: str
    hops: tuple[timedelta, ...]
    windows: tuple[timedelta | None, ...]
    """None is the lifetime."""
    aggregates: tuple[tuple[str, str, bool], ...] = AGGREGATES

    def every(self, choices: Choices) -> timedelta:
        return self.hops[choices.hops % len(self.hops)]


@dataclass(frozen=True)
class Rows:
    """A row-level view. `columns` are its features, each the source's column of another name."""

    name: str
    keys: tuple[str, ...]
    known: str
    columns: dict[str, str]
    mortal: bool


WINDOWED = (
    Windows("late_by_k", ("k",), "column", (HOUR, 20 * MINUTE, MINUTE), (HOUR, 3 * HOUR, DAY, None)),
    Windows("all", (), "delay", (6 * HOUR, MINUTE, 2 * HOUR), (6 * HOUR, DAY)),
    Windows("pair", ("n", "k"), "delay", (30 * MINUTE, HOUR, MINUTE), (HOUR,)),
    Windows("daily", ("k",), "column", (DAY, 12 * HOUR), (DAY, 3 * DAY, None), FEW),
)
ROW_LEVEL = (
    Rows("newest_by_k", ("k",), "column", {name: name for name in VALUES}, mortal=True),
    Rows("pair_rows", ("k", "n"), "delay", {"x": "x", "s": "s"}, mortal=True),
    Rows("newest_of_all", (), "column", {"x": "x", "a": "n"}, mortal=False),
    Rows("by_sql", ("k",), "sql", {"x": "x", "was": "t"}, mortal=False),
)


def declarations(choices: Choices, windows: tuple[Windows, ...] = WINDOWED) -> tuple[Declaration, ...]:
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
            every=view.every(choices),
            publish_delay=choices.publish_delay,
            features=[
                Aggregate(
                    column, _function(function), windows=view.windows, where="n > 0" if filtered else None,
                    name=aggregate_name(column, function, filtered),
                )
                for column, function, filtered in view.aggregates
            ],
        )
        for view in windows
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


def aggregate_name(column: str, function: str, filtered: bool) -> str:
    return ("rows" if column == "*" else f"{column}_{function}") + ("_if" if filtered else "")


def _function(name: str) -> Parameterized | str:
    if name in LAST:
        return last_n(LAST[name])
    return percentile(PERCENTILES[name]) if name in PERCENTILES else name


def window_name(window: timedelta | None) -> str:
    if window is None:
        return "lifetime"
    return f"{window // DAY}d" if window % DAY == NOTHING else f"{window // HOUR}h"
