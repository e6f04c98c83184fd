"""Everything wrong with a folder is told at once, and nothing is told twice."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.errors import DefinitionsError
from featurestore.operations.resolve import resolve_definitions
from featurestore.ports.engine import Binding, Query
from featurestore.ports.plan_memory import Remembered
from tests.property.project import Declared
from tests.unit.graph.resolving import MOMENT, Columns, aircraft, engine, flights, problems

SOURCE, TAIL = flights(), aircraft()


class Counting(DuckDBEngine):
    """The engine, counting how many views it is asked for the types of."""

    schemas_asked = 0

    def schema(self, query: Query) -> pa.Schema:
        self.schemas_asked += 1
        return super().schema(query)


def view(name: str, *features: str | fs.Feature) -> fs.FeatureView:
    return fs.FeatureView(name, entity=TAIL, source=SOURCE, features=features)


def test_problems_of_names_columns_types_features_and_services_are_told_together() -> None:
    good = view("good", "seats")
    late = fs.OnDemandFeature("late", expression="good:seat + 1")

    told = problems(
        view("twice", "seats"),
        view("twice", "delay"),
        view("misspelled", "sets"),
        view("odd", fs.Feature("pause", "landed - loaded")),
        late,
        fs.FeatureService("service", features=[good["carrier"]]),
    )

    assert len(told) == 5
    for part in ("declared twice", "column 'sets'", "month_day_nano_interval", "'seat'", "'good:carrier'"):
        assert any(part in one for one in told), (part, told)


def test_what_refers_to_a_broken_view_is_not_told_again() -> None:
    broken = view("broken", "sets")
    twice = fs.OnDemandFeature("twice", expression="2 * broken:sets")

    told = problems(
        broken, twice, fs.FeatureService("service", features=[broken, broken.role("other", tail="o"), twice])
    )

    assert len(told) == 1
    assert "column 'sets'" in told[0]


def test_views_that_are_known_are_not_resolved_again_and_stand_in_their_places() -> None:
    declared = Declared(view("first", "delay"), view("second", "seats"), view("third", "carrier"))
    with engine() as real:
        whole = resolve_definitions(declared, Columns(), real)
    known = Remembered({key: found for key, found in whole.views.items() if found.name != "second"})
    with engine(Counting) as counting:
        again = resolve_definitions(declared, Columns(), counting, known)

    assert again.graph == whole.graph
    assert isinstance(counting, Counting)
    assert counting.schemas_asked == 1


def test_a_problem_of_one_view_is_told_though_the_others_are_known() -> None:
    with engine() as real:
        known = Remembered(resolve_definitions(Declared(view("good", "delay")), Columns(), real).views)
        with pytest.raises(DefinitionsError, match="'sets'"):
            resolve_definitions(Declared(view("good", "delay"), view("wrong", "sets")), Columns(), real, known)


AGAIN = "gives another value each time, and no answer could be given again"


@pytest.mark.parametrize(
    ("sql", "part"),
    [
        ("SELECT tail, landed AS event_timestamp, age(landed) AS x FROM flights", "age(…) of one argument"),
        ("SELECT tail, landed AS event_timestamp, seats FROM flights WHERE landed < now()", "now()"),
        ("SELECT tail, landed AS event_timestamp, seats FROM flights TABLESAMPLE 10%", "TABLESAMPLE"),
        ("WITH c AS (FROM flights ORDER BY uuid()) SELECT tail, landed AS event_timestamp, seats FROM c", "uuid()"),
        ("SELECT tail, current_timestamp AS event_timestamp, seats FROM flights", "current_timestamp"),
        ("SELECT tail, landed AS event_timestamp, pg_conf_load_time() AS x FROM flights", "pg_conf_load_time()"),
        ("SELECT tail, landed AS event_timestamp, version() AS x FROM flights", "version()"),
    ],
)  # fmt: skip
def test_what_has_another_value_each_time_is_refused_wherever_it_stands_in_a_views_sql(sql: str, part: str) -> None:
    (told,) = problems(SOURCE, fs.FeatureView("v", entity=TAIL, sql=sql))

    assert told.startswith(f"view 'v': {part} {AGAIN}")


def test_what_has_another_value_each_time_is_told_with_its_feature() -> None:
    late = fs.Aggregate("*", "count", windows=["1d"], name="late", where="landed > ago(INTERVAL 1 DAY)")
    waited = fs.Aggregate("epoch(age(landed))", "sum", windows=["1d"], name="waited")

    told = problems(
        view(
            "rows", fs.Feature("years", "extract(year FROM age(landed))"), fs.Feature("who", "carrier = current_user")
        ),
        fs.FeatureView("sums", entity=TAIL, source=SOURCE, every="1h", features=[late, waited]),
        fs.OnDemandFeature("asked", expression="day + extract(day FROM now())", inputs={"day": fs.Int64}),
    )

    assert sorted(one.partition(" gives")[0] for one in told) == [
        "'late' of view 'sums': ago(…)",
        "'waited' of view 'sums': age(…) of one argument",
        "'who' of view 'rows': current_user()",
        "'years' of view 'rows': age(…) of one argument",
        "on-demand feature 'asked': now()",
    ]


def test_a_word_of_the_engine_that_is_a_column_too_is_told_with_how_it_is_quoted() -> None:
    schema = pa.schema([("tail", pa.string()), ("landed", MOMENT), ("current_user", pa.string())])

    (told,) = problems(view("v", fs.Feature("who", "current_user || '!'")), flights=schema)

    assert told.endswith('(the column is "current_user", in double quotes)')


class Suspicious(DuckDBEngine):
    """An engine that reads more than anybody sees, or gives another type."""

    def bind(self, query: Query) -> Binding:
        bound = super().bind(query)
        if "seats" in bound.schema.names:
            return replace(bound, schema=pa.schema([("seats", pa.string())]))
        return replace(bound, reads={name: columns | {"Gate"} for name, columns in bound.reads.items()})


@pytest.mark.parametrize(
    ("column", "part"),
    [("delay", "reads column 'Gate' of 'flights'"), ("seats", "read in two ways: 'seats' is int32 or string")],
)
def test_sql_that_the_engine_takes_for_something_else_is_refused(column: str, part: str) -> None:
    by_sql = fs.FeatureView(
        "v", entity=TAIL, sql=f"SELECT f.tail, f.landed AS event_timestamp, f.{column} FROM flights AS f"
    )

    with engine(Suspicious) as suspicious, pytest.raises(DefinitionsError, match=part):
        resolve_definitions(Declared(SOURCE, by_sql), Columns(), suspicious)


def test_what_nobody_needs_may_be_read_by_the_engine() -> None:
    """It does not notice that a subquery for each row is not needed, and reads what that reads."""
    needless = (
        "SELECT tail, landed AS event_timestamp, delay FROM (SELECT f.tail, f.landed, f.delay, "
        "(SELECT max(g.fare) FROM flights AS g WHERE g.carrier = f.carrier) AS unused FROM flights AS f)"
    )

    assert problems(SOURCE, fs.FeatureView("v", entity=TAIL, sql=needless)) == []
