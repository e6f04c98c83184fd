"""The compiled SQL, reviewed as text: a change of a compiler shows in the diff what the engine is asked from then on.

`KNOWNAT_WRITE_GOLDEN=1 pytest tests/golden` writes the files anew. Read the diff before it is committed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlglot import exp

from featurestore.compiler.arrived_rows import rewritten_rows, settled_rows
from featurestore.compiler.held_rows import rows_with_gone
from featurestore.compiler.kept_rows import Capture, kept_rows
from featurestore.compiler.newest import changed_keys, newest_rows
from featurestore.compiler.on_demand import on_demand_rows
from featurestore.compiler.standing_rows import taken_back
from featurestore.compiler.stored_rows import rejected_rows, stored_rows
from featurestore.graph.resolved import FeatureSet, Graph, ResolvedView
from featurestore.graph.selection import referenced_features
from featurestore.intervals import DAY, Interval, IntervalSet
from featurestore.spec.aggregate import Aggregate, Feature, percentile
from featurestore.spec.dtypes import DType
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import RemovedRows
from tests.unit.graph.resolving import aircraft, flights, resolve

HERE = Path(__file__).parent
MARCH = datetime(2013, 3, 1, tzinfo=UTC)
APRIL = datetime(2013, 4, 1, tzinfo=UTC)


def _graph() -> Graph:
    """Every kind of view, small. Fingerprints are fixed, so that only the SQL is compared."""
    source = flights(known_at="loaded")
    plane = aircraft(tail=DType.STRING)
    rows = FeatureView(
        "rows", entity=plane, source=source, features=[Feature("late", "delay > 15"), "delay"], ttl="6h",
        publish_delay="10m",
    )  # fmt: skip
    windows = FeatureView(
        "windows", entity=plane, source=source, every="1h", publish_delay="10m",
        features=[
            Aggregate("*", "count", windows=["1d"], where="delay > 15", name="late"),
            Aggregate("delay", "mean", windows=["1d"]),
            Aggregate("seats", "max", windows=["7d"]),
        ],
    )  # fmt: skip
    aggregates = FeatureView(
        "aggregates", source=source, every="1d",
        features=[
            Aggregate("delay", function, windows=["lifetime"])
            for function in (
                "count_distinct", "sum", "min", "var", "first", "last", percentile(95),
            )
        ],
    )  # fmt: skip
    everyone = FeatureView("everyone", sql="SELECT landed AS event_timestamp, loaded AS known_at, delay FROM flights")
    typed = FeatureView(
        "typed", entity=plane, source=source,
        features=[
            "fare", Feature("gates", '["Gate"]'), Feature("pair", "[delay, seats]::FLOAT[2]"),
            Feature("past", "[delay]"),
        ],
    )  # fmt: skip
    slack = OnDemandFeature("slack", expression="minutes - rows:delay", inputs={"minutes": DType.FLOAT64})
    service = FeatureService("service", features=[rows.role("next", tail="next_tail"), slack])
    graph = resolve(source, rows, windows, aggregates, everyone, typed, service)
    return replace(graph, views=tuple(replace(view, fingerprint="0" * 64) for view in graph.views))


GRAPH = _graph()


def view(name: str) -> ResolvedView:
    return GRAPH.view(name)


def keeping(name: str) -> ResolvedView:
    """The same over sources that keep rows, which say themselves when they were known or are known an hour later."""
    one = view(name)
    sources = tuple(replace(source, removed_rows=RemovedRows.KEEP) for source in one.sources)
    return replace(one, sources=sources, source_delay=timedelta(hours=1))


CAPTURE = Capture(Interval(MARCH, APRIL), APRIL, IntervalSet((Interval(MARCH, MARCH + 20 * DAY),)))


def features(*references: str) -> FeatureSet:
    return referenced_features(GRAPH, references)


QUERIES: dict[str, Callable[[], exp.Query]] = {
    "stored_rows_of_a_row_level_view": lambda: stored_rows(view("rows"), Interval(MARCH, APRIL)),
    "stored_rows_of_a_windowed_view": lambda: stored_rows(view("windows"), Interval(MARCH, APRIL)),
    "stored_rows_of_types_with_arguments": lambda: stored_rows(view("typed"), Interval(MARCH, APRIL)),
    "rejected_rows": lambda: rejected_rows(view("rows")),
    "rejected_rows_without_entity": lambda: rejected_rows(view("everyone")),
    "on_demand_rows": lambda: on_demand_rows(features("next_rows:late", "slack")),
    "newest_rows_of_a_row_level_view": lambda: newest_rows(view("rows"), resuming=True, rows="rows@0"),
    "changed_keys_of_windows_at_first": lambda: changed_keys(view("windows"), resuming=False, rows="windows@0"),
    "changed_keys_of_windows": lambda: changed_keys(view("windows"), resuming=True, rows="windows@0"),
    "settled_rows": lambda: settled_rows(view("rows"), arrived="pushed", stored="filled"),
    "rewritten_rows": lambda: rewritten_rows(view("rows"), stored="held", arrived="added"),
    "rows_with_gone_ones": lambda: rows_with_gone(
        view("rows"), Interval(MARCH, APRIL), stored="held", computed="filled"
    ),
    "tiles_with_gone_ones": lambda: rows_with_gone(
        view("windows"), Interval(MARCH, APRIL), stored="held", computed="filled", fewer=[MARCH.date()]
    ),
    "kept_rows": lambda: kept_rows(keeping("rows"), CAPTURE, stored="held", computed="filled"),
    "newest_rows_of_kept_ones": lambda: newest_rows(keeping("rows"), resuming=True, rows="rows@0"),
    "rows_taken_back": lambda: taken_back(keeping("rows"), rows="rows@0"),
    "stored_rows_of_every_aggregate": lambda: stored_rows(view("aggregates"), Interval(MARCH, APRIL)),
}


@pytest.mark.parametrize("name", QUERIES)
def test_the_engine_is_asked_what_was_reviewed(name: str) -> None:
    file = HERE / f"{name}.sql"
    compiled = QUERIES[name]().sql(dialect="duckdb", pretty=True) + "\n"
    if os.environ.get("KNOWNAT_WRITE_GOLDEN"):
        file.write_text(compiled)

    assert compiled == file.read_text()


def test_every_reviewed_file_is_compared() -> None:
    assert {file.stem for file in HERE.glob("*.sql")} == set(QUERIES)
