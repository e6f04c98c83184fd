"""An entry is a row when each column of the source is there with a value of its type; what is none is told why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isnan

import pyarrow as pa
import pytest

from featurestore.operations.entry_rows import EntryRow, read_entries, rows_table
from featurestore.ports.entries import Entry, EntryId
from featurestore.ports.stream import Rejected
from featurestore.spec import dtypes
from featurestore.spec.dtypes import DType
from featurestore.spec.source import FrameSource

NOW = datetime(2024, 3, 11, tzinfo=UTC)
EVERY = FrameSource(
    "every",
    columns={
        "at": DType.TIMESTAMP,
        "text": DType.STRING,
        "whole": DType.INT64,
        "small": DType.INT8,
        "share": DType.FLOAT64,
        "flag": DType.BOOL,
        "day": DType.DATE,
        "price": dtypes.Decimal(10, 2),
        "words": dtypes.List(DType.STRING),
    },
    event_timestamp="at",
)
FIELDS = {
    "at": "2024-03-10T12:00:00+01:00",
    "text": 'Łódź "x"',
    "whole": "9007199254740993",
    "small": "-128",
    "share": "0.1",
    "flag": "true",
    "day": "2024-02-29",
    "price": "1.50",
    "words": '["a", null]',
}
ROW = (
    datetime(2024, 3, 10, 11, tzinfo=UTC), "Łódź \"x\"", 2**53 + 1, -128, 0.1, True, date(2024, 2, 29),
    Decimal("1.50"), ["a", None],
)  # fmt: skip
VISITS = FrameSource("visits", columns={"at": DType.TIMESTAMP, "visitors": DType.INT64}, event_timestamp="at")


def entry(**fields: str | bytes) -> Entry:
    return numbered(1, fields)


def numbered(number: int, fields: Mapping[str, str | bytes]) -> Entry:
    told = {name.encode(): value if isinstance(value, bytes) else value.encode() for name, value in fields.items()}
    return Entry(EntryId(number, 0), told)


def rows_of(source: FrameSource, entries: list[Entry]) -> tuple[list[EntryRow], list[Rejected]]:
    return read_entries(source, entries, now=NOW)


def reason(source: FrameSource, one: Entry) -> str:
    rows, [rejected] = rows_of(source, [one])
    assert (rows, rejected.entry) == ([], one)
    return rejected.reason


def test_a_field_for_each_column_is_a_row() -> None:
    [row], rejected = rows_of(EVERY, [entry(**FIELDS)])

    assert (row.values, rejected) == (ROW, [])


def test_an_object_in_the_field_json_is_a_row() -> None:
    text = (
        '{"at": "2024-03-10T11:00:00", "text": "Łódź \\"x\\"", "whole": 9007199254740993, "small": -128, "share": 0.1, '
        '"flag": true, "day": "2024-02-29", "price": "1.50", "words": ["a", null], "more": {}}'
    )

    [row], rejected = rows_of(EVERY, [entry(json=text)])

    assert (row.values, rejected) == (ROW, [])


def test_null_is_a_value_of_every_column_but_a_text_whose_null_only_json_can_tell() -> None:
    nulls = {name: "null" for name in FIELDS if name not in ("at", "text")}

    [fields], _ = rows_of(EVERY, [entry(**{**FIELDS, **nulls, "text": "null"})])
    [given], _ = rows_of(VISITS, [entry(json='{"at": "2024-03-10", "visitors": null}')])

    assert fields.values[1:] == ("null", *[None] * 7)
    assert given.values[1] is None


@pytest.mark.parametrize(
    ("text", "told"), [("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf"), ("1e3", "1000.0")]
)
def test_floats_are_written_as_in_json_or_spelled_out(text: str, told: str) -> None:
    [row], _ = rows_of(EVERY, [entry(**{**FIELDS, "share": text})])

    assert repr(row.values[4]) == told


def test_fields_that_are_not_declared_are_left_out_whatever_they_hold() -> None:
    [row], _ = rows_of(VISITS, [entry(at="2024-03-10", visitors="3", more=b"\xff", json="{}")])

    assert row.values == (datetime(2024, 3, 10, tzinfo=UTC), 3)


def test_a_column_that_is_called_json_is_a_column() -> None:
    source = FrameSource("raw", columns={"json": DType.TIMESTAMP}, event_timestamp="json")

    [row], _ = rows_of(source, [entry(json="2024-03-10")])

    assert row.values == (datetime(2024, 3, 10, tzinfo=UTC),)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"whole": "1.5"}, "'whole' is 1.5, expected int64"),
        ({"whole": "many"}, "'whole' is 'many', expected int64"),
        ({"whole": str(2**63)}, "'whole' is 9223372036854775808, expected int64"),
        ({"whole": "9" * 5_000}, "'whole' is '999"),
        ({"small": "128"}, "'small' is 128, expected int8"),
        ({"whole": "true"}, "'whole' is True, expected int64"),
        ({"flag": "1"}, "'flag' is 1, expected bool"),
        ({"share": "nan"}, "'share' is 'nan', expected float64"),
        ({"share": "1" + "0" * 400}, "'share' is 1000"),
        ({"share": "9007199254740993"}, "'share' is 9007199254740993, expected float64, which has no such whole"),
        ({"share": "1e400"}, "'share' is '1e400', expected float64"),
        ({"day": "2023-02-29"}, "'day' is '2023-02-29', expected date"),
        ({"price": "1.505"}, "'price' is '1.505', expected decimal"),
        ({"words": '["a", 1]'}, "'words' is ['a', 1], expected list"),
        ({"words": "[" * 100_000}, "'words' is '[[["),
        ({"at": "yesterday"}, "'at' is 'yesterday', expected timestamp"),
        ({"at": "null"}, "'at' is null: a row without it could never be a value"),
        ({"text": b"\xff"}, "field 'text' is not text in UTF-8"),
    ],
)
def test_a_field_of_another_type_is_told(changes: dict[str, str | bytes], told: str) -> None:
    assert told in reason(EVERY, entry(**{**FIELDS, **changes}))


def test_a_missing_field_is_told_with_those_that_are_there() -> None:
    assert reason(VISITS, entry(at="2024-03-10", visitor="3")) == (
        "'visitors' (int64) is missing. Did you mean 'visitor'?"
    )
    assert reason(VISITS, entry(more="3")) == "'at' (timestamp) is missing. There is: more."


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "field 'json' is not JSON"),
        ("[1]", "field 'json' holds [1], expected an object"),
        ("null", "field 'json' holds None, expected an object"),
        ('{"at": "2024-03-10"}', "'visitors' (int64) is missing."),
        ('{"at": "2024-03-10", "visitors": "3"}', "'visitors' is '3', expected int64"),
        ('{"at": null, "visitors": 3}', "'at' is null"),
        ('{"at": "2024-03-10", "visitors": NaN}', "NaN is not JSON; write it as a text"),
        ('{"at": "2024-03-10", "visitors": 3, "visitors": 4}', "a name is there twice"),
        ('{"at": "2024-03-10", "visitors": ' + "[" * 100_000, "it is nested too deep"),
        ('{"at": "\\ud800", "visitors": 3}', "expected timestamp"),
        (b"\xff", "field 'json' is not text in UTF-8"),
    ],
)
def test_json_that_is_no_row_is_told(text: str | bytes, told: str) -> None:
    assert told in reason(VISITS, entry(json=text))


def test_what_is_no_row_does_not_keep_others_from_being_rows() -> None:
    texts = enumerate(("1", "x", "3", ""), 1)
    entries = [numbered(number, {"at": "2024-03-10", "visitors": text}) for number, text in texts]

    rows, rejected = rows_of(VISITS, entries)

    assert [row.entry.id.milliseconds for row in rows] == [1, 3]
    assert [one.entry.id.milliseconds for one in rejected] == [2, 4]


def test_the_table_has_the_columns_of_the_source_and_nothing_is_lost() -> None:
    rows, _ = rows_of(EVERY, [entry(**FIELDS), entry(**{**FIELDS, "share": "NaN", "words": "null"})])

    table = rows_table(EVERY, rows)

    assert table.schema.field("price").type == pa.decimal128(10, 2)
    assert tuple(table.slice(0, 1).to_pylist()[0].values()) == ROW
    assert isnan(table["share"][1].as_py())
    assert rows_table(EVERY, []).schema == table.schema


ARRIVING = FrameSource(
    "arriving", columns={"at": DType.TIMESTAMP, "seen": DType.TIMESTAMP}, event_timestamp="at", known_at="seen"
)


def test_a_row_that_does_not_say_when_it_was_known_is_known_now() -> None:
    [fields, given], _ = rows_of(ARRIVING, [entry(at="2024-03-10"), entry(json='{"at": "2024-03-10"}')])

    assert fields.values == given.values == (datetime(2024, 3, 10, tzinfo=UTC), NOW)


def test_a_row_that_says_when_it_was_known_is_believed_unless_that_is_yet_to_come() -> None:
    [row], _ = rows_of(ARRIVING, [entry(at="2024-03-10", seen="2024-03-10T01:00:00")])

    assert row.values[1] == datetime(2024, 3, 10, 1, tzinfo=UTC)
    assert "leave it out" in reason(ARRIVING, entry(at="2024-03-10", seen="2024-03-11T00:00:00.000001"))
    assert "'seen' is null" in reason(ARRIVING, entry(at="2024-03-10", seen="null"))


def test_a_day_says_too_little_to_be_given_to_a_row_as_the_time_it_was_known_at() -> None:
    daily = FrameSource("daily", columns={"at": DType.DATE, "seen": DType.DATE}, event_timestamp="at", known_at="seen")

    assert "'seen' (date) is missing" in reason(daily, entry(at="2024-03-10"))


@pytest.mark.parametrize("moment", ["1677-12-31T23:59:59.999999", "2262-01-01T00:00:00", "9999-12-31T12:00:00"])
def test_a_row_that_happened_when_tables_have_no_days_is_told(moment: str) -> None:
    assert reason(VISITS, entry(at=moment, visitors="3")).startswith("'at' is ")
    assert len(rows_of(VISITS, [entry(at="1678-01-01", visitors="3"), entry(at="2261-12-31", visitors="3")])[0]) == 2
