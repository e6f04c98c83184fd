"""Views as their authors wrote them: what their names alone tell, and every problem at once."""

from __future__ import annotations

import pyarrow as pa
import pytest

from featurestore.spec.aggregate import Aggregate, Feature
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from tests.unit.graph.resolving import (
    FLIGHTS,
    MOMENT,
    aircraft,
    edges,
    flights,
    names,
    problems,
    problems_of,
    resolve,
    view_of,
)

KEYS = "tail, landed AS event_timestamp"


def test_sql_gives_a_feature_for_each_column_beside_keys_and_times() -> None:
    view = view_of(f"SELECT {KEYS}, loaded AS known_at, delay * 2 AS twice, seats FROM flights")

    assert names(view) == ["twice", "seats"]


def test_a_star_over_a_cte_stands_for_the_columns_of_the_cte() -> None:
    view = view_of(f"WITH late AS (SELECT {KEYS}, delay AS minutes FROM flights) SELECT * FROM late")

    assert names(view) == ["minutes"]


def test_a_star_can_leave_columns_out() -> None:
    view = view_of(
        "SELECT * EXCLUDE (landed, loaded, carrier, fare), landed AS event_timestamp FROM flights",
    )

    assert names(view) == ["delay", "seats", "Gate"]


def test_a_known_timestamp_that_a_star_brings_is_used() -> None:
    schema = pa.schema([("tail", pa.string()), ("event_timestamp", MOMENT), ("known_at", MOMENT), ("x", pa.int64())])
    source = flights(event_timestamp="event_timestamp")

    view = resolve(source, FeatureView("v", entity=aircraft(), sql="SELECT * FROM flights"), flights=schema).view("v")

    assert names(view) == ["x"]
    assert 'CAST("flights"."known_at" AS TIMESTAMPTZ) AS "known_at"' in view.query
    assert view.delay is None


def test_a_source_and_its_columns_may_have_capital_letters() -> None:
    schema = pa.schema([("TailNum", pa.string()), ("LandedAt", MOMENT), ("ArrDelay", pa.float64())])
    entity = Entity("aircraft", join_keys={"TailNum": DType.STRING})
    source = type(flights())("Flights", path="f.parquet", event_timestamp="LandedAt")
    declared = FeatureView("v", entity=entity, source=source, features=["ArrDelay", Feature("Twice", "2 * arrdelay")])

    view = resolve(source, declared, Flights=schema).view("v")

    assert names(view) == ["ArrDelay", "Twice"]
    assert [f"{e.column.source}.{e.column.column}" for e in view.feature("Twice").edges] == [
        "Flights.ArrDelay",
        "Flights.LandedAt",
        "Flights.TailNum",
    ]


def test_every_misspelled_column_is_told_with_what_was_meant() -> None:
    source = flights()
    rows = FeatureView("rows", entity=aircraft(), source=source, features=[Feature("x", "dellay + seets"), "carier"])

    found = problems(source, rows)

    assert found == [
        "'carier' of view 'rows' reads column 'carier', which its rows do not have (Did you mean 'carrier' or 'fare'?)",
        "'x' of view 'rows' reads column 'dellay', which its rows do not have (Did you mean 'delay'?)",
        "'x' of view 'rows' reads column 'seets', which its rows do not have (Did you mean 'seats'?)",
    ]


def test_the_filter_of_an_aggregate_is_checked_under_the_aggregates_name() -> None:
    source = flights()
    late = Aggregate("*", "count", windows=["1d"], where="dellay > 15", name="late")

    found = problems(source, FeatureView("v", entity=aircraft(), source=source, every="1h", features=[late]))

    assert found == ["'late' of view 'v' reads column 'dellay', which its rows do not have (Did you mean 'delay'?)"]


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("SELEC 1", "view 'v': "),
        ("SELECT 1; SELECT 2", "view 'v': expected one statement, found 2"),
        ("DROP TABLE flights", "view 'v': expected a SELECT, found DROP"),
        (f"SELECT {KEYS}, delay FROM fligths", "view 'v' reads 'fligths', which is neither a source nor a view (Did"),
        (f"SELECT {KEYS}, delay FROM read_csv('secrets')", "view 'v' reads 'READ_CSV('secrets')', which is neither"),
        (f"SELECT {KEYS} FROM flights", "view 'v' has no features (select a column beside keys and times)"),
        ("SELECT landed AS event_timestamp, delay FROM flights", "'tail' of view 'v' reads column 'tail'"),
        ("SELECT tail, delay FROM flights", "'event_timestamp' of view 'v' reads column 'event_timestamp'"),
        (f"SELECT {KEYS}, seats, delay + 1 FROM flights", "the SQL of view 'v' has a column without a name: delay + 1"),
        (f"SELECT {KEYS}, delay AS \"my delay\" FROM flights", "'my delay' in view 'v' can not name a feature"),
        (f"SELECT {KEYS}, delay AS my__delay FROM flights", "'my__delay' in view 'v' can not name a feature"),
        (f"SELECT {KEYS}, delay, seats AS delay FROM flights", "view 'v' has two features named 'delay'"),
        (f'SELECT {KEYS}, delay, seats AS "Delay" FROM flights', "view 'v' has two features named 'delay' (capital"),
        (
            f"WITH flights AS (SELECT * FROM flights) SELECT {KEYS}, delay FROM flights",
            "the SQL of view 'v' defines 'flights', which is the name of a source (rename it in WITH)",
        ),
    ],
)  # fmt: skip
def test_sql_that_can_not_be_a_view_is_a_clear_problem(sql: str, problem: str) -> None:
    found = problems_of(sql)

    assert len(found) == 1
    assert found[0].startswith(problem)


