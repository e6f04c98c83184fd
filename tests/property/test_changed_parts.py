"""Files that come, change and go: a backfill fills again the days that the changed ones touch, and no others.

The oracle knows nothing of versions: it holds every file's rows itself, before and after, and compares them by day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import DAY, Interval, split_days
from featurestore.operations.answered_rows import Status
from featurestore.operations.fill_views import FillRequest, fill_views
from featurestore.ports.engine import Query
from featurestore.spec.aggregate import Aggregate
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.property.examples import examples
from tests.property.project import SmallProject, small_project

ORIGIN = datetime(2013, 3, 9, tzinfo=UTC)
NOW = ORIGIN + 8 * DAY + timedelta(hours=14)
HOUR = timedelta(hours=1)
MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [("k", pa.string()), ("d", pa.string()), ("happened", MOMENT), ("known", MOMENT), ("x", pa.float64())]
)
PLACES = pa.schema([("d", pa.string()), ("known_from", MOMENT), ("size", pa.float64())])

Rows = tuple[tuple[str, str, int, int, float], ...]
"""Key, place, hours after the origin, hours until it was known, value."""
Files = dict[str, Rows]

THING = Entity("thing", join_keys={"k": DType.STRING})
FILES: dict[str, Any] = {"path": "rows/*.parquet", "event_timestamp": "happened", "removed_rows": "follow"}
DATED = ParquetSource("dated", delay="2h", **FILES)
LATE = ParquetSource("late", known_at="known", **FILES)
PLACE = ParquetSource("place", path="places.parquet", event_timestamp="known_from", removed_rows="follow")
SUMS = [Aggregate("x", "sum", windows=["6h", "3d"]), Aggregate("*", "count", windows=["1d"], name="rows")]
JOINED = (
    "SELECT k, happened AS event_timestamp, known AS known_at, x * size AS area FROM dated LEFT JOIN place USING (d)"
)
DAILY = "SELECT k, date_trunc('day', happened) AS event_timestamp, sum(x) AS total FROM dated GROUP BY ALL"
DECLARED = (
    FeatureView("rows", entity=THING, source=DATED, features=["x"]),
    FeatureView("windows", entity=THING, source=DATED, every="1h", features=SUMS),
    FeatureView("late_windows", entity=THING, source=LATE, every="1h", features=SUMS, publish_delay="1h"),
    FeatureView("joined", entity=THING, sql=JOINED),
    FeatureView("daily", entity=THING, sql=DAILY),
    DATED,
    LATE,
    PLACE,
)
LAST = 8 * 24 + 14
FILLED_TO = {"rows": LAST - 2, "windows": LAST - 3, "late_windows": LAST - 1, "joined": LAST}
"""The last hour after the origin that is filled, of the views whose rows are those of one source's event days. A group
of rows is not taken to be."""


@dataclass(frozen=True)
class Step:
    """What happens to the source between two backfills: files to write, and to remove; whether places change."""

    written: Files
    removed: frozenset[str]
    moved: bool


ROW = st.tuples(
    st.sampled_from("abc"), st.sampled_from("pq"), st.integers(0, 8 * 24 + 13), st.sampled_from([0, 0, 1, 30]),
    st.sampled_from([1.0, 2.5, -0.125]),
)  # fmt: skip
# Rows of a file lie together, as partitions do, now and then a file that is spread over everything.
NEAR = st.integers(0, 8).flatmap(
    lambda day: st.lists(ROW.map(lambda r: (r[0], r[1], min(day * 24 + r[2] % 30, 205), r[3], r[4])), max_size=4)
)
CONTENT = st.one_of(NEAR, NEAR, NEAR, st.lists(ROW, max_size=3)).map(tuple)
NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.builds(
        Step,
        written=st.dictionaries(NAMES, CONTENT, min_size=1, max_size=2),
        removed=st.frozensets(NAMES, max_size=1),
        moved=st.sampled_from([False, False, False, True]),
    ),
    min_size=3,
    max_size=4,
)
EVERY_DAY = {(ORIGIN + day * DAY).date() for day in range(9)}
FIRST: Files = {"nobody": (("nobody", "p", 0, 0, 1.0),), "a": (("a", "p", 30, 0, 2.5), ("b", "q", 75, 1, 1.0))}
"""What is there at first. Nothing happens to the file of nobody, which makes every table begin on the same day."""


def write(project: SmallProject, name: str, rows: Rows) -> None:
    table = [
        {
            "k": key, "d": place, "happened": ORIGIN + hours * HOUR, "known": ORIGIN + (hours + late) * HOUR, "x": value
        }
        for key, place, hours, late, value in rows
    ]  # fmt: skip
    project.write(f"rows/{name}.parquet", pa.Table.from_pylist(table, schema=SCHEMA))


def write_places(project: SmallProject, size: float) -> None:
    places = [{"d": "p", "known_from": ORIGIN, "size": size}, {"d": "q", "known_from": ORIGIN, "size": 2.0}]
    project.write("places.parquet", pa.Table.from_pylist(places, schema=PLACES))


def after(files: Files, step: Step, project: SmallProject) -> Files:
    """Let the step happen to the files."""
    changed = {name: rows for name, rows in {**files, **step.written}.items() if name not in step.removed}
    for name in files.keys() - changed.keys():
        (project.data / f"rows/{name}.parquet").unlink()
    for name in step.written.keys() & changed.keys():
        write(project, name, changed[name])
    return changed


def touched_by(rows: Rows, last: int) -> set[date]:
    """Every day from a file's first row to its last, unless nothing is filled yet where it begins."""
    hours = sorted(row[2] for row in rows)
    if not hours or hours[0] > last:
        return set()
    return {(ORIGIN + day * DAY).date() for day in range(hours[0] // 24, hours[-1] // 24 + 1)}


def differing_days(before: Files, now: Files, rewritten: Iterable[str], last: int) -> set[date]:
    """The days of which something was written anew, has come or has gone. A file that is written again is changed,
    whatever is in it: nobody looks into it to tell."""
    names = {*rewritten, *(before.keys() ^ now.keys())}
    return {
        day for name in names for rows in (before.get(name, ()), now.get(name, ())) for day in touched_by(rows, last)
    }


def fill(project: SmallProject, chunk_days: int) -> dict[str, set[date]]:
    """Fill what is due; the days that were filled, by view."""
    done: dict[str, set[date]] = {view.name: set() for view in project.graph.views}
    for chunk in fill_views(FillRequest(project.graph.views), project.offline, now=NOW, chunk_days=chunk_days):
        done[chunk.view] |= {day.start.date() for day in split_days(chunk.interval, 1)}
    return done


def content(project: SmallProject, view: ResolvedView) -> dict[date, list[dict[str, Any]]]:
    """A table's rows, sorted, by day."""
    found: dict[date, list[dict[str, Any]]] = {}
    for day in split_days(Interval(ORIGIN, ORIGIN + 9 * DAY), 1):
        files = project.offline.tables.snapshot(view.table, days=day).files
        rows = project.offline.engine.stream(Query(exp.select("*").from_("t"), {"t": files})).read_all().to_pylist()
        found[day.start.date()] = sorted(rows, key=repr)
    return found


@examples(4)
@given(STEPS, st.sampled_from([1, 31]), st.sampled_from([1, 2]))
def test_exactly_the_days_that_changed_files_touch_are_filled_again(
    engine: DuckDBEngine, steps: list[Step], chunk_days: int, workers: int
) -> None:
    with small_project(engine) as alone, small_project(engine) as scratch:
        project = alone.with_workers(workers)
        files = dict(FIRST)
        for name, rows in files.items():
            write(project, name, rows)
        write_places(project, 1.0)
        project.apply(*DECLARED, now=NOW)
        project.materialize(NOW)
        size = 1.0
        for number, step in enumerate(steps):
            before, files = files, after(files, step, project)
            if step.moved:
                write_places(project, size := size + number + 1)
            rewritten = step.written.keys() & files.keys()

            filled = fill(project, chunk_days)
            project.materialize(NOW)

            for name, last in FILLED_TO.items():
                whole = name == "joined" and step.moved
                assert filled[name] == (EVERY_DAY if whole else differing_days(before, files, rewritten, last)), name
            assert filled["daily"] == (EVERY_DAY if rewritten or before != files else set())

        for name, rows in files.items():
            write(scratch, name, rows)
        write_places(scratch, size)
        scratch.apply(*DECLARED, now=NOW)
        scratch.materialize(NOW)

        for view in scratch.graph.views:
            assert content(project, view) == content(scratch, view), view.name
            assert online(project, view) == online(scratch, view), view.name


def online(project: SmallProject, view: ResolvedView) -> list[tuple[str, Sequence[object], Sequence[Status]]]:
    """What is answered for every key at the moment up to which the view is online."""
    until = project.online.progress.last(project.online.address, view.table)
    assert until is not None
    keys: list[dict[str, object]] = [{"k": key} for key in (*"abc", "nobody", "unseen")]
    answer = project.lookup(project.features(f"{view.name}:*"), keys, until.filled_to)
    return [(column.column.name, column.values, column.statuses) for column in answer.columns]
