"""What is stored is what the view's query gave, in its type, or the fill is refused with the view, the column and the
value."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.compiler.first_event import first_event_rows
from featurestore.compiler.stored_rows import stored_rows
from featurestore.errors import DefinitionsError, ValueRefused
from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import DAY, Interval
from featurestore.ports.engine import Query
from featurestore.spec.aggregate import Aggregate, Feature, Function
from featurestore.spec.feature_view import FeatureView
from tests.unit.graph.resolving import aircraft, flights, resolve

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
MARCH_10 = Interval(NOON.replace(hour=0), NOON.replace(hour=0) + DAY)
SCHEMA = pa.schema([("tail", pa.string()), ("landed", pa.timestamp("us", "UTC")), ("x", pa.string())])
UUID = "12345678-1234-5678-1234-567812345678"
FAR = ("infinity", "-infinity", "0044-03-15 (BC)", "12000-01-01")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    opened = DuckDBEngine(memory_limit="500MB", threads=2, spill_folder=tmp_path_factory.mktemp("spill"))
    yield opened
    opened.close()


def view_of(expression: str) -> ResolvedView:
    view = FeatureView("v", entity=aircraft(), source=flights(), features=[Feature("f", expression)])
    return resolve(view, flights=SCHEMA).view("v")


def stored(engine: DuckDBEngine, view: ResolvedView, value: str) -> pa.Table:
    rows = pa.table([["N1"], [NOON], [value]], schema=SCHEMA)
    with engine.stream(Query(stored_rows(view, MARCH_10), {"flights": rows})) as reader:
        return reader.read_all()


@pytest.mark.parametrize(
    ("expression", "value", "expected"),
    [
        ("CAST(x AS UUID)", UUID, UUID),
        ("[CAST(x AS UUID), NULL]", UUID, [UUID, None]),
        ("CAST(x AS JSON)", '{"a":1}', '{"a":1}'),
        ("[CAST(x AS JSON)]", "[1]", ["[1]"]),
        ("CAST(x AS BIT)::VARCHAR", "0101", "0101"),
        ("CAST(x AS HUGEINT)", "9" * 38, Decimal("9" * 38)),
        ("CAST(x AS UHUGEINT)", "9" * 38, Decimal("9" * 38)),
        ("[CAST(x AS HUGEINT), NULL]", "-" + "9" * 38, [Decimal("-" + "9" * 38), None]),
        ("CAST(x AS DATE)", "0001-01-01", date(1, 1, 1)),
        ("CAST(x AS DATE)", "9999-12-31", date(9999, 12, 31)),
        ("CAST(x AS TIMESTAMP_S)", "2024-03-10", NOON.replace(hour=0)),
        ("CAST(x AS TIMESTAMP_MS)", "2024-03-10 12:00", NOON),
        ("CAST(x AS TIMESTAMP)", "0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
        (
            "CAST(x AS TIMESTAMPTZ)",
            "9999-12-31 23:59:59.999999",
            datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        ),
        ("[CAST(x AS TIMESTAMP_S), NULL]", "2024-03-10 12:00", [NOON, None]),
    ],
)
def test_what_the_engine_has_other_types_for_is_stored_as_the_feature_says(
    engine: DuckDBEngine, expression: str, value: str, expected: object
) -> None:
    found = stored(engine, view_of(expression), value)["f"]

    [plain] = found.to_pylist()
    assert plain == expected


@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_S", "TIMESTAMP_MS"])
@pytest.mark.parametrize("value", FAR)
@pytest.mark.parametrize("form", ["CAST(x AS {})", "[NULL, CAST(x AS {})]"], ids=["alone", "in a list"])
def test_a_moment_in_no_year_is_refused_with_view_column_and_value(
    engine: DuckDBEngine, kind: str, value: str, form: str
) -> None:
    with pytest.raises(ValueRefused) as caught:
        stored(engine, view_of(form.format(kind)), value)

    assert f"'f' of view 'v' holds {value}" in caught.value.message
    assert "in no year from 1 to 9999" in caught.value.message


def test_milliseconds_taken_for_seconds_are_refused(engine: DuckDBEngine) -> None:
    with pytest.raises(ValueRefused, match="'f' of view 'v' holds 55969-09-28"):
        stored(engine, view_of("to_timestamp(CAST(x AS BIGINT))"), "1704067200000")


@pytest.mark.parametrize("form", ["CAST(x AS {})", "[NULL, CAST(x AS {})]"], ids=["alone", "in a list"])
@pytest.mark.parametrize("kind", ["HUGEINT", "UHUGEINT"])
def test_a_whole_number_of_39_digits_is_refused(engine: DuckDBEngine, form: str, kind: str) -> None:
    with pytest.raises(ValueRefused, match=rf"'f' of view 'v' holds {2**127 - 1}, which has no place in decimal\(38"):
        stored(engine, view_of(form.format(kind)), str(2**127 - 1))


@pytest.mark.parametrize(
    "expression",
    ["CAST(x AS UBIGINT)", "CAST(x AS TIME)", "CAST(x AS INTERVAL)", "CAST(x AS BIT)", "CAST(x AS BLOB)", "[[x]]",
     "{'a': x}", "MAP {'a': x}", "CAST(x AS BIGNUM)", "CAST(x AS VARIANT)", "NULL", "[]", "CAST(x AS DOUBLE[2])",
     "CAST(NULLIF(x, x) AS ENUM('a'))", "CAST(x AS TIMESTAMP_NS)", "union_value(a := x)"],
)  # fmt: skip
def test_what_no_type_holds_is_refused_when_it_is_planned(expression: str) -> None:
    with pytest.raises(DefinitionsError, match=r"'f' of view 'v' is .* which a feature can not be"):
        view_of(expression)


def test_a_key_and_a_known_timestamp_are_no_exception(engine: DuckDBEngine) -> None:
    source = flights(known_at="known")
    known = SCHEMA.append(pa.field("known", pa.timestamp("us", "UTC")))
    view = resolve(FeatureView("v", entity=aircraft(), source=source, features=["x"]), flights=known).view("v")
    rows = pa.table([["N1"], [NOON], ["a"], pa.array([2**63 - 1], known.field("known").type)], schema=known)

    with pytest.raises(ValueRefused, match="'known_at' of view 'v' holds infinity"):
        engine.stream(Query(stored_rows(view, MARCH_10), {"flights": rows})).read_all()


def test_a_windowed_view_names_the_feature_and_skips_rows_that_it_filters_out(engine: DuckDBEngine) -> None:
    aggregate = Aggregate("CAST(x AS DATE)", Function.LAST, windows=["1d"], name="day", where="x <> 'infinity'")
    view = FeatureView("v", entity=aircraft(), source=flights(), every="1h", features=[aggregate])
    resolved = resolve(view, flights=SCHEMA).view("v")

    assert stored(engine, resolved, "infinity").num_rows == 1
    with pytest.raises(ValueRefused, match="'day_1d' of view 'v' holds 12000-01-01"):
        stored(engine, resolved, "12000-01-01")


@pytest.mark.parametrize("value", ["-infinity", "infinity", "12000-01-01", "0044-03-15 (BC)"])
def test_an_event_timestamp_that_sql_makes_is_refused_where_it_would_be_in_no_interval(
    engine: DuckDBEngine, value: str
) -> None:
    sql = "SELECT tail, CAST(x AS TIMESTAMPTZ) AS event_timestamp, x FROM flights"
    view = resolve(flights(), FeatureView("v", entity=aircraft(), sql=sql), flights=SCHEMA).view("v")
    rows = pa.table([["N1", "N2"], [NOON, NOON], ["2024-01-01", value]], schema=SCHEMA)

    with pytest.raises(ValueRefused) as caught:
        engine.stream(Query(first_event_rows(view), {"flights": rows})).read_all()

    assert f"'event_timestamp' of view 'v' holds {value}" in caught.value.message