@pytest.mark.parametrize("name", ["tail", "TAIL", "event_timestamp", "Known_At"])
def test_a_feature_can_not_have_the_name_of_a_key_or_of_a_time(name: str) -> None:
    source = flights()

    found = problems(source, FeatureView("v", entity=aircraft(), source=source, features=[Feature(name, "delay")]))

    assert len(found) == 1
    assert f"'{name}' in view 'v' is" in found[0]


def test_features_whose_names_differ_only_in_capital_letters_are_refused() -> None:
    source = flights()
    features = [Feature("late", "delay > 15"), Feature("Late", "delay > 30")]

    found = problems(source, FeatureView("v", entity=aircraft(), source=source, features=features))

    assert found == ["view 'v' has two features named 'late' (capital letters make no difference)"]


def test_sql_over_a_source_that_can_be_late_must_say_when_its_rows_are_known() -> None:
    late = flights(known_at="loaded")

    found = problems_of(f"SELECT {KEYS}, delay FROM flights", late)

    what = "view 'v' does not say when its rows are known, and flights can be late"
    assert found == [f"{what} (select the moment a row could be known AS known_at)"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"event_timestamp": "landet"}, "source 'flights' has no column 'landet' (Did you mean 'landed'"),
        ({"known_at": "loadet"}, "source 'flights' has no column 'loadet' (Did you mean 'loaded'"),
        ({"event_timestamp": "delay"}, "column 'delay' of source 'flights' is double, not a timestamp"),
    ],
)
def test_a_sources_times_are_columns_that_hold_moments(changes: dict[str, str], problem: str) -> None:
    source = flights(**changes)

    found = problems(source, FeatureView("v", entity=aircraft(), source=source, features=["delay"]))

    assert problem in "\n".join(found)


@pytest.mark.parametrize(
    "expression", ["sum(delay)", "row_number() OVER ()", "(SELECT 1)", "delay AS d", "1, 2", "-- none", "a b c"]
)
def test_a_features_expression_is_one_value_of_one_row(expression: str) -> None:
    source = flights()

    found = problems(source, FeatureView("v", entity=aircraft(), source=source, features=[Feature("x", expression)]))

    assert len(found) == 1
    assert found[0].startswith("view 'v': feature 'x': ")


def test_what_a_function_is_called_on_by_a_dot_is_read() -> None:
    features = [Feature("x", "carrier.upper().contains('A')"), Feature("y", "(seats + 1).abs()")]
    source = flights()

    view = resolve(source, FeatureView("v", entity=aircraft(), source=source, features=features)).view("v")

    assert edges(view, "x")["direct"] == ["flights.carrier"]
    assert edges(view, "y")["direct"] == ["flights.seats"]


@pytest.mark.parametrize("operator", [" ^ ", " + ", " / ", " AND NOT 0 < "])
def test_an_expression_as_deep_as_is_allowed_can_be_computed(operator: str) -> None:
    source = flights()
    deep = Feature("x", "delay > 0" + operator.join([" AND delay", *["delay"] * 140]))

    view = resolve(source, FeatureView("v", entity=aircraft(), source=source, features=[deep])).view("v")

    assert names(view) == ["x"]


@pytest.mark.parametrize(
    "expression", ["delay" + " ^ delay" * 2_000, "delay" + "::DOUBLE" * 2_000, "NOT " * 3_000 + "true"]
)
def test_an_expression_that_is_nested_too_deeply_is_a_problem_and_no_crash(expression: str) -> None:
    source = flights()

    found = problems(source, FeatureView("v", entity=aircraft(), source=source, features=[Feature("x", expression)]))

    assert len(found) == 1
    assert len(found[0]) < 400


