"""Tables and SELECTs of a real PostgreSQL as sources: what a chunk reads, what a version says, what no message says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pyarrow as pa
import pytest
from sqlglot import exp, parse_one

from featurestore.adapters.postgres_source import PostgresSources
from featurestore.errors import SourceError
from featurestore.intervals import Interval
from featurestore.ports.engine import Query, RowScan
from featurestore.ports.source_reader import SourceSnapshot
from featurestore.spec.source import SqlSource
from tests.postgres_server import PASSWORD, PostgresServer
from tests.unit.graph.resolving import engine

_NUMBER = count()


@pytest.fixture
def table(postgres: PostgresServer) -> str:
    """A table of this test's own, with ten days of rows."""
    name = f"rows_{next(_NUMBER)}"
    postgres.run(
        f'CREATE TABLE {name} ("at" timestamptz, id bigint, seen timestamptz, naive timestamp, day date)',
        f"INSERT INTO {name} SELECT t, row_number() OVER (ORDER BY t), t + interval '1 hour', t, t "
        "FROM generate_series('2024-01-01 00:00Z'::timestamptz, '2024-01-10 00:00Z', '1 day') t",
    )
    return name


def read(postgres: PostgresServer, *, within: Interval | None = None, **options: Any) -> SourceSnapshot:
    source = SqlSource("rows", connection="shop", event_timestamp=options.pop("event_timestamp", "at"), **options)
    return PostgresSources({"shop": postgres.url}).read(source, within=within)


def values(snapshot: SourceSnapshot, column: str = "id") -> list[Any]:
    assert isinstance(snapshot.relation, RowScan)
    return [v for batch in snapshot.relation.open((column,)) for v in batch[column].to_pylist()]


def test_a_table_tells_columns_rows_and_days(postgres: PostgresServer, table: str) -> None:
    snapshot = read(postgres, table=f"public.{table}")

    assert snapshot.schema.names == ["at", "id", "seen", "naive", "day"]
    assert snapshot.schema.field("at").type == pa.timestamp("us", tz="UTC")
    assert (snapshot.rows, len(snapshot.parts)) == (10, 10)
    assert (snapshot.first, snapshot.last) == (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 10, tzinfo=UTC))
    assert snapshot.parts[0].name == "2024-01-01"
    assert sorted(values(snapshot)) == list(range(1, 11))


@pytest.mark.parametrize(
    ("table", "named"), [("User", '"user"'), ("public.select", "public.select"), ("odd name", '"odd name"')]
)
def test_a_table_with_a_word_of_sql_for_a_name_is_that_table(postgres: PostgresServer, table: str, named: str) -> None:
    postgres.run(
        f"DROP TABLE IF EXISTS {named}",
        f'CREATE TABLE {named} AS SELECT now() AS "at", 7 AS id, 8 AS "current_user"',
    )

    found = read(postgres, table=table)

    assert (values(found), values(found, "current_user")) == ([7], [8])


def test_a_scan_can_be_opened_again(postgres: PostgresServer, table: str) -> None:
    snapshot = read(postgres, query=f"SELECT * FROM {table} WHERE id < 3")

    assert sorted(values(snapshot)) == sorted(values(snapshot)) == [1, 2]


@pytest.mark.parametrize("column", ["at", "naive", "day"])
def test_only_rows_of_the_asked_time_leave_the_database(postgres: PostgresServer, table: str, column: str) -> None:
    asked = Interval(datetime(2024, 1, 3, tzinfo=UTC), datetime(2024, 1, 5, tzinfo=UTC))
    poisoned = f"SELECT *, 1 / (CASE WHEN id IN (3, 4, 5) THEN 1 ELSE 0 END) AS fails FROM {table}"

    found = values(read(postgres, query=poisoned, within=asked, event_timestamp=column), "fails")

    assert len(found) in (2, 3)


def test_the_version_and_the_day_change_with_the_rows(postgres: PostgresServer, table: str) -> None:
    before = read(postgres, table=table, known_at="seen")
    postgres.run(f"UPDATE {table} SET seen = seen + interval '1 day' WHERE id = 4")

    after = read(postgres, table=table, known_at="seen")

    changed = [new.name for old, new in zip(before.parts, after.parts, strict=True) if old != new]
    assert changed == ["2024-01-04"]
    assert before.version != after.version
    assert after.version == read(postgres, table=table, known_at="seen").version


