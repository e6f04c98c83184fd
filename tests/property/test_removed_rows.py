"""Sources whose rows are inserted, updated, deleted and lost at random: what is held, followed and kept of them,
offline and online, is what plain Python says, which holds the rows.

What is kept has to hold one thing more: a training row of any run's moment, however much later it is pulled, is what
the online store answered after that run. (Where rows say themselves when they were known, that is as true as they are.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.operations.fill_views import FillRequest, fill_views
from featurestore.operations.hold_rows import held_rows
from featurestore.spec.aggregate import Aggregate
from featurestore.spec.declarations import Declaration
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.property.examples import examples
from tests.property.project import SmallProject, small_project

ORIGIN = datetime(2013, 3, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema([("k", pa.string()), ("happened", MOMENT), ("known", MOMENT), ("x", pa.float64())])
RUNS = (6, 15, 30, 41, 53)
"""When there is a run, in hours after the origin."""
ALWAYS = ("nobody", 0)
PLACES = [ALWAYS, *((key, hour) for key in "ab" for hour in (1, 2, 14, 15, 26, 38, 40))]
"""The keys and hours that rows can be of. The first is there for ever, so that every table begins on its day."""
FILES = 3
WIDTH = 6
LIFE = 20
Row = tuple[int, float]
"""How many hours after it happened a row says it was known, and its value."""
Content = Mapping[tuple[str, int], Row]

ROW = st.tuples(st.sampled_from([0, 0, 3, 14]), st.sampled_from([1.0, 2.0, 4.0]))
CHANGES = st.lists(
    st.dictionaries(st.sampled_from(PLACES[1:]), st.one_of(st.none(), ROW, ROW), max_size=7),
    min_size=len(RUNS), max_size=len(RUNS),
)  # fmt: skip
LOST = st.lists(st.sampled_from([None, None, *range(FILES)]), min_size=len(RUNS), max_size=len(RUNS))


def declared() -> tuple[Declaration, ...]:
    thing = Entity("thing", join_keys={"k": DType.STRING})
    held, followed, kept = (
        ParquetSource(name, path="rows/*.parquet", event_timestamp="happened", removed_rows=policy)
        for name, policy in (("h", "hold"), ("f", "follow"), ("k", "keep"))
    )
    said = ParquetSource("s", path="rows/*.parquet", event_timestamp="happened", known_at="known", removed_rows="keep")
    sums = [Aggregate("x", "sum", windows=["1d"]), Aggregate("*", "count", windows=["1d"], name="rows")]
    rows: dict[str, Any] = {"entity": thing, "features": ["x"]}
    windows: dict[str, Any] = {"entity": thing, "features": sums, "every": "1h"}
    return (
        FeatureView("h_rows", source=held, **rows),
        FeatureView("f_rows", source=followed, **rows),
        FeatureView("h_sums", source=held, **windows),
        FeatureView("f_sums", source=followed, **windows),
        FeatureView("kept", source=kept, publish_delay="1h", **rows),
        FeatureView("kept_short", source=kept, ttl=f"{LIFE}h", **rows),
        FeatureView("said", source=said, **rows),
        held, followed, kept, said,
    )  # fmt: skip


@dataclass
class Versions:
    """What a view that keeps rows knows: of each key and hour its versions, each known from an hour on."""

    says_itself: bool
    filled_to: int = -1
    known: dict[tuple[str, int], list[tuple[float, float | None]]] = field(default_factory=dict)

    def capture(self, content: Content, now: int) -> None:
        for place, (late, value) in content.items():
            told = place[1] + (late if self.says_itself else 0)
            versions = self.known.setdefault(place, [])
            if not versions:
                is_new_time = place[1] > self.filled_to
                versions.append((told if self.says_itself or is_new_time else now, value))
            elif versions[-1][1] != value:
                last = versions[-1][0]
                versions.append((told if told > last else max(now, last + 1e-9), value))
        for place in self.known.keys() - content.keys():
            last, standing = self.known[place][-1]
            if standing is not None:
                self.known[place].append((max(now, last + 1e-9), None))
        self.filled_to = now

    def answer(self, key: str, at: int, *, delay: int = 0, life: int | None = None) -> float | None:
        """The value of the last hour of which something stands."""
        standing: dict[int, float] = {}
        for (whose, hour), versions in self.known.items():
            visible = [value for known, value in versions if max(hour, known + delay) <= at]
            if whose == key and visible and visible[-1] is not None:
                standing[hour] = visible[-1]
        newest = max(standing, default=None)
        if newest is None or (life is not None and newest <= at - life):
            return None
        return standing[newest]


@dataclass
class Expected:
    """Every view's rows, as they ought to be stored."""

    followed: dict[tuple[str, int], float] = field(default_factory=dict)
    held: dict[tuple[str, int], float] = field(default_factory=dict)
    kept: Versions = field(default_factory=lambda: Versions(says_itself=False))
    said: Versions = field(default_factory=lambda: Versions(says_itself=True))
    gone: int = 0

    def run(self, content: Content, now: int) -> None:
        self.followed = {place: value for place, (_, value) in content.items()}
        self.held |= self.followed
        self.gone = len(self.held.keys() - content.keys())
        self.kept.capture(content, now)
        self.said.capture(content, now)

    def answers(self, key: str, at: int) -> dict[str, object]:
        found: dict[str, object] = {
            "kept__x": self.kept.answer(key, at, delay=1),
            "kept_short__x": self.kept.answer(key, at, life=LIFE),
            "said__x": self.said.answer(key, at),
        }
        for name, rows in (("h", self.held), ("f", self.followed)):
            newest = max((hour for whose, hour in rows if whose == key and hour <= at), default=None)
            found[f"{name}_rows__x"] = None if newest is None else rows[key, newest]
            inside = [value for (whose, hour), value in rows.items() if whose == key and at - 24 <= hour < at]
            found[f"{name}_sums__x_sum_1d"] = sum(inside) if inside else None
            found[f"{name}_sums__rows_1d"] = len(inside)
        return found


