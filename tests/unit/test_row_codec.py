from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.adapters.row_codec import TIMES, CodecCache, EncodedRows, RowCodec
from featurestore.adapters.stored_moments import decode_moment, encode_moment
from featurestore.errors import EntityRowsError, StoreCorrupted
from featurestore.graph.arrow_types import arrow_type
from featurestore.graph.resolved import Column
from featurestore.ports.online_store import OnlineTable
from featurestore.spec import dtypes
from featurestore.spec.dtypes import DType, Embedding
from tests.online_rows import NOON, Row, after, rows_found, rows_of
from tests.property.every_type import TYPES, exact, values

MOMENTS = values(DType.TIMESTAMP)
TEXTS = values(DType.STRING)
EVERY_TYPE = OnlineTable(
    "everything@1",
    tuple(Column(f"k_{d.value}", d) for d in TYPES if d.can_be_key),
    tuple(Column(d.value, d) for d in TYPES),
)
MANY_KINDS = OnlineTable(
    "kinds@1",
    (Column("id", DType.STRING),),
    tuple(Column(d.value, d) for d in (DType.INT64, DType.FLOAT64, DType.STRING, DType.DATE, DType.BOOL)),
)
TEXT_KEY = OnlineTable("text@1", (Column("id", DType.STRING),), (Column("x", DType.FLOAT64),))


def table_keyed_by(*dtypes: DType) -> OnlineTable:
    return OnlineTable("t@1", tuple(Column(f"k{i}", dtype) for i, dtype in enumerate(dtypes)), ())


def pairs(found: EncodedRows) -> list[tuple[bytes, bytes]]:
    return list(zip(found.keys, found.values, strict=True))


def decoded(codec: RowCodec, row: bytes) -> tuple[object, ...]:
    [found] = rows_found(codec.decode_rows(None, [row]))
    assert found is not None
    return found.values


def encoded(table: OnlineTable, *rows: Row) -> list[tuple[bytes, bytes]]:
    codec = RowCodec(table)
    return [pair for batch in rows_of(table, rows) for pair in pairs(codec.encode_rows(batch, 1))]


@given(
    st.tuples(*[values(column.dtype) for column in EVERY_TYPE.keys]),
    MOMENTS,
    MOMENTS,
    st.tuples(*[st.none() | values(column.dtype) for column in EVERY_TYPE.values]),
)
def test_every_key_and_row_comes_back_exactly(key: Row, event: datetime, known: datetime, row_values: Row) -> None:
    codec = RowCodec(EVERY_TYPE)

    [(key_bytes, row_bytes)] = encoded(EVERY_TYPE, (*key, event, known, *row_values))
    [row] = rows_found(codec.decode_rows(None, [row_bytes]))

    assert row is not None
    assert codec.encode_key(key) == key_bytes
    assert codec.decode_key(key_bytes) == key
    assert (row.event_timestamp, row.known_at) == (event, known)
    assert [exact(value) for value in row.values] == [exact(value) for value in row_values]


@given(st.tuples(MOMENTS, MOMENTS), st.tuples(MOMENTS, MOMENTS))
def test_the_leading_bytes_of_rows_compare_as_their_times(
    first: tuple[datetime, datetime], second: tuple[datetime, datetime]
) -> None:
    [(_, one), (_, other)] = encoded(TEXT_KEY, ("a", *first, 1.0), ("a", *second, 2.0))

    assert (one[TIMES] < other[TIMES]) == (first < second)
    assert (one[TIMES] == other[TIMES]) == (first == second)


@given(MOMENTS)
def test_a_moment_comes_back_exactly(moment: datetime) -> None:
    assert decode_moment(encode_moment(moment)) == moment


@given(st.tuples(TEXTS, TEXTS), st.tuples(TEXTS, TEXTS))
def test_different_keys_have_different_bytes(first: Row, second: Row) -> None:
    codec = RowCodec(table_keyed_by(DType.STRING, DType.STRING))

    assert (codec.encode_key(first) == codec.encode_key(second)) == (first == second)


def test_an_integer_and_its_text_are_different_keys() -> None:
    as_integer = RowCodec(table_keyed_by(DType.INT64)).encode_key((1,))
    as_text = RowCodec(table_keyed_by(DType.STRING)).encode_key(("1",))

    assert as_integer != as_text


