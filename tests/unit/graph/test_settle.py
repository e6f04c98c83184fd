"""Types settle as the engine finds them, and what does not fit is told for all views at once."""

from __future__ import annotations

import pytest

from featurestore.spec.aggregate import Aggregate, Feature
from featurestore.spec.dtypes import DType
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
    ],
)
def test_a_feature_has_the_type_of_its_expression(expression: str, dtype: DType) -> None:
    source = flights()

    view = resolve(source, FeatureView("v", entity=aircraft(), source=source, features=[Feature("x", expression)]))

    assert view.view("v").feature("x").dtype is dtype


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
    ],
)
def test_an_aggregate_has_the_type_of_its_function(expression: str, function: str, dtype: DType) -> None:
    source = flights()
    aggregate = Aggregate(expression, function, windows=["1d"], name="x")

    graph = resolve(source, FeatureView("v", entity=aircraft(), source=source, every="1h", features=[aggregate]))

    assert graph.view("v").feature("x_1d").dtype is dtype


def test_every_type_that_does_not_fit_is_told_at_once() -> None:
    source = flights()
    by_seats = Entity("by_seats", join_keys={"seats": DType.INT64})
    rows = FeatureView("rows", entity=by_seats, source=source, features=["fare", "delay"])
    aggregates = [Aggregate("carrier", "mean", windows=["1d"]), Aggregate("landed", "sum", windows=["1d"])]
    windows = FeatureView("windows", entity=aircraft(), source=source, every="1h", features=aggregates)

    found = problems(source, rows, windows)

    assert {problem.split(" (")[0].split("128")[0] for problem in found} == {
        "join key 'seats' of entity 'by_seats' is declared as int64, and view 'rows' has it as int32",
        "'fare' of view 'rows' is decimal",
        "'carrier_mean_1d' of view 'windows' takes the mean of string values",
        "'landed_sum_1d' of view 'windows' takes the sum of timestamp[us, tz=UTC] values",
    }
    assert "(CAST it to one of bool, int8, int16, int32" in "".join(found)


def test_an_expression_the_engine_refuses_is_a_problem_with_the_engines_reason() -> None:
    source = flights()
    view = FeatureView("v", entity=aircraft(), source=source, features=[Feature("x", "no_such_function(delay)")])

    [found] = problems(source, view)

    assert found.startswith(
        "view 'v': The engine refused a query: Catalog Error: Scalar Function with name no_such_funct"
    )
    assert "SELECT" not in found