def test_one_input_is_aggregated_once_however_many_functions_and_windows_read_it() -> None:
    source = flights()
    aggregates = [
        Aggregate("delay", "mean", windows=["1d", "7d"]),
        Aggregate("DELAY", "max", windows=["1d"], name="worst"),
        Aggregate("delay", "mean", windows=["1d"], where="seats > 1", name="filtered"),
    ]

    view = resolve(source, FeatureView("v", entity=aircraft(), source=source, every="1h", features=aggregates)).view(
        "v"
    )

    assert [[function.value for function in entry.functions] for entry in view.inputs] == [["max", "mean"], ["mean"]]


def test_the_columns_of_the_test_source_are_what_these_tests_speak_of() -> None:
    assert FLIGHTS.names[:4] == ["tail", "landed", "loaded", "delay"]


WORDS = ["select", "from", "on", "order", "end", "case", "default", "rowid", "true", "null", "user", "current_user"]
WORDS += ["current_date", "localtime", "Session_User", "interval", "date", "now", "count", "nan", "unnest", "größe"]


@pytest.mark.parametrize("word", WORDS)
def test_the_name_of_a_column_is_that_column_whatever_it_means_in_sql(word: str) -> None:
    schema = pa.schema([("tail", pa.string()), ("landed", MOMENT), (word, pa.bool_())])
    source, tail = flights(), aircraft()
    rows = FeatureView("rows", entity=tail, source=source, features=[Feature("x", word.title())])
    sums = [
        Aggregate(word, "sum", windows=["1d"], name="x"),
        Aggregate("*", "count", windows=["1d"], where=word, name="y"),
    ]
    windows = FeatureView("windows", entity=tail, source=source, every="1h", features=sums)

    graph = resolve(rows, windows, flights=schema)

    assert edges(graph.view("rows"), "x")["direct"] == [f"flights.{word}"]
    assert edges(graph.view("windows"), "x_1d")["direct"] == [f"flights.{word}"]
    assert f"flights.{word}" in edges(graph.view("windows"), "y_1d")["indirect"]


@pytest.mark.parametrize("word", ["select", "true", "current_user", "rowid"])
def test_listed_names_keys_and_sources_are_names_whatever_they_mean_in_sql(word: str) -> None:
    schema = pa.schema([(word, pa.string()), ("landed", MOMENT), ("when", pa.int64())])
    source = type(flights())(word, path="f.parquet", event_timestamp="landed")
    declared = FeatureView(word, entity=aircraft(**{word: DType.STRING}), source=source, features=["when"])

    view = resolve(source, declared, **{word: schema}).view(word)

    assert names(view) == ["when"]
    assert edges(view, "when")["direct"] == [f"{word}.when"]
    assert f"{word}.{word}" in edges(view, "when")["indirect"]


@pytest.mark.parametrize("word", ["current_user", "true", "null", "select", "rowid"])
def test_a_listed_name_that_is_no_column_is_told(word: str) -> None:
    found = problems(FeatureView("v", entity=aircraft(), source=flights(), features=[word]))

    assert [one.partition(" (")[0] for one in found] == [
        f"'{word}' of view 'v' reads column '{word}', which its rows do not have"
    ]


@pytest.mark.parametrize("name", ["net amount", 'so "called"', "a.b", "50%", "seats - 1"])
def test_a_name_with_spaces_or_signs_is_a_column_where_it_can_be_nothing_else(name: str) -> None:
    schema = pa.schema([("tail", pa.string()), ("landed", MOMENT), (name, pa.int64())])
    sums = [Aggregate(name, "sum", windows=["1d"], name="x")]

    view = resolve(FeatureView("v", entity=aircraft(), source=flights(), every="1h", features=sums), flights=schema)

    assert edges(view.view("v"), "x_1d")["direct"] == [f"flights.{name}"]


def test_an_expression_over_columns_stays_one_though_a_column_is_called_like_it() -> None:
    schema = pa.schema([("tail", pa.string()), ("landed", MOMENT), ("seats", pa.int64()), ("seats - 1", pa.int64())])
    rows = FeatureView("v", entity=aircraft(), source=flights(), features=[Feature("x", "seats - 1")])

    assert edges(resolve(rows, flights=schema).view("v"), "x")["direct"] == ["flights.seats"]


def test_a_word_of_sql_that_an_expression_can_not_hold_is_told_with_how_it_is_quoted() -> None:
    schema = pa.schema([("tail", pa.string()), ("landed", MOMENT), ("select", pa.int64())])
    rows = FeatureView("v", entity=aircraft(), source=flights(), features=[Feature("x", "select + 1")])

    (found,) = problems(rows, flights=schema)

    assert found.endswith('a column whose name is a word of SQL is quoted: "select"')
