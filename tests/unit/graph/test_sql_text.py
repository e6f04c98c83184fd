"""People's SQL as trees: one statement of bounded depth, and feature references as columns."""

from __future__ import annotations

import pytest

from featurestore.graph.sql_text import (
    UnreadableSql,
    canonical_sql,
    parse_expression,
    parse_query,
    parse_reference_expression,
    read_query,
)


@pytest.mark.parametrize(
    ("text", "canonical", "references"),
    [
        ("a - v:f", '"a" - "v:f"', ("v:f",)),
        ("v:f / (v:g + v:f)", '"v:f" / ("v:g" + "v:f")', ("v:f", "v:g")),
        ("coalesce(role_v:f::INT, 0)", 'COALESCE(CAST("role_v:f" AS INT), 0)', ("role_v:f",)),
        ("'v:f' || n", "'v:f' || \"n\"", ()),
        ("n /* v:f */", '"n"', ()),
    ],
)
def test_a_reference_is_read_as_a_column_of_its_name(text: str, canonical: str, references: tuple[str, ...]) -> None:
    tree, found = parse_reference_expression(text)

    assert canonical_sql(tree) == canonical
    assert found == references


@pytest.mark.parametrize("text", ["Arr_Delay>15", "arr_delay > 15 -- late", "/* why */ ARR_DELAY\n> 15"])
def test_canonical_text_forgets_formatting_comments_and_case(text: str) -> None:
    assert canonical_sql(parse_expression(text)) == '"arr_delay" > 15'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("(" * 101 + "1" + ")" * 101, "nested deeper than 100 levels"),
        ("a" + "::INT" * 200, "nested deeper than 150 levels"),
        ("NOT " * 3_000 + "true", "nested too deeply"),
        ("1" * 100_001, "longer than 100000 characters"),
        ("'open", "Error tokenizing"),
        ("a; b", "expected one"),
        ("a FROM t", "expected one expression"),
        ("a AS b", "leave out AS"),
        ("(SELECT 1)", "can not hold a SELECT"),
    ],
)
def test_text_that_is_no_expression_is_refused_with_the_reason(text: str, what: str) -> None:
    with pytest.raises(UnreadableSql, match=what):
        parse_expression(text)


@pytest.mark.parametrize(
    ("dotted", "plain"),
    [
        ("carrier.upper().contains('a')", "contains(upper(carrier), 'a')"),
        ("plane.weight.abs()", "abs(plane.weight)"),
        ("(delay + seats).greatest(seats.abs())", "greatest((delay + seats), abs(seats))"),
        ("legs.list_transform(lambda x: x + delay).list_sum()", "list_sum(list_transform(legs, lambda x: x + delay))"),
        ("delay.sum() OVER (PARTITION BY carrier)", "sum(delay) OVER (PARTITION BY carrier)"),
        ("main.abs(delay)", "main.abs(delay)"),
    ],
)  # fmt: skip
def test_a_call_by_a_dot_is_a_call(dotted: str, plain: str) -> None:
    assert parse_expression(dotted) == parse_expression(plain)


@pytest.mark.parametrize(
    "text",
    [
        "delay.sum() FILTER (seats > 0)", "delay.count(DISTINCT seats)", "delay.list(ORDER BY seats)", "delay.nullif()",
        "flights.plane.weight.abs()", "list_transform(legs, lambda x: x.abs())", "[delay.abs() FOR delay IN legs]",
    ],
)  # fmt: skip
def test_a_call_by_a_dot_that_means_several_things_is_refused(text: str) -> None:
    with pytest.raises(UnreadableSql, match="can not be read with its dot"):
        parse_query(f"SELECT {text} AS x FROM flights")


def test_what_is_written_for_the_engine_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    canonical = canonical_sql(parse_expression("extract(hour FROM TIMESTAMPTZ '2024-03-10')"))

    assert (canonical, caplog.messages) == ("EXTRACT(HOUR FROM CAST('2024-03-10' AS TIMESTAMPTZ))", [])


def test_a_long_chain_is_not_a_deep_nest() -> None:
    assert canonical_sql(parse_expression(" AND ".join(["a > 0"] * 2_000))).count("AND") == 1_999


@pytest.mark.parametrize(
    ("text", "what"), [("DELETE FROM t", "found DELETE"), ("SELECT 1; SELECT 2", "found 2"), ("", "found 0")]
)
def test_a_query_is_one_select(text: str, what: str) -> None:
    with pytest.raises(UnreadableSql, match=what):
        parse_query(text)


@pytest.mark.parametrize(
    ("canonical", "read"),
    [
        ("SELECT x.k FROM (SELECT s.k AS k, s.a AS a FROM s AS s) AS x", "SELECT s.k AS k FROM s AS s"),
        ("SELECT x.k FROM (SELECT s.k AS k, UNNEST(s.a) AS a FROM s AS s) AS x", "UNNEST(s.a) AS a"),
        ("SELECT x.k FROM (SELECT DISTINCT s.k AS k, s.a AS a FROM s AS s) AS x", "s.a AS a"),
        ("SELECT x.k FROM (SELECT 1 AS k, MAX(s.a) AS a FROM s AS s) AS x", "MAX(s.a) AS a"),
    ],
)
def test_only_columns_that_decide_no_rows_are_left_unread(canonical: str, read: str) -> None:
    assert read in read_query(canonical).sql(dialect="duckdb")