def test_a_moment_in_another_zone_or_without_one_is_the_same_key() -> None:
    codec = RowCodec(table_keyed_by(DType.TIMESTAMP))
    moments = [
        datetime(2026, 3, 1, 12, tzinfo=UTC),
        datetime(2026, 3, 1, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(2026, 3, 1, 12),  # noqa: DTZ001 - naive on purpose: it is read as UTC
    ]

    keys = {codec.encode_key((moment,)) for moment in moments}

    assert len(keys) == 1


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (DType.INT64, "1"),
        (DType.INT64, True),
        (DType.INT64, 1.0),
        (DType.INT64, None),
        (DType.INT64, 2**64),
        (DType.BOOL, 1),
        (DType.STRING, 1),
        (DType.STRING, b"a"),
        (DType.STRING, "\ud800"),
        (DType.DATE, NOON),
        (DType.TIMESTAMP, date(2026, 3, 1)),
    ],
    ids=repr,
)
def test_a_key_value_of_another_type_or_size_is_refused(dtype: DType, value: object) -> None:
    with pytest.raises(EntityRowsError, match="t@1"):
        RowCodec(table_keyed_by(dtype)).encode_key((value,))


def test_a_key_with_too_few_values_is_refused() -> None:
    codec = RowCodec(table_keyed_by(DType.STRING, DType.INT64))

    with pytest.raises(EntityRowsError, match="one value for each of k0, k1"):
        codec.encode_key(("a",))


@pytest.mark.parametrize(
    "values",
    [
        (Column("y", DType.FLOAT64),),
        (Column("x", DType.FLOAT32),),
        (Column("x", DType.FLOAT64), Column("y", DType.FLOAT64)),
        (),
    ],
    ids=["renamed", "retyped", "added", "removed"],
)
def test_a_row_written_with_other_columns_is_corrupted_not_garbage(values: tuple[Column, ...]) -> None:
    [(_, row)] = encoded(TEXT_KEY, ("a", NOON, NOON, 1.0))
    reader = RowCodec(OnlineTable(TEXT_KEY.name, TEXT_KEY.keys, values))

    with pytest.raises(StoreCorrupted, match="Expected a whole row"):
        reader.decode_rows(None, [row])


def test_a_cut_or_overlong_row_is_corrupted() -> None:
    codec = RowCodec(TEXT_KEY)
    [(_, row)] = encoded(TEXT_KEY, ("a", NOON, NOON, 1.0))

    for damaged in [row[:length] for length in range(len(row))] + [row + b"\x00"]:
        with pytest.raises(StoreCorrupted):
            codec.decode_rows(None, [None, damaged])


