"""Arrow streams from clients: how many rows, bytes and columns they may have, whatever they say of themselves."""

from __future__ import annotations

import io
import struct
from typing import Any

import pyarrow as pa
import pytest

from featurestore.errors import InvalidRequest, RequestTooLarge
from featurestore.service.arrow_bodies import MOST_COLUMNS, MOST_LEVELS, StreamBounds, read_stream
from featurestore.service.arrow_messages import MessageKind, NotAMessage, message_sizes
from tests.damaged_streams import SPINES, damaged_tables, stream

BOUNDS = StreamBounds(rows=10_000, bytes=1_000_000)
UNION = pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])])
KEPT = pa.table({"x": [1, 2, 3], "word": pa.array(["a", None, "bc"])})


def read(content: bytes) -> pa.Table:
    return read_stream(io.BytesIO(content), BOUNDS)


def one(values: Any, kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"x": values if isinstance(values, pa.Array) else pa.array(values, kind)})


def nested(levels: int) -> pa.DataType:
    kind = pa.int8()
    for _ in range(levels):
        kind = pa.list_(kind)
    return kind


def views(count: int, length: int) -> pa.Array:
    """So many texts that all show the same bytes."""
    view = struct.pack("<i4sii", length, b"aaaa", 0, 0) * count
    return pa.Array.from_buffers(pa.string_view(), count, [None, pa.py_buffer(view), pa.py_buffer(b"a" * length)])


def deltas(count: int) -> bytes:
    """A dictionary that grows by a value with each batch."""
    kind = pa.dictionary(pa.int32(), pa.string())
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with pa.ipc.new_stream(sink, pa.schema([("x", kind)]), options=options) as writer:
        for number in range(count):
            words = pa.array([f"{word:0>1000}" for word in range(number + 1)])
            writer.write_batch(
                pa.record_batch({"x": pa.DictionaryArray.from_arrays(pa.array([number], pa.int32()), words)})
            )
    return sink.getvalue()