def test_rows_without_a_time_are_counted_as_a_part_of_their_own(postgres: PostgresServer, table: str) -> None:
    postgres.run(f"INSERT INTO {table} (id) VALUES (11)")

    snapshot = read(postgres, table=table)

    assert snapshot.rows == 11
    assert [part.rows for part in snapshot.parts if part.first is None] == [1]


def test_types_come_as_they_are_and_the_rest_as_text(postgres: PostgresServer) -> None:
    selected = {
        "i": ("1::integer", pa.int32(), 1),
        "r": ("1.5::real", pa.float32(), 1.5),
        "b": ("true", pa.bool_(), True),
        "d": ("date '2024-01-01'", pa.date32(), date(2024, 1, 1)),
        "money": ("12.50::numeric(10, 2)", pa.decimal128(10, 2), Decimal("12.50")),
        "any_number": ("1234567890123456789012345678901234567890.5::numeric", pa.string(), f"{'1234567890' * 4}.5"),
        "u": ("'6f1f0fd6-4a2b-4a1d-8f51-4df9cf0a8b65'::uuid", pa.string(), "6f1f0fd6-4a2b-4a1d-8f51-4df9cf0a8b65"),
        "j": ("""'{"a": 1}'::jsonb""", pa.string(), '{"a": 1}'),
        "huge": ("9007199254740993::bigint", pa.int64(), 9007199254740993),
    }
    columns = ", ".join(f"{sql} AS {name}" for name, (sql, _, _) in selected.items())

    snapshot = read(postgres, query=f"SELECT now() AS at, {columns}")

    assert {name: snapshot.schema.field(name).type for name in selected} == {n: k for n, (_, k, _) in selected.items()}
    assert {name: values(snapshot, name) for name in selected} == {n: [v] for n, (_, _, v) in selected.items()}


def test_values_are_what_was_typed_and_not_what_the_driver_makes_of_them(postgres: PostgresServer) -> None:
    postgres.run(
        "CREATE TYPE mood AS ENUM ('glad', 'sad')",
        "CREATE DOMAIN salary AS money",
        "CREATE TYPE item AS (name text, price money)",
    )
    selected = {
        "cash": ("12.34::numeric::money", Decimal("12.34")),
        "debt": ("'-92233720368547758.08'::money", Decimal("-92233720368547758.08")),
        "domain": ("5.5::numeric::money::salary", Decimal("5.50")),
        "cashes": ("ARRAY[1.5::numeric::money, NULL]", [Decimal("1.50"), None]),
        "row": ("ROW('a', 5.5::numeric::money)::item", "(a,$5.50)"),
        "rows": ("ARRAY[ROW('a', 5.5::numeric::money)::item]", '{"(a,$5.50)"}'),
        "object": ("4294967295::oid", 4294967295),
        "objects": ("ARRAY[4294967295::oid]", [4294967295]),
        "enum": ("'glad'::mood", "glad"),
        "padded": ("'a'::char(3)", "a  "),
        "bits": ("B'101'", "101"),
        "address": ("'10.0.0.1/8'::inet", "10.0.0.1/8"),
        "span": ("'[1,5)'::int4range", "[1,5)"),
        "xml": ("'<a/>'::xml", "<a/>"),
        "late": ("'10:00+02'::timetz", "10:00:00+02"),
        "any_number": ("'NaN'::numeric", "NaN"),
        "nan": ("'NaN'::float8", "nan"),
        "nulls": ("ARRAY[1, NULL]", [1, None]),
        "from_zero": ("'[0:1]={1,2}'::int[]", [1, 2]),
        "empty": ("'{}'::int[]", []),
        "vector": ("'1 2'::int2vector", [1, 2]),
    }
    columns = ", ".join(f'{sql} AS "{name}"' for name, (sql, _) in selected.items())

    snapshot = read(postgres, query=f"SELECT now() AS at, {columns}")

    found = {name: values(snapshot, name)[0] for name in selected}
    assert found | {"nan": str(found["nan"])} == {name: value for name, (_, value) in selected.items()}


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("ARRAY[[1, 2], [3, 4]]", "'x' holds {{1,2},{3,4}}, an array of several dimensions"),
        ("ARRAY[['a'], ['b']]", "'x' holds {{a},{b}}, an array of several dimensions"),
        ("ARRAY[[1.5::numeric::money]]", "'x' holds {{$1.50}}, an array of several dimensions"),
        ("'NaN'::numeric(10, 2)", "'x' holds NaN, which is no decimal128(10, 2)"),
    ],
)
def test_a_value_that_arrow_has_none_for_is_told_with_its_column(postgres: PostgresServer, sql: str, told: str) -> None:
    snapshot = read(postgres, query=f"SELECT now() AS at, {sql} AS x")

    with pytest.raises(SourceError) as caught:
        values(snapshot, "x")

    assert f"source 'rows': {told}" in caught.value.message