@pytest.mark.parametrize(
    "row_values", [(7, 0.1, "né", date(2024, 2, 29), True), (None, 0.0, "", None, False), (None,) * 5]
)
def test_a_row_with_one_bit_that_is_another_is_corrupted(row_values: Row) -> None:
    """Null bits, times, numbers, texts and the check itself: whatever bit it is."""
    codec = RowCodec(MANY_KINDS)
    [(_, row)] = encoded(MANY_KINDS, ("a", NOON, NOON, *row_values))

    for place in range(8 * len(row)):
        damaged = bytearray(row)
        damaged[place // 8] ^= 1 << (place % 8)
        with pytest.raises(StoreCorrupted):
            codec.decode_rows(None, [bytes(damaged)])


def test_bytes_that_are_no_key_or_moment_are_corrupted() -> None:
    with pytest.raises(StoreCorrupted, match="Expected a key"):
        RowCodec(TEXT_KEY).decode_key(b"\x91\x01")
    with pytest.raises(StoreCorrupted, match="Expected a stored moment"):
        decode_moment(b"soon")


def test_a_batch_is_read_by_column_name_and_other_spellings_of_a_type_are_taken() -> None:
    codec = RowCodec(TEXT_KEY)
    batch = pa.RecordBatch.from_pydict(
        {
            "x": pa.array([1.0]),
            "known_at": pa.array([after(1)], pa.timestamp("us", "Asia/Kolkata")),
            "event_timestamp": pa.array([NOON.replace(tzinfo=None)], pa.timestamp("ms")),
            "id": pa.array(["a"], pa.large_string()),
        }
    )

    assert pairs(codec.encode_rows(batch, 1)) == encoded(TEXT_KEY, ("a", NOON, after(1), 1.0))


def test_a_batch_slice_encodes_its_own_rows_only() -> None:
    codec = RowCodec(TEXT_KEY)
    rows = [(str(number), NOON, NOON, float(number)) for number in range(10)]
    [batch] = rows_of(TEXT_KEY, rows)

    assert pairs(codec.encode_rows(batch.slice(3, 2), 1)) == encoded(TEXT_KEY, *rows[3:5])


def test_embeddings_take_four_bytes_an_item_and_a_slice_has_its_own() -> None:
    table = OnlineTable("e@1", (Column("id", DType.STRING),), (Column("vector", Embedding(100)),))
    rows = [(str(n), NOON, NOON, None if n % 3 == 0 else [float(n)] * 100) for n in range(10)]
    [batch] = rows_of(table, rows)

    found = pairs(RowCodec(table).encode_rows(batch.slice(4, 4), 1))

    assert found == encoded(table, *rows[4:8])
    assert [decoded(RowCodec(table), row)[0] for _, row in found] == [row[3] for row in rows[4:8]]
    assert len(found[0][1]) == 24 + 1 + 400  # the header, a byte for the nulls, the items


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@settings(max_examples=10)
@given(data=st.data())
def test_a_slice_of_any_type_encodes_its_own_values_only(dtype: DType, data: st.DataObject) -> None:
    table = OnlineTable("s@1", (Column("id", DType.INT64),), (Column("x", dtype),))
    found = data.draw(st.lists(st.none() | values(dtype), min_size=5, max_size=5))
    rows = [(number, NOON, NOON, value) for number, value in enumerate(found)]
    [batch] = rows_of(table, rows)

    assert pairs(RowCodec(table).encode_rows(batch.slice(2, 2), 1)) == encoded(table, *rows[2:4])


FAR_DATE, FAR_MOMENT = 2**31 - 1, 2**62


@pytest.mark.parametrize(
    ("dtype", "near", "far"),
    [
        (DType.DATE, date(9999, 12, 31), pa.array([FAR_DATE], pa.int32()).cast(pa.date32())),
        (DType.TIMESTAMP, NOON, pa.array([FAR_MOMENT], pa.int64()).cast(arrow_type(DType.TIMESTAMP))),
        (
            dtypes.List(DType.DATE),
            [None, date(1, 1, 1)],
            pa.array([[FAR_DATE]], pa.list_(pa.int32())).cast(arrow_type(dtypes.List(DType.DATE))),
        ),
    ],
    ids=["date", "timestamp", "list"],
)
def test_a_row_with_a_value_that_nobody_can_be_told_hides_no_other(dtype: DType, near: object, far: pa.Array) -> None:
    table = OnlineTable("f@1", (Column("id", DType.INT64),), (Column("n", DType.INT64), Column("x", dtype)))
    [batch] = rows_of(table, [(1, NOON, NOON, 5, near), (2, NOON, NOON, 6, near), (3, NOON, NOON, None, None)])
    codec = RowCodec(table)
    good = codec.encode_rows(batch, 1).values
    position = batch.schema.get_field_index("x")
    bad = codec.encode_rows(batch.slice(1, 1).set_column(position, batch.schema.field("x"), far), 1).values

    found = codec.decode_rows(None, [good[0], *bad, None, good[2]])

    assert found.unreadable == {1: frozenset({1})}
    assert [list(column) for column in found.values] == [[5, 6, None, None], [near, None, None, None]]
    assert codec.decode_rows(None, good).unreadable == {}


def test_an_embedding_of_another_length_is_corrupted() -> None:
    three, four = (OnlineTable("e@1", (), (Column("vector", Embedding(size)),)) for size in (3, 4))
    [(_, row)] = encoded(four, (NOON, NOON, [1.0] * 4))
    header = encoded(three, (NOON, NOON, [1.0] * 3))[0][1][:24]

    with pytest.raises(StoreCorrupted, match="Expected a whole row"):
        RowCodec(three).decode_rows(None, [header + row[24:]])


def test_the_payload_of_a_float_survives_bit_by_bit() -> None:
    payload = np.array([0x7FF8_0000_0000_1234], dtype="uint64").view("float64")
    batch = next(rows_of(TEXT_KEY, [("a", NOON, NOON, 0.0)])).set_column(3, "x", pa.array(payload))
    codec = RowCodec(TEXT_KEY)

    [row] = codec.encode_rows(batch, 1).values

    assert struct.pack(">d", decoded(codec, row)[0]) == bytes.fromhex("7ff8000000001234")


def test_the_cache_gives_each_table_its_own_codec_even_under_one_name() -> None:
    cache = CodecCache()
    renamed = OnlineTable(TEXT_KEY.name, TEXT_KEY.keys, (Column("y", DType.FLOAT64),))

    assert cache.of(TEXT_KEY) is cache.of(OnlineTable(TEXT_KEY.name, TEXT_KEY.keys, TEXT_KEY.values))
    assert cache.of(renamed).identity != cache.of(TEXT_KEY).identity
