"""Views over views: what they answer is what plain Python finds over the upstream's rows, known when others can know
them, in one go and in increments, offline and online."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.operations.fill_views import FillRequest, fill_views
from featurestore.spec.aggregate import Aggregate, Feature
from featurestore.spec.declarations import Declaration
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.property.examples import examples
from tests.property.oracle import Row, in_window, newest, same, tie_order
from tests.property.project import SmallProject, small_project

ORIGIN = datetime(2013, 3, 9, 14, tzinfo=UTC)
HOUR, MINUTE, TICK = timedelta(hours=1), timedelta(minutes=1), timedelta(microseconds=1)
MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema([("k", pa.string()), ("happened", MOMENT), ("known", MOMENT), ("x", pa.int64())])
SPINE = pa.schema([("k", pa.string()), ("at", MOMENT)])
LAST = 48
"""Hours after the origin of the last run. What the source holds happened before it, and is asked for up to `ASKED`."""
ASKED = ORIGIN + (LAST - 8) * HOUR
KEYS = ("a", "b", "unseen")

SAID = "SELECT k, event_timestamp, known_at, y + x AS z FROM up_said WHERE y IS NOT NULL"

Events = list[tuple[str, datetime, timedelta, int]]


@dataclass(frozen=True)
class Delays:
    """How long until a row of the source is known, a value of the upstream is online, and one of the downstream is."""

    source: timedelta
    upstream: timedelta
    downstream: timedelta


@dataclass(frozen=True)
class Pace:
    workers: int
    chunk_days: int


PACES = st.builds(Pace, st.integers(1, 2), st.sampled_from([1, 31]))
delays = st.builds(
    Delays,
    source=st.sampled_from([timedelta(0), 30 * MINUTE, HOUR]),
    upstream=st.sampled_from([timedelta(0), 10 * MINUTE, HOUR]),
    downstream=st.sampled_from([timedelta(0), 20 * MINUTE]),
)
moments = st.builds(
    lambda hour, off: ORIGIN + hour * HOUR + off,
    st.integers(0, LAST - 9),
    st.sampled_from([timedelta(0), timedelta(0), -TICK, TICK, 10 * MINUTE, 30 * MINUTE, 40 * MINUTE]),
)
events = st.tuples(
    st.sampled_from("ab"), moments, st.sampled_from([0, 0, 30, 60, 600]).map(lambda late: late * MINUTE),
    st.integers(-3, 9),
)  # fmt: skip
batches = st.lists(st.lists(events, max_size=12), min_size=1, max_size=3)
"""A file for each run: also with rows that happened long before the run before."""


def declared(delays: Delays) -> tuple[Declaration, ...]:
    thing = Entity("thing", join_keys={"k": DType.STRING})
    said = ParquetSource("said", path="rows/*.parquet", event_timestamp="happened", known_at="known")
    delayed = ParquetSource("delayed", path="rows/*.parquet", event_timestamp="happened", delay=delays.source)
    upstream: dict[str, Any] = {
        "entity": thing,
        "publish_delay": delays.upstream,
        "features": ["x", Feature("y", "x * x")],
    }
    below: dict[str, Any] = {"entity": thing, "publish_delay": delays.downstream}
    sums: dict[str, Any] = {
        "every": "1h",
        "features": [Aggregate("y", "sum", windows=["3h", "1d"]), Aggregate("*", "count", windows=["1d"])],
    }
    return (
        FeatureView("third", sql="SELECT k, event_timestamp, known_at, z + 1 AS z FROM said_rows", **below),
        FeatureView("said_rows", sql=f"{SAID} AND x > 0", **below),
        FeatureView("delayed_rows", sql="SELECT k, event_timestamp, y - x AS z FROM up_delayed", **below),
        FeatureView("said_windows", sql="SELECT * FROM up_said", **below, **sums),
        FeatureView("delayed_windows", sql="SELECT k, event_timestamp, y FROM up_delayed", **below, **sums),
        FeatureView("up_said", source=said, **upstream),
        FeatureView("up_delayed", source=delayed, **upstream),
        said,
        delayed,
    )  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """What plain Python finds, all of it over the rows of every batch."""

    rows: Events
    delays: Delays

    def upstream(self, view: str) -> list[Row]:
        """What is stored upstream: of rows with one key and both times the same, the last by value."""
        stored: dict[tuple[object, ...], Row] = {}
        for key, happened, late, x in self.rows:
            known = happened + (late if view == "up_said" else self.delays.source)
            row = Row((key,), happened, known, {"x": x, "y": x * x})
            place = (key, happened, known)
            if place not in stored or tie_order(stored[place].values) < tie_order(row.values):
                stored[place] = row
        return list(stored.values())

    def readable(self, view: str) -> list[Row]:
        """What others can read of the upstream: its rows, known when its values are online."""
        return [replace(row, known=row.known + self.delays.upstream) for row in self.upstream(view)]

    def rows_of(self, view: str) -> list[Row]:
        match view:
            case "said_rows":
                read = self.readable("up_said")
                return [with_z(row, value(row, "y") + value(row, "x")) for row in read if value(row, "x") > 0]
            case "delayed_rows":
                return [with_z(row, value(row, "y") - value(row, "x")) for row in self.readable("up_delayed")]
            case _:
                read = [replace(row, known=row.known + self.delays.downstream) for row in self.rows_of("said_rows")]
                return [with_z(row, value(row, "z") + 1) for row in read]

    def answers(self, key: str, at: datetime) -> dict[str, object]:
        found: dict[str, object] = {}
        for view in ("said_rows", "delayed_rows", "third"):
            row = newest(self.rows_of(view), (key,), at, publish_delay=self.delays.downstream)
            found[f"{view}__z"] = None if row is None else row.values["z"]
        for view, upstream in (("said_windows", "up_said"), ("delayed_windows", "up_delayed")):
            for hours, name in ((3, "3h"), (24, "1d")):
                counted = in_window(
                    self.readable(upstream), (key,), at, every=HOUR, window=hours * HOUR, last=at,
                    publish_delay=self.delays.downstream,
                )  # fmt: skip
                found[f"{view}__y_sum_{name}"] = sum(value(row, "y") for row in counted) if counted else None
                if hours == 24:
                    found[f"{view}__count_1d"] = len(counted)
        return found


def value(row: Row, name: str) -> int:
    found = row.values[name]
    assert isinstance(found, int)
    return found


def with_z(row: Row, z: int) -> Row:
    return replace(row, values={"z": z})


def write(project: SmallProject, number: int, rows: Iterable[tuple[str, datetime, timedelta, int]]) -> None:
    table = [{"k": key, "happened": at, "known": at + late, "x": x} for key, at, late, x in rows]
    project.write(f"rows/{number}.parquet", pa.Table.from_pylist(table, schema=SCHEMA))


def run(
    project: SmallProject, batches: Sequence[Events], declarations: tuple[Declaration, ...], chunk_days: int = 31
) -> Events:
    """A run for each batch, the last at the end; what was written."""
    rows: Events = [("nobody", ORIGIN, timedelta(0), 1)]
    write(project, 0, rows)
    project.apply(*declarations, now=ORIGIN + 3 * HOUR + 5 * MINUTE)
    for number, batch in enumerate(batches, start=1):
        write(project, number, batch)
        rows += batch
        now = ORIGIN + LAST * number // len(batches) * HOUR
        for _ in fill_views(FillRequest(project.graph.views), project.offline, now=now, chunk_days=chunk_days):
            pass
        project.materialize(min(now, ASKED))
    return rows


@examples(8)
@given(batches, st.lists(st.tuples(st.sampled_from(KEYS), moments), min_size=5, max_size=25), delays, PACES)
def test_views_over_views_answer_with_what_was_known_of_their_upstreams(
    engine: DuckDBEngine, batches: list[Events], asked: list[tuple[str, datetime]], delays: Delays, pace: Pace
) -> None:
    with small_project(engine) as alone:
        project = alone.with_workers(pace.workers)
        expected = Expected(run(project, batches, declared(delays), pace.chunk_days), delays)
        features = project.features(
            *(f"{view.name}:*" for view in project.graph.views if not view.name.startswith("up_"))
        )
        spine = pa.Table.from_pylist([{"k": key, "at": at} for key, at in asked], schema=SPINE)

        found = project.training_set(spine, features, now=ORIGIN + LAST * HOUR).to_pylist()
        online = project.lookup(features, [{"k": key} for key in KEYS], ASKED)

        for (key, at), row in zip(asked, found, strict=True):
            for name, wanted in expected.answers(key, at).items():
                assert same(row[name], wanted), (name, key, at, row[name], wanted)
        for column in online.columns:
            for key, answer in zip(KEYS, column.values, strict=True):
                wanted = expected.answers(key, ASKED)[column.column.name]
                assert same(answer or None, wanted or None), (column.column.name, key, answer, wanted)


@examples(3)
@given(batches, delays)
def test_nothing_is_due_after_a_run_and_one_go_gives_the_same_bytes(
    engine: DuckDBEngine, batches: list[Events], delays: Delays
) -> None:
    with small_project(engine) as increments, small_project(engine) as one_go:
        declarations, now = declared(delays), ORIGIN + LAST * HOUR
        rows = run(increments, batches, declarations)
        write(one_go, 0, rows)
        one_go.apply(*declarations, now=now)
        spine = pa.Table.from_pylist([{"k": key, "at": ASKED} for key in KEYS], schema=SPINE)

        pulled = [
            project.pull(spine, project.features(*(f"{view.name}:*" for view in project.graph.views)), now=now).result
            for project in (increments, one_go)
        ]

        assert pulled[0] == pulled[1]
        for project in (increments, one_go):
            assert list(fill_views(FillRequest(project.graph.views), project.offline, now=now)) == []
            assert project.plan(*declarations, now=now).nothing_to_do