def test_infinite_moments_are_infinite_for_the_engine(postgres: PostgresServer) -> None:
    query = """SELECT now() AS at, unnest(ARRAY['infinity', '-infinity', '2024-01-01']::date[]) AS day,
               unnest(ARRAY['infinity', '-infinity', '2024-01-01']::timestamptz[]) AS moment,
               ARRAY['-infinity'::timestamp] AS moments"""
    with engine() as alone:
        tree = parse_one("SELECT day::VARCHAR, moment::VARCHAR, moments[1]::VARCHAR FROM s", dialect="duckdb")
        assert isinstance(tree, exp.Query)

        found = alone.stream(Query(tree, {"s": read(postgres, query=query).relation})).read_all()

    assert found[0].to_pylist() == ["infinity", "-infinity", "2024-01-01"]
    assert found[1].to_pylist() == ["infinity", "-infinity", "2024-01-01 00:00:00+00"]
    assert found[2].to_pylist() == ["-infinity"] * 3


@pytest.mark.parametrize("value", ["infinity", "-infinity", "0044-03-15 BC", "20000-01-01"])
@pytest.mark.parametrize("kind", ["timestamptz", "date"])
def test_an_event_timestamp_in_no_year_is_told(postgres: PostgresServer, value: str, kind: str) -> None:
    query = f"SELECT '{value}'::{kind} AS at UNION ALL SELECT '2024-01-01'"

    with pytest.raises(SourceError, match=r"source 'rows': 'at' holds .* in no year from 1 to 9999"):
        read(postgres, query=query)


def test_rows_that_become_known_at_infinity_do_not_hide_the_others(postgres: PostgresServer) -> None:
    snapshot = read(postgres, query="SELECT now() AS at, 'infinity'::timestamptz AS seen", known_at="seen")

    assert snapshot.rows == 1


@pytest.mark.parametrize("query", ["SELECT 1; DROP TABLE x", "DROP TABLE x", "SELEC 1", "UPDATE x SET y = 1"])
def test_a_query_is_one_select(postgres: PostgresServer, query: str) -> None:
    with pytest.raises(SourceError, match="source 'rows'"):
        read(postgres, query=query)


def test_a_function_that_writes_is_refused_by_the_connection(postgres: PostgresServer, table: str) -> None:
    name = f"writes_{table}"
    body = f"INSERT INTO {table} (id) VALUES (99); SELECT now()"
    postgres.run(f"CREATE FUNCTION {name}() RETURNS timestamptz LANGUAGE sql AS '{body}'")

    with pytest.raises(SourceError, match="read-only transaction"):
        read(postgres, query=f"SELECT {name}() AS at")


def test_what_the_database_refuses_is_told(postgres: PostgresServer) -> None:
    with pytest.raises(SourceError, match=r"source 'rows' \(connection 'shop'\) .*relation .nothing. does not exist"):
        read(postgres, table="nothing")


def test_a_connection_that_the_settings_do_not_know_says_how_to_set_it(postgres: PostgresServer) -> None:
    source = SqlSource("rows", connection="Store", table="x", event_timestamp="at")

    with pytest.raises(SourceError, match="KNOWNAT_CONNECTIONS__STORE=postgresql"):
        PostgresSources({"shop": postgres.url}).read(source)


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace(PASSWORD, "wrong-sesame"),
        lambda url: url.replace("127.0.0.1:", "127.0.0.1:1"),
        lambda url: f"{url}?{PASSWORD}",
        lambda url: url.replace("postgresql://", "mysql://"),
        lambda url: url.replace("knownat:", "no%zz:"),
        lambda url: url.replace(PASSWORD, "open[sesame]"),
        lambda url: url.replace(PASSWORD, "sesame\N{ACCOUNT OF}"),
        lambda url: url.replace(PASSWORD, "sesame/now"),
        lambda url: f"{url}?sslmode=disable&sslpassword=se%zzsame&password=sesame%zz",
    ],
)
def test_no_error_tells_the_address_or_the_password(postgres: PostgresServer, change: Any) -> None:
    address = change(postgres.url)
    source = SqlSource("rows", connection="shop", table="x", event_timestamp="at")

    with pytest.raises(SourceError) as caught:
        PostgresSources({"shop": address}).read(source)

    chain: BaseException | None = caught.value
    while chain is not None:
        assert "sesame" not in str(chain)
        chain = chain.__cause__