def write(project: SmallProject, content: Content, lost: int | None) -> Content:
    """Write the source's files, all but one that is lost; what is in them."""
    left: dict[tuple[str, int], Row] = {}
    for number in range(FILES):
        places = [place for place in PLACES if place in content and PLACES.index(place) // WIDTH == number]
        file = project.data / f"rows/{number}.parquet"
        if number == lost and number > 0:
            file.unlink(missing_ok=True)
            continue
        left |= {place: content[place] for place in places}
        rows = [
            {"k": key, "happened": ORIGIN + hour * HOUR, "known": ORIGIN + (hour + late) * HOUR, "x": value}
            for (key, hour), (late, value) in ((place, content[place]) for place in places)
        ]
        project.write(f"rows/{number}.parquet", pa.Table.from_pylist(rows, schema=SCHEMA))
    return left


def changed(content: Content, changes: Mapping[tuple[str, int], Row | None], now: int) -> dict[tuple[str, int], Row]:
    """Nothing that is yet to happen is there; what is None is deleted."""
    merged = {**content, **{place: row for place, row in changes.items() if place[1] <= now}}
    return {place: row for place, row in merged.items() if row is not None}


def online(project: SmallProject, keys: Iterable[str], at: int) -> list[dict[str, object]]:
    asked: list[dict[str, object]] = [{"k": key} for key in keys]
    features = project.features(*(f"{view.name}:*" for view in project.graph.views))
    answer = project.lookup(features, asked, ORIGIN + at * HOUR)
    return [{column.column.name: column.values[place] for column in answer.columns} for place in range(len(asked))]


def without_empty_counts(answers: Mapping[str, object]) -> dict[str, object]:
    """A count of nothing is 0 offline and may be a missing row online."""
    return {name: value or None for name, value in answers.items()}


@examples(4)
@given(CHANGES, LOST, st.sampled_from([1, 31]))
def test_what_is_held_followed_and_kept_is_what_the_rows_say(
    engine: DuckDBEngine, changes: list[dict[tuple[str, int], Row | None]], lost: list[int | None], chunk_days: int
) -> None:
    with small_project(engine) as project:
        expected = Expected()
        content: Content = {ALWAYS: (0, 1.0)}
        answered: dict[int, list[dict[str, object]]] = {}
        for number, now in enumerate(RUNS):
            content = changed(content, changes[number], now)
            expected.run(write(project, content, lost[number]), now)
            moment = ORIGIN + now * HOUR
            if number == 0:
                project.apply(*declared(), now=moment)
            for _ in fill_views(FillRequest(project.graph.views), project.offline, now=moment, chunk_days=chunk_days):
                pass
            project.materialize(moment)

            answered[now] = online(project, "ab", now)
            for key, answer in zip("ab", answered[now], strict=True):
                assert without_empty_counts(answer) == without_empty_counts(expected.answers(key, now)), (key, now)
            view = project.graph.view("h_rows")
            held = held_rows(view, project.offline.coverage.coverage(view.table))
            assert (held.rows if held else 0) == expected.gone

        moments = sorted({*RUNS, *range(0, RUNS[-1], 5)})
        asked = [{"k": key, "at": ORIGIN + at * HOUR} for at in moments for key in "ab"]
        spine = pa.Table.from_pylist(asked, schema=pa.schema([("k", pa.string()), ("at", MOMENT)]))
        features = project.features(*(f"{view.name}:*" for view in project.graph.views))
        trained = project.training_set(spine, features, now=ORIGIN + RUNS[-1] * HOUR).to_pylist()

        for row in trained:
            at = (row.pop("at") - ORIGIN) // HOUR
            key = row.pop("k")
            assert row == expected.answers(key, at), (key, at)
            for name in ("kept__x", "kept_short__x") if at in RUNS else ():
                assert row[name] == answered[at]["ab".index(key)][name], (name, key, at)
