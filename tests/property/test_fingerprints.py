"""Fingerprints change with what is stored, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import Interval
from featurestore.operations.resolve import resolve_definitions
from featurestore.ports.source_reader import SourceSnapshot
from featurestore.spec.aggregate import Aggregate, Feature
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource, Source
from tests.property.examples import examples
from tests.property.project import Declared

MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [("id", pa.string()), ("at", MOMENT), ("seen", MOMENT), ("a", pa.float64()), ("b", pa.float64()), ("n", pa.int64())]
)
SQL = "SELECT id, at AS event_timestamp, a * 2 AS x, b AS y FROM rows WHERE n > 0"


class OneTable:
    """A SourceReader where every source has the same columns and no rows."""

    def read(self, source: Source, *, within: Interval | None = None) -> SourceSnapshot:  # noqa: ARG002 - the port's signature
        return SourceSnapshot(source.name, SCHEMA.empty_table(), SCHEMA, "", 0, None, None)


def source(**changes: Any) -> ParquetSource:
    return ParquetSource("rows", **{"path": "rows.parquet", "event_timestamp": "at", **changes})


def row_level(rows: ParquetSource | None = None, *, key: DType = DType.STRING, **changes: Any) -> FeatureView:
    thing = Entity("thing", join_keys={"id": key})
    given = {"source": rows or source(), "features": [Feature("x", "a * 2"), Feature("y", "b")], "ttl": "1d", **changes}
    return FeatureView("things", entity=thing, **given)


def windowed(rows: ParquetSource | None = None, **changes: Any) -> FeatureView:
    thing = Entity("thing", join_keys={"id": DType.STRING})
    given = {"source": rows or source(), "every": "1h", "features": aggregates(), **changes}
    return FeatureView("things", entity=thing, **given)


def by_sql(sql: str = SQL, **changes: Any) -> FeatureView:
    return FeatureView("things", entity=Entity("thing", join_keys={"id": DType.STRING}), sql=sql, **changes)


def aggregates(**changes: Any) -> list[Aggregate]:
    first = {"expression": "a", "function": "mean", "windows": ["1h", "1d"], "where": "n > 0", "name": "a", **changes}
    return [
        Aggregate(first.pop("expression"), first.pop("function"), **first),
        Aggregate("*", "count", windows=["1d"], name="rows"),
        Aggregate("b", "max", windows=["1d"]),
    ]


@pytest.fixture
def resolved(engine: DuckDBEngine) -> Callable[[FeatureView], ResolvedView]:
    def resolve(view: FeatureView) -> ResolvedView:
        found = [view.source] if view.source else [source()]
        return resolve_definitions(Declared(*found, view), OneTable(), engine).graph.view("things")

    return resolve


Resolve = Callable[[FeatureView], ResolvedView]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(row_level(), row_level(owner="me", tags=["t"], description="…"), id="owner, tags, description"),
        pytest.param(row_level(), row_level(ttl="2d"), id="ttl"),
        pytest.param(row_level(), row_level(lateness="2d"), id="lateness"),
        pytest.param(row_level(), row_level(features=[Feature("y", "b"), Feature("x", "a * 2")]), id="order"),
        pytest.param(
            row_level(), row_level(features=[Feature("x", "A\n*   2 -- twice"), Feature("y", "/* b */ B")]), id="format"
        ),
        pytest.param(row_level(), row_level(source(description="…", owner="me")), id="described source"),
        pytest.param(row_level(), row_level(source(removed_rows="follow")), id="what removed rows mean"),
        pytest.param(
            row_level(), row_level(features=[Feature("x", "a * 2", description="…"), Feature("y", "b")]),
            id="described feature",
        ),
        pytest.param(windowed(), windowed(features=aggregates()[::-1]), id="order of aggregates"),
        pytest.param(windowed(), windowed(features=aggregates(windows=["1d", "1h"])), id="order of windows"),
        pytest.param(windowed(), windowed(features=aggregates(where="N  >  0")), id="format of a filter"),
        pytest.param(windowed(), windowed(every="60m"), id="another spelling of a duration"),
        pytest.param(by_sql(), by_sql(SQL.lower()), id="case of keywords"),
        pytest.param(by_sql(), by_sql(SQL.replace(" ", "\n  ") + " -- all of them"), id="format of SQL"),
        pytest.param(
            by_sql(), by_sql("SELECT b AS y, a * 2 AS x, at AS event_timestamp, id FROM rows WHERE n > 0"),
            id="order of the columns of SQL",
        ),
        pytest.param(
            by_sql(f"WITH e AS (SELECT id, at, a, b, n FROM rows) {SQL}".replace("b AS y FROM rows", "b AS y FROM e")),
            by_sql(f"WITH e AS (SELECT n, b, a, at, id FROM rows) {SQL}".replace("b AS y FROM rows", "b AS y FROM e")),
            id="order of the columns of a CTE",
        ),
        pytest.param(by_sql(), by_sql(SQL.replace("id,", "rows.id AS id,")), id="qualified column"),
    ],
)  # fmt: skip
def test_what_is_only_written_differently_has_the_same_fingerprints(
    resolved: Resolve, before: FeatureView, after: FeatureView
) -> None:
    old, new = resolved(before), resolved(after)

    assert new.fingerprint == old.fingerprint
    assert {f.name: f.fingerprint for f in new.features} == {f.name: f.fingerprint for f in old.features}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(row_level(), row_level(features=[Feature("x", "a * 3"), Feature("y", "b")]), id="expression"),
        pytest.param(row_level(), row_level(features=[Feature("x", "b"), Feature("y", "a * 2")]), id="swapped"),
        pytest.param(row_level(), row_level(features=[Feature("x", "a * 2")]), id="a feature less"),
        pytest.param(row_level(), row_level(source(path="others.parquet")), id="path"),
        pytest.param(row_level(), row_level(source(event_timestamp="seen")), id="event timestamp"),
        pytest.param(row_level(), row_level(source(known_at="seen")), id="known timestamp"),
        pytest.param(row_level(), row_level(source(delay="1h")), id="delay"),
        pytest.param(row_level(), row_level(source(removed_rows="keep")), id="that removed rows are kept"),
        pytest.param(row_level(), row_level(publish_delay="1h"), id="publish delay"),
        pytest.param(windowed(), windowed(features=aggregates(expression="a + 1")), id="aggregated expression"),
        pytest.param(windowed(), windowed(features=aggregates(where="n > 1")), id="filter"),
        pytest.param(windowed(), windowed(features=aggregates(where=None)), id="no filter"),
        pytest.param(windowed(), windowed(features=aggregates(function="sum")), id="function"),
        pytest.param(windowed(), windowed(features=aggregates(windows=["1h", "2d"])), id="window"),
        pytest.param(windowed(), windowed(features=aggregates(name="c")), id="name"),
        pytest.param(windowed(), windowed(every="30m"), id="hop"),
        pytest.param(windowed(), windowed(publish_delay="1m"), id="publish delay of windows"),
        pytest.param(by_sql(), by_sql(SQL.replace("n > 0", "n > 1")), id="which rows of SQL"),
        pytest.param(by_sql(), by_sql(SQL.replace("rows WHERE", "rows r JOIN rows s USING (id) WHERE").replace("n >", "r.n >").replace(" a ", " r.a ").replace(" b ", " r.b ").replace(" at ", " r.at ")), id="join"),  # noqa: E501
    ],
)  # fmt: skip
def test_what_is_stored_differently_has_another_fingerprint(
    resolved: Resolve, before: FeatureView, after: FeatureView
) -> None:
    old, new = resolved(before), resolved(after)

    assert new.fingerprint != old.fingerprint
    assert {(f.name, f.fingerprint) for f in new.features} != {(f.name, f.fingerprint) for f in old.features}


def test_the_type_of_a_key_is_part_of_a_fingerprint(resolved: Resolve) -> None:
    numbers = by_sql("SELECT n AS id, at AS event_timestamp, a AS x FROM rows")
    texts = by_sql("SELECT id, at AS event_timestamp, a AS x FROM rows")

    entity = Entity("thing", join_keys={"id": DType.INT64})
    by_number = resolved(FeatureView("things", entity=entity, sql=numbers.sql))

    assert by_number.fingerprint != resolved(texts).fingerprint
    assert by_number.feature("x").fingerprint != resolved(texts).feature("x").fingerprint


@pytest.mark.parametrize("more", [Feature("z", "n + 1"), Feature("a", "b"), Feature("zz", "a * 2")])
def test_adding_a_column_leaves_the_others_fingerprints_alone(resolved: Resolve, more: Feature) -> None:
    old = resolved(row_level())

    new = resolved(row_level(features=[more, Feature("x", "a * 2"), Feature("y", "b")]))

    assert new.fingerprint != old.fingerprint
    assert [new.feature(name).fingerprint for name in "xy"] == [old.feature(name).fingerprint for name in "xy"]


@pytest.mark.parametrize("expression", ["a", "aa", "n", "abs(b)", "z.z", "1"])
def test_adding_an_aggregate_leaves_the_others_fingerprints_alone(resolved: Resolve, expression: str) -> None:
    old = resolved(windowed())
    more = Aggregate(expression.replace("aa", "a + a").replace("z.z", "n * n"), "sum", windows=["3h"], name="more")

    new = resolved(windowed(features=[more, *aggregates()]))

    assert new.fingerprint != old.fingerprint
    assert [new.feature(f.name).fingerprint for f in old.features] == [f.fingerprint for f in old.features]


def test_changing_one_aggregate_leaves_the_others_fingerprints_alone(resolved: Resolve) -> None:
    old = resolved(windowed())

    new = resolved(windowed(features=aggregates(expression="z_is_last(a)".replace("z_is_last", "sqrt"))))

    changed = {f.name for f in new.features if f.fingerprint != old.feature(f.name).fingerprint}
    assert changed == {"a_1h", "a_1d"}


def test_changing_one_column_of_sql_leaves_the_others_fingerprints_alone(resolved: Resolve) -> None:
    old = resolved(by_sql())

    new = resolved(by_sql(SQL.replace("b AS y", "b + 1 AS y")))

    assert new.feature("x").fingerprint == old.feature("x").fingerprint
    assert new.feature("y").fingerprint != old.feature("y").fingerprint


@examples(30)
@given(st.permutations(aggregates()), st.sampled_from([" ", "\n", "\t\n  ", " /* why */ "]))
def test_no_order_and_no_white_space_changes_a_fingerprint(
    engine: DuckDBEngine, shuffled: list[Aggregate], space: str
) -> None:
    spaced = [
        Aggregate(
            one.expression, one.function, windows=one.windows[::-1], name=one.name,
            where=None if one.where is None else one.where.replace(" ", space),
        )
        for one in shuffled
    ]  # fmt: skip

    found = {
        resolve_definitions(Declared(view), OneTable(), engine).graph.view("things").fingerprint
        for view in (windowed(), windowed(features=spaced))
    }

    assert len(found) == 1
