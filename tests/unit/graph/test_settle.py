"""Types settle as the engine finds them, and what does not fit is told for all views at once."""

from __future__ import annotations

import re

import pytest

from featurestore.spec.aggregate import Aggregate, Feature, Parameterized, last_n
from featurestore.spec.dtypes import Decimal, DType, Embedding, List
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from tests.unit.graph.resolving import aircraft, flights, problems, resolve


@pytest.mark.parametrize(
    ("expression", "dtype"),
    [
        ("delay", DType.FLOAT64),
        ("delay > 1", DType.BOOL),
        ("seats", DType.INT32),
        ("delay::REAL", DType.FLOAT32),
        ("seats::TINYINT", DType.INT8),
        ("carrier || '!'", DType.STRING),
        ("landed::DATE", DType.DATE),
        ("landed", DType.TIMESTAMP),
        ("landed::TIMESTAMP", DType.TIMESTAMP),
        ("fare", Decimal(10, 2)),
        ("seats * 1.5", Decimal(12, 1)),
        ("seats::HUGEINT", Decimal(38)),
        ("[seats, NULL]", List(DType.INT32)),
        ("[fare]", List(Decimal(10, 2))),
        ("[landed::TIMESTAMP]", List(DType.TIMESTAMP)),
        ("string_split(carrier, ' ')", List(DType.STRING)),
        ("[delay, seats]::FLOAT[2]", Embedding(2)),
    ],
)
def test_a_feature_has_the_type_of_its_expression(expression: str, dtype: DType) -> None:
    source = flights()

    view = resolve(source, FeatureView("v", entity=aircraft(), source=source, features=[Feature("x", expression)]))

    assert view.view("v").feature("x").dtype == dtype


@pytest.mark.parametrize("expression", ["[[seats]]", "[delay]::DOUBLE[1]", "{'seats': seats}", "landed::TIME"])
def test_what_no_type_holds_is_refused_with_those_that_there_are(expression: str) -> None:
    source = flights()

    [found] = problems(source, FeatureView("v", entity=aircraft(), source=source, features=[Feature("x", expression)]))

    assert re.match(r"'x' of view 'v' is .*, which a feature can not be \(CAST it to one of bool, int8, ", found)


@pytest.mark.parametrize(
    ("expression", "function", "dtype"),
    [
        ("*", "count", DType.INT64),
        ("carrier", "count", DType.INT64),
        ("delay", "sum", DType.FLOAT64),
        ("delay::REAL", "sum", DType.FLOAT64),
        ("seats", "sum", DType.INT64),
        ("delay > 1", "sum", DType.INT64),
        ("delay > 1", "mean", DType.FLOAT64),
        ("seats", "mean", DType.FLOAT64),
        ("delay::REAL", "max", DType.FLOAT32),
        ("carrier", "min", DType.STRING),
        ("landed", "max", DType.TIMESTAMP),
        ("fare", "min", Decimal(10, 2)),
        ("fare", last_n(3), List(Decimal(10, 2))),
        ("carrier", last_n(3), List(DType.STRING)),
        ("fare", "count_distinct", DType.INT64),
        ("fare", "count", DType.INT64),
        ("[seats]", "count", DType.INT64),
    ],
)
def test_an_aggregate_has_the_type_of_its_function(
    expression: str, function: str | Parameterized, dtype: DType
) -> None:
    source = flights()
    aggregate = Aggregate(expression, function, windows=["1d"], name="x")

    graph = resolve(source, FeatureView("v", entity=aircraft(), source=source, every="1h", features=[aggregate]))

    assert graph.view("v").feature("x_1d").dtype == dtype


def test_every_type_that_does_not_fit_is_told_at_once() -> None:
    source = flights()
    by_seats = Entity("by_seats", join_keys={"seats": DType.INT64})
    rows = FeatureView("rows", entity=by_seats, source=source, features=[Feature("pause", "landed - loaded"), "delay"])
    wrong = {"a": ("carrier", "mean"), "b": ("landed", "sum"), "c": ("fare", "var"), "d": ("[seats]", "max")}
    aggregates = [Aggregate(*asked, windows=["1d"], name=name) for name, asked in wrong.items()]
    windows = FeatureView("windows", entity=aircraft(), source=source, every="1h", features=aggregates)

    found = problems(source, rows, windows)

    assert {problem.split(" (")[0].split("128")[0] for problem in found} == {
        "join key 'seats' of entity 'by_seats' is declared as int64, and view 'rows' has it as int32",
        "'pause' of view 'rows' is month_day_nano_interval, which a feature can not be",
        "'a_1d' of view 'windows' takes the mean of string values",
        "'b_1d' of view 'windows' takes the sum of timestamp[us, tz=UTC] values",
        "'c_1d' of view 'windows' takes the var of decimal",
        "'d_1d' of view 'windows' takes the max of list<l: int32> values",
    }
    told = "".join(found)
    assert "timestamp, decimal(precision, scale), list(item), embedding(size))" in told
    assert "(only numbers and booleans have a sum)" in told
    assert "(CAST them to DOUBLE: only sum and mean are exact for decimals, var is not)" in told
    assert "(windows only count such values: " in told


def test_an_expression_the_engine_refuses_is_a_problem_with_the_engines_reason() -> None:
    source = flights()
    view = FeatureView("v", entity=aircraft(), source=source, features=[Feature("x", "no_such_function(delay)")])

    [found] = problems(source, view)

    assert found.startswith(
        "'x' of view 'v': The engine refused a query: Catalog Error: Scalar Function with name no_such_funct"
    )
    assert "SELECT" not in found