@pytest.mark.parametrize("name", SPINES)
@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_what_is_within_bounds_is_what_was_sent(name: str, compression: str | None) -> None:
    found = read(stream(SPINES[name], compression=compression))

    assert found.schema == SPINES[name].schema
    assert found.equals(SPINES[name])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (lambda: stream(one(pa.nulls(2_000_000_000))), "2,000,000,000 rows: 10,000 is the most"),
        (lambda: stream(one([0] * 12_000), rows=6_000), "12,000 rows: 10,000 is the most"),
        (lambda: stream(one([0] * 60_000, pa.int8()), compression="zstd"), "60,000 rows: 10,000 is the most"),
        (lambda: stream(one(["a" * 2_000_000]), compression="zstd"), "bytes once decompressed: 1,000,000 is the most"),
        (lambda: stream(one(["a" * 600_000] * 2), compression="lz4", rows=1), "bytes once decompressed"),
        (lambda: stream(one(["a" * 2_000_000])), "bytes once decompressed"),
        (
            lambda: stream(one(pa.DictionaryArray.from_arrays(pa.array([0] * 1_500), pa.array(["k" * 1_000])))),
            "1,512,000 bytes once its dictionaries and nulls are written out: 1,000,000 is the most",
        ),
        (lambda: stream(one(pa.DictionaryArray.from_arrays(pa.array([0] * 9), views(1, 200_000)))), "written out"),
        (lambda: stream(one(views(11, 100_000))), "1,100,000 bytes once its dictionaries"),
        (lambda: stream(one(pa.FixedSizeListArray.from_arrays(pa.nulls(10**9), 10**9))), "8,000,000,000 bytes once"),
        (lambda: stream(pa.table({str(one): pa.nulls(9_000) for one in range(20)})), "1,440,000 bytes once"),
        (lambda: deltas(50), "bytes once decompressed"),
        (lambda: stream(pa.table({str(one): [1] for one in range(MOST_COLUMNS + 1)})), "in more than 2,000 columns"),
        (lambda: stream(one([[{str(one): 1 for one in range(MOST_COLUMNS)}]])), "in more than 2,000 columns"),
    ],
)
def test_what_is_beyond_a_bound_is_refused_with_it(content: Any, told: str) -> None:
    with pytest.raises(RequestTooLarge, match=told):
        read(content())


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (one([None], nested(MOST_LEVELS + 1)), f"nested too deeply: {MOST_LEVELS} levels is the most"),
        (one([None], nested(60)), f"nested too deeply: {MOST_LEVELS} levels is the most"),
        (one([[1]], pa.list_view(pa.int8())), "'x' is list_view<item: int8>, which is not taken here: convert it"),
        (
            one(pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])])),
            "dense_union",
        ),
        (one([1], pa.run_end_encoded(pa.int32(), pa.int8())), "'x' is run_end_encoded"),
        (one([b""], pa.binary(0)), r"'x' is fixed_size_binary\[0\]"),
        (one([[]], pa.list_(pa.int8(), 0)), r"'x' is fixed_size_list<item: int8>\[0\]"),
        (one([b"a" * 16], pa.uuid()), r"'x' is an extension type, arrow\.uuid"),
        (one(pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([[1]]))), "'x' is a dictionary of list"),
        (one([[[1]]], pa.list_(pa.list_view(pa.int8()))), "'x' is list_view"),
    ],
)
def test_a_type_that_is_not_taken_is_refused_by_name(table: pa.Table, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        read(stream(table))


def test_a_stream_may_be_as_deep_and_as_wide_as_it_may_be() -> None:
    deep = one([None], nested(MOST_LEVELS - 1))
    wide = pa.table({str(number): [number] for number in range(MOST_COLUMNS)})

    assert read(stream(deep)).equals(deep)
    assert read(stream(wide)).equals(wide)


def test_a_dictionary_of_dictionaries_is_refused() -> None:
    inner = pa.DictionaryArray.from_arrays(pa.array([0]), pa.array(["a"]))

    with pytest.raises(InvalidRequest, match=r"not an Arrow IPC stream|a dictionary of dictionary"):
        read(stream(one(pa.DictionaryArray.from_arrays(pa.array([0]), inner))))


@pytest.mark.parametrize("table", [KEPT, one(pa.array(["a", "b", "a"]).dictionary_encode())])
def test_many_batches_cost_the_memory_of_their_rows(table: pa.Table) -> None:
    content = stream(pa.concat_tables([table] * 1_500), rows=1)
    before = pa.total_allocated_bytes()

    found = read(content)

    assert found.num_rows == 4_500
    assert found.column(0).num_chunks <= 5
    assert pa.total_allocated_bytes() - before < 10 * found.nbytes < len(content)


def test_batches_with_dictionaries_of_their_own_are_one_column() -> None:
    words = [pa.array([word]).dictionary_encode() for word in "abca"]
    table = pa.table({"x": pa.chunked_array(words)})

    assert read(stream(table))["x"].to_pylist() == ["a", "b", "c", "a"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x" * 1_000,
        b"\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\0\0\0\0",
        struct.pack("<Ii", 0xFFFFFFFF, -5),
        struct.pack("<Ii", 0xFFFFFFFF, 2**31 - 1),
        stream(KEPT)[:50],
        stream(KEPT)[:-20],
        stream(KEPT)[: len(stream(KEPT)) // 2],
        stream(KEPT) [200:],
    ],
    ids=len,
)  # fmt: skip
def test_what_is_no_stream_is_told(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match="The request's body is not an Arrow IPC stream"):
        read(content)


def test_headers_tell_rows_and_bytes_without_what_they_head() -> None:
    table = one(pa.array(["abc"] * 1_000))
    plain, compressed = stream(table), stream(table, compression="zstd")

    sizes = [list(message_sizes(io.BytesIO(content), len(content))) for content in (plain, compressed)]

    assert [size.kind for size in sizes[0]] == [MessageKind.SCHEMA, MessageKind.RECORD_BATCH]
    assert [(size.rows, size.bytes) for size in sizes[0]] == [(0, 0), (1_000, 1_001 * 4 + 3_000)]
    assert sizes[0] == sizes[1]


def test_headers_of_damaged_streams_are_read_or_refused() -> None:
    for content in damaged_tables(SPINES.values(), 1, 1_000):
        try:
            sizes = list(message_sizes(io.BytesIO(content), len(content)))
        except NotAMessage:
            continue
        assert sizes[0].kind is MessageKind.SCHEMA
