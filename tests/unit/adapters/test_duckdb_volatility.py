"""What DuckDB's catalog says of its functions, where it is wrong, and what of a text is a call at all."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from featurestore.adapters.duckdb_volatility import Volatility

CONSTANTS = ["pi"]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone='UTC'")
        yield opened


def names(connection: duckdb.DuckDBPyConnection, condition: str) -> list[tuple[str, int]]:
    """Functions that fit the condition, with the number of their arguments."""
    found = connection.execute(
        "SELECT DISTINCT lower(function_name), len(parameters) FROM duckdb_functions() "
        f"WHERE function_type IN ('scalar', 'macro') AND ({condition}) ORDER BY ALL"
    )
    return [(name, count) for name, count in found.fetchall()]


def call(name: str, arguments: int) -> str:
    return f'SELECT "{name}"({", ".join(["NULL"] * arguments)})'


def test_every_function_that_the_catalog_calls_volatile_is_told(connection: duckdb.DuckDBPyConnection) -> None:
    volatility = Volatility(connection)

    listed = names(connection, "stability <> 'CONSISTENT' AND function_name <> 'error'")

    assert {"random", "nextval", "now", "getvariable", "txid_current"} <= {name for name, _ in listed}
    assert [one for one in listed if not volatility.parts(call(*one))] == []


def test_a_function_of_nothing_is_told_unless_it_is_a_constant(connection: duckdb.DuckDBPyConnection) -> None:
    """Which holds for those that the catalog calls CONSISTENT too: local clocks, the engine's version, its user."""
    volatility = Volatility(connection)
    of_nothing = {name for name, count in names(connection, "varargs IS NULL") if count == 0}
    of_nothing -= {name for name, count in names(connection, "true") if count}

    left = [name for name in of_nothing if not volatility.parts(call(name, 0))]

    assert {"version", "current_localtimestamp", "current_user", "pg_conf_load_time"} <= of_nothing
    assert left == CONSTANTS


def test_a_macro_is_what_it_calls(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE MACRO day_of(x) AS extract('day' FROM CURRENT_TIMESTAMP)")
    connection.execute("CREATE MACRO hidden(x) AS x + day_of(x)")
    volatility = Volatility(connection)

    told = [name for name, count in names(connection, "function_type = 'macro'") if volatility.parts(call(name, count))]

    assert {"ago", "hidden", "day_of", "get_block_size"} <= set(told)
    assert not {"fdiv", "nullif", "split_part", "list_append", "assert_true", "date_add"} & set(told)


@pytest.mark.parametrize(
    ("sql", "parts"),
    [
        ("SELECT age(born), age(a, b), age(f(a, b))", ("age(…) of one argument",)),
        ("SELECT born.age()", ("age(…) of one argument",)),
        ("SELECT age([1, 2], x), age(CAST(a AS DECIMAL(3, 2)), b)", ()),
        ("SELECT CURRENT_DATE, Current_User, localtime, USER", ("current_date", "current_user", "localtime", "user")),
        ("SELECT \"current_date\", t.now, 'now()', $$now()$$, e'it\\'s now()' FROM t -- now()", ()),
        ('SELECT main.now(), "uuid"(), now ( )', ("now()", "uuid()")),
        ("SELECT 'größe', \"größe\", getvariable('größe')", ("getvariable(…)",)),
        ("SELECT current_setting('TimeZone')", ("current_setting(…)",)),
        ("SELECT * FROM t TABLESAMPLE 10%", ("TABLESAMPLE",)),
        ("SELECT reservoir_quantile(x, 0.5) FROM t USING SAMPLE 5", ("reservoir_quantile(…)", "USING SAMPLE")),
        ('SELECT "sample", \'sample\' FROM t AS "tablesample"', ()),
        ("SELECT list_aggregate(x, 'reservoir_quantile', 0.5)", ("reservoir_quantile(…)",)),
        ("SELECT x.list_aggr('Reservoir_Quantile', 0.5), list_aggregate(x, 'sum')", ("reservoir_quantile(…)",)),
        ("SELECT list_transform(x, lambda y: y + random())", ("random()",)),
        ("SELECT sum(x) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW), pi(), error('no')", ()),
        ("SELECT date_trunc('day', a::DATE AT TIME ZONE 'UTC') + INTERVAL '1' DAY, {'a': 1}, [b], MAP {}", ()),
    ],
)
def test_only_calls_and_words_that_the_engine_gives_a_value_count(
    connection: duckdb.DuckDBPyConnection, sql: str, parts: tuple[str, ...]
) -> None:
    assert Volatility(connection).parts(sql) == parts


@pytest.mark.parametrize("text", ["now", "today", "tomorrow", "yesterday"])
@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "TIMESTAMPTZ", "TIME"])
def test_no_text_is_cast_to_what_the_clock_says(connection: duckdb.DuckDBPyConnection, text: str, kind: str) -> None:
    """PostgreSQL has such texts; were DuckDB to learn them, casts of columns would have to be looked at."""
    found = connection.execute(f"SELECT TRY_CAST('{text}' AS {kind})").fetchone()

    assert found == (None,)
