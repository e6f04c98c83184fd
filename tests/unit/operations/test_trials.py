"""Expressions that can not be right are told before anything is made of them, and what fails on some values is said."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

import featurestore as fs
from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.operations.resolve import Resolved, resolve_definitions
from featurestore.plan.stages import CanFail
from featurestore.ports.engine import Query
from featurestore.ports.plan_memory import Remembered
from featurestore.spec.declarations import Declaration
from tests.property.project import Declared
from tests.unit.graph.resolving import Columns, aircraft, engine, flights, problems

SOURCE, TAIL = flights(), aircraft()
ROWS = "tail, landed AS event_timestamp"


def rows(**expressions: str) -> fs.FeatureView:
    listed = [fs.Feature(name, expression) for name, expression in expressions.items()]
    return fs.FeatureView("v", entity=TAIL, source=SOURCE, features=listed)


def windows(*aggregates: fs.Aggregate) -> fs.FeatureView:
    return fs.FeatureView("w", entity=TAIL, source=SOURCE, every="1h", features=aggregates)


def sql(text: str) -> fs.FeatureView:
    return fs.FeatureView("s", entity=TAIL, sql=text)


def resolved(*declared: Declaration) -> Resolved:
    with engine() as alone:
        return resolve_definitions(Declared(SOURCE, *declared), Columns(), alone)


def can_fail(*declared: Declaration) -> list[CanFail]:
    found = resolved(*declared)
    views = [one for listed in found.can_fail.values() for one in listed]
    return [*views, *(one for tried in found.on_demand.values() for one in tried.can_fail)]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("delay + 'text'", "Conversion Error: Could not convert string 'text' to DOUBLE"),
        ("CASE WHEN delay > 9 THEN delay + 'text' END", "Conversion Error: Could not convert string 'text' to DOUBLE"),
        ("coalesce(delay, 'none')", "Conversion Error: Could not convert string 'none' to DOUBLE"),
        ("seats IN ('few', 'many')", "Conversion Error: Could not convert string 'few' to INT32"),
        ("landed > 'yesterday'", "Conversion Error: invalid timestamp field format: \"yesterday\""),
        ("nullif(seats, '')", "Conversion Error: Could not convert string '' to INT32"),
        ("date_trunc('fortnight', landed)", 'Conversion Error: extract specifier "FORTNIGHT" not recognized'),
    ],
)  # fmt: skip
def test_an_expression_that_no_row_can_save_is_a_problem_of_its_feature(expression: str, reason: str) -> None:
    (told,) = problems(SOURCE, rows(good="delay", bad=expression))

    assert told.startswith(f"'bad' of view 'v' fails whatever its rows hold: {reason}")


def test_filters_aggregated_expressions_and_sql_are_tried_alike() -> None:
    late = fs.Aggregate("*", "count", windows=["1d"], name="late", where="delay > 'soon'")
    much = fs.Aggregate("seats * 'x'", "sum", windows=["1d"], name="much")

    told = problems(
        SOURCE,
        windows(late, much),
        sql(f"SELECT {ROWS}, seats FROM flights WHERE delay < 'early'"),
        fs.OnDemandFeature("asked", expression="minutes + 'text'", inputs={"minutes": fs.Float64}),
    )

    failing = " fails whatever its rows hold: Conversion Error: Could not convert string"
    assert {one.partition(failing)[0] for one in told} == {
        "'late' of view 'w'",
        "'much' of view 'w'",
        "view 's'",
        "on-demand feature 'asked'",
    }


def test_what_the_engine_refuses_at_once_is_told_with_its_feature_too() -> None:
    told = problems(SOURCE, rows(good="delay", bad="no_such(delay)", worse="regexp_matches(carrier, '(')"))

    assert [one.partition(": ")[0] for one in told] == ["'bad' of view 'v'", "'worse' of view 'v'"]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("carrier::INT", "Conversion Error: Could not convert string"),
        ("split_part(carrier, '|', 2)::INT", "Conversion Error: Could not convert string ''"),
        ("strptime(carrier, '%d/%m/%Y')", "Invalid Input Error: Could not parse string"),
        ("delay::INT", "Conversion Error: Type DOUBLE with value nan"),
        ("1 // seats", "Invalid Input Error: Division by zero"),
        ("seats * seats", "Out of Range Error: Overflow in multiplication of INT32"),
        ("CASE WHEN carrier NOT IN ('AA') THEN error('none') ELSE carrier END", "Invalid Input Error: none"),
    ],
)  # fmt: skip
def test_what_fails_on_everyday_values_is_said_and_allowed(expression: str, reason: str) -> None:
    (found,) = can_fail(rows(good="delay", x=expression))

    assert (found.what, found.at_limits) == ("v:x", False)
    assert found.reason.startswith(reason)
    assert "\n" not in found.reason


@pytest.mark.parametrize("expression", ["seats - 1", "fare * fare", "abs(seats)", "epoch_ns(landed)"])
def test_what_only_the_limits_of_types_are_too_much_for_is_set_apart(expression: str) -> None:
    found = can_fail(rows(x=expression))

    assert [(one.what, one.at_limits) for one in found] == [("v", True)]


@pytest.mark.parametrize(
    "expression",
    [
        "delay / nullif(seats, 0)",
        "TRY_CAST(carrier AS INT)",
        "ln(delay)",
        "repeat(carrier, seats)",
        "len(range(seats))",
        "CASE WHEN carrier = '' THEN 0 ELSE length(carrier) END",
    ],
)
def test_what_has_a_value_for_every_row_is_not_spoken_of(expression: str) -> None:
    assert can_fail(rows(x=expression)) == []


def test_an_on_demand_feature_says_what_fails_on_which_values() -> None:
    whole = fs.OnDemandFeature("whole", expression="note::INT", inputs={"note": fs.String})
    most = fs.OnDemandFeature("most", expression="minutes + 1", inputs={"minutes": fs.Int64})

    assert [(one.what, one.at_limits) for one in can_fail(whole, most)] == [("whole", False), ("most", True)]


class Watched(DuckDBEngine):
    """The engine, counting what it is asked."""

    asked = 0

    def schema(self, query: Query) -> pa.Schema:
        self.asked += 1
        return super().schema(query)

    def failure_of(self, query: Query, *, seconds: float) -> str | None:
        self.asked += 1
        return super().failure_of(query, seconds=seconds)


def test_what_was_tried_once_is_remembered_with_what_can_fail() -> None:
    declared: list[Declaration] = [
        SOURCE,
        rows(x="carrier::INT"),
        windows(fs.Aggregate("delay", "sum", windows=["1d"])),
    ]
    declared.append(fs.OnDemandFeature("whole", expression="note::INT", inputs={"note": fs.String}))
    first = resolved(*declared[1:])
    with engine(Watched) as watched:
        known = Remembered(first.views, {}, first.can_fail, first.on_demand)
        again = resolve_definitions(Declared(*declared), Columns(), watched, known)

    assert isinstance(watched, Watched)
    assert watched.asked == 0
    assert replace(again, graph=first.graph) == first
    assert len(again.can_fail) == 1
