"""What a batch engine promises: columns without running, rows in order, files that add up, and errors without SQL."""

from __future__ import annotations

import gc
import math
import os
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot import exp, parse_one

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.errors import QueryError
from featurestore.ports.engine import DataFile, Engine, ParquetFiles, Query, Relation

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
MOMENT = pa.timestamp("us", tz="UTC")
FLIGHTS = pa.table(
    {
        "tail": ["a", "b", "c"],
        "at": pa.array([NOON, NOON, None], MOMENT),
        "delay": pa.array([0.5, None, -1.5], pa.float32()),
    }
)


@pytest.fixture(params=[DuckDBEngine])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine = request.param(memory_limit="500MB", threads=2, spill_folder=tmp_path / "spill")
    yield engine
    engine.close()


def query(sql: str, **relations: Relation) -> Query:
    tree = parse_one(sql, dialect="duckdb")
    assert isinstance(tree, exp.Query)
    return Query(tree, relations)


def files(folder: Path, *tables: pa.Table) -> ParquetFiles:
    """The tables as one relation, a file each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"{number}.parquet")
    return ParquetFiles(tuple(str(file) for file in sorted(folder.iterdir())), tables[0].schema)


def answer(engine: Engine, sql: str, **relations: Relation) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = engine.stream(query(sql, **relations)).read_all().to_pylist()
    return rows


def test_the_columns_are_told_without_running(engine: Engine) -> None:
    asked = query("SELECT tail, at, delay, error('it ran') AS ran, 1 + count(*) OVER () AS n FROM f", f=FLIGHTS)

    schema = engine.schema(asked)

    assert schema.names == ["tail", "at", "delay", "ran", "n"]
    assert [schema.field(name).type for name in ("tail", "at", "delay", "n")] == [
        pa.string(),
        MOMENT,
        pa.float32(),
        pa.int64(),
    ]


@pytest.mark.parametrize("kind", ["table", "files", "no files", "empty table"])
def test_a_relation_is_a_table_or_files_and_may_be_empty(engine: Engine, tmp_path: Path, kind: str) -> None:
    relation = {
        "table": FLIGHTS,
        "files": files(tmp_path / "f", FLIGHTS[:1], FLIGHTS[1:]),
        "no files": ParquetFiles((), FLIGHTS.schema),
        "empty table": FLIGHTS[:0],
    }[kind]

    found = engine.stream(query("SELECT * FROM flights ORDER BY tail", flights=relation)).read_all()

    assert found.schema.types == FLIGHTS.schema.types
    assert found.to_pylist() == (FLIGHTS.to_pylist() if kind in {"table", "files"} else [])


def test_rows_come_in_the_querys_order_and_in_batches(engine: Engine) -> None:
    reader = engine.stream(query("SELECT i FROM range(1000000) AS r(i) ORDER BY i DESC"))

    batches = list(reader)

    assert len(batches) > 1
    assert pa.Table.from_batches(batches)["i"].to_pylist() == list(range(999_999, -1, -1))


def test_a_large_result_is_not_held_whole(engine: Engine) -> None:
    reader = engine.stream(query("SELECT i, repeat('x', 1000) AS text FROM range(2000000) AS r(i)"))

    rows = sum(batch.num_rows for batch in reader)

    assert rows == 2_000_000


def test_a_query_is_not_changed_by_running_it(engine: Engine, tmp_path: Path) -> None:
    asked = query("SELECT count(*) AS n FROM f", f=files(tmp_path / "f", FLIGHTS))
    before = asked.tree.sql()

    answers = [engine.stream(asked).read_all()["n"].to_pylist() for _ in range(2)]

    assert answers == [[3], [3]]
    assert asked.tree.sql() == before


DAYS = query("SELECT i, 'day ' || (i % 3)::TEXT AS day FROM range(3000) AS r(i) ORDER BY i DESC")


def test_rows_are_written_in_a_folder_for_each_value(engine: Engine, tmp_path: Path) -> None:
    written = engine.write(DAYS, str(tmp_path), partition_by="day")

    assert sorted((file.partition, file.rows) for file in written) == [(f"day {day}", 1000) for day in range(3)]
    for file in written:
        path = tmp_path / file.path
        assert path.stat().st_size == file.size
        assert pq.ParquetFile(path).read().to_pydict() == {"i": list(range(2997 + int(file.partition[-1]), -1, -3))}
    assert set(tmp_path.rglob("*.parquet")) == {tmp_path / file.path for file in written}


def test_a_folder_can_hold_the_files_of_two_writes(engine: Engine, tmp_path: Path) -> None:
    first = engine.write(DAYS, str(tmp_path / "new" / "folder"), partition_by="day")
    second = engine.write(DAYS, str(tmp_path / "new" / "folder"), partition_by="day")

    paths = {file.path for file in (*first, *second)}
    assert len(paths) == 6
    assert all((tmp_path / "new" / "folder" / path).is_file() for path in paths)


def test_writing_no_rows_writes_no_files(engine: Engine, tmp_path: Path) -> None:
    nothing = query("SELECT * FROM f", f=ParquetFiles((), pa.schema([("i", pa.int64()), ("day", pa.string())])))

    assert engine.write(nothing, str(tmp_path), partition_by="day") == ()
    assert list(tmp_path.rglob("*.parquet")) == []


@pytest.mark.parametrize("column", ["day", "Day", "the day", 'a"b', "Jour_é"])
def test_any_column_can_be_the_one_that_parts_the_files(engine: Engine, tmp_path: Path, column: str) -> None:
    table = pa.table({"i": [1], column: ["2024-03-10"]})

    (file,) = engine.write(query("SELECT * FROM t", t=table), str(tmp_path), partition_by=column)

    assert (file.rows, file.partition) == (1, "2024-03-10")
    assert pq.ParquetFile(tmp_path / file.path).schema_arrow.names == ["i"]


@pytest.mark.parametrize("name", ["delays@0123abcd", 'a"b', "a'b", "a b", "été_東京", "select", "Flights", "a.b", "1"])
@pytest.mark.parametrize("kind", ["table", "files", "no files"])
def test_a_relation_can_have_any_name(engine: Engine, tmp_path: Path, name: str, kind: str) -> None:
    relations: dict[str, Relation] = {
        "table": FLIGHTS,
        "files": files(tmp_path / "f", FLIGHTS),
        "no files": ParquetFiles((), FLIGHTS.schema),
    }
    table = exp.to_identifier(name, quoted=True)
    tree = exp.select(exp.column("tail", table=table.copy())).from_(exp.Table(this=table))

    found = engine.stream(Query(tree, {name: relations[kind]})).read_all()

    assert found["tail"].to_pylist() == ([] if kind == "no files" else ["a", "b", "c"])


@pytest.mark.parametrize("name", ["it's", "50%", "[1]", "a*b?", "day=2024-01-01", 'q"uote', "東京 é"])
def test_files_can_lie_in_any_folder(engine: Engine, tmp_path: Path, name: str) -> None:
    written = engine.write(query("SELECT *, 'd' AS day FROM f", f=FLIGHTS), str(tmp_path / name), partition_by="day")
    relation = ParquetFiles(tuple(str(tmp_path / name / file.path) for file in written), FLIGHTS.schema)

    found = answer(engine, "SELECT * FROM f ORDER BY tail", f=relation)

    assert found == FLIGHTS.to_pylist()


@pytest.mark.parametrize("kind", ["table", "files"])
def test_a_cte_of_the_same_name_wins(engine: Engine, tmp_path: Path, kind: str) -> None:
    relation = FLIGHTS if kind == "table" else files(tmp_path / "f", FLIGHTS)

    found = answer(engine, "WITH flights AS (SELECT 'mine' AS tail) SELECT tail FROM flights", flights=relation)

    assert found == [{"tail": "mine"}]


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process in a time zone that is hours from UTC and not the same all year."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_away")
def test_time_is_in_utc_wherever_the_machine_is(tmp_path: Path) -> None:
    assert os.environ["TZ"] == "America/New_York"
    engine = DuckDBEngine(memory_limit="100MB", threads=1, spill_folder=tmp_path)
    sql = "SELECT at, at::DATE::TEXT AS day, '2024-07-01 00:00:00'::TIMESTAMPTZ AS read, hour(at) AS hour FROM f"

    found = engine.stream(query(sql, f=FLIGHTS[:1])).read_all()
    engine.close()

    assert found.schema.field("at").type == MOMENT
    assert found.to_pylist() == [
        {"at": NOON, "day": "2024-03-10", "read": datetime(2024, 7, 1, tzinfo=UTC), "hour": 12},
    ]


SECRET = "compiled_text"  # noqa: S105 - stands in every query below, and in no message


@pytest.mark.parametrize(
    ("sql", "parts"),
    [
        ("SELECT tail, random() AS x FROM f WHERE at < now()", ("random()", "now()")),
        ("WITH c AS (SELECT * FROM f USING SAMPLE 2) SELECT * FROM c ORDER BY current_date", 2),
        ('SELECT "current_date", \'now()\' AS x, "at" AS now /* random() */ FROM f', ()),
    ],
)
def test_what_has_another_value_each_time_is_told(engine: Engine, sql: str, parts: tuple[str, ...] | int) -> None:
    found = engine.volatile_parts(query(sql).tree)

    assert found == parts or len(found) == parts


def test_a_trial_says_why_a_query_fails_on_its_rows(engine: Engine) -> None:
    reason = engine.failure_of(query("SELECT tail::INT AS x FROM f", f=FLIGHTS), seconds=60)

    assert reason == "Conversion Error: Could not convert string 'a' to INT32 when casting from source column tail"
    assert engine.failure_of(query("SELECT tail, delay FROM f", f=FLIGHTS), seconds=60) is None


def test_a_trial_that_does_not_end_in_time_says_nothing(engine: Engine) -> None:
    endless = "SELECT sum(a.range * b.range) AS x FROM range(1000000000) AS a, range(1000000000) AS b"

    assert engine.failure_of(query(endless), seconds=0.2) is None
    assert answer(engine, "SELECT count(*) AS n FROM f", f=FLIGHTS) == [{"n": 3}]


REFUSED = {
    "no such column": f"SELECT missing, '{SECRET}' AS x FROM f",
    "no such table": f"SELECT '{SECRET}' AS x FROM nowhere",
    "no such function": f"SELECT no_such_function(tail), '{SECRET}' AS x FROM f",
    "types": f"SELECT tail + at AS y, '{SECRET}' AS x FROM f",
    "while running": f"SELECT tail::INT AS y, '{SECRET}' AS x FROM f",
    "after a while": f"SELECT CASE WHEN i < 900000 THEN i ELSE error('late') END AS day, '{SECRET}' AS x FROM range(1000000) AS r(i)",  # noqa: E501
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_a_refused_query_says_why_without_the_compiled_text(engine: Engine, reason: str) -> None:
    with pytest.raises(QueryError, match=r"^The engine refused a (query|value): ") as caught:
        answer(engine, REFUSED[reason], f=FLIGHTS)

    assert SECRET not in caught.value.message
    assert "LINE 1" not in caught.value.message


@pytest.mark.parametrize("reason", ["no such column", "no such table", "no such function", "types"])
def test_the_columns_of_a_refused_query_are_refused_alike(engine: Engine, reason: str) -> None:
    with pytest.raises(QueryError) as caught:
        engine.schema(query(REFUSED[reason], f=FLIGHTS))

    assert SECRET not in caught.value.message


@pytest.mark.parametrize("reason", REFUSED)
def test_a_write_that_is_refused_says_so(engine: Engine, tmp_path: Path, reason: str) -> None:
    with pytest.raises(QueryError) as caught:
        engine.write(query(REFUSED[reason], f=FLIGHTS), str(tmp_path), partition_by="x")

    assert SECRET not in caught.value.message


def test_a_file_that_went_away_is_a_refused_query(engine: Engine, tmp_path: Path) -> None:
    relation = files(tmp_path / "f", FLIGHTS)
    Path(relation.paths[0]).unlink()

    with pytest.raises(QueryError, match=r"0\.parquet"):
        answer(engine, "SELECT * FROM f", f=relation)


def test_the_engine_goes_on_after_a_refused_query(engine: Engine) -> None:
    with pytest.raises(QueryError):
        answer(engine, "SELECT missing FROM f", f=FLIGHTS)

    assert answer(engine, "SELECT count(*) AS n FROM f", f=FLIGHTS) == [{"n": 3}]


@pytest.mark.parametrize("batches", [0, 1])
def test_a_stream_that_is_closed_early_and_let_go_releases_what_it_held(engine: Engine, batches: int) -> None:
    table = pa.table({"i": pa.array(range(500_000), pa.int64())})
    held = weakref.ref(table)
    reader = engine.stream(query("SELECT * FROM t", t=table))
    for _ in range(batches):
        reader.read_next_batch()

    reader.close()
    del reader, table
    gc.collect()

    assert held() is None


def test_a_stream_keeps_what_it_needs_alive(engine: Engine) -> None:
    reader = engine.stream(query("SELECT i FROM t", t=pa.table({"i": list(range(200_000))})))
    gc.collect()

    assert reader.read_all()["i"].to_pylist() == list(range(200_000))


def test_several_streams_can_be_open_at_once_under_one_name(engine: Engine) -> None:
    readers = [engine.stream(query("SELECT i FROM t", t=pa.table({"i": [number] * 10}))) for number in range(5)]

    assert [reader.read_all()["i"].to_pylist() for reader in readers] == [[number] * 10 for number in range(5)]


def test_several_threads_may_ask_and_write_at_once(engine: Engine, tmp_path: Path) -> None:
    def work(number: int) -> tuple[list[dict[str, object]], tuple[DataFile, ...]]:
        table = pa.table({"i": [number] * 1000, "day": [str(number % 2)] * 1000})
        return (
            answer(engine, "SELECT sum(i)::BIGINT AS total FROM t", t=table),
            engine.write(query("SELECT * FROM t", t=table), str(tmp_path), partition_by="day"),
        )

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(work, range(32)))

    assert [rows for rows, _ in results] == [[{"total": number * 1000}] for number in range(32)]
    assert len({file.path for _, written in results for file in written}) == 32


SPECIAL = [-0.0, 0.0, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, None]


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()], ids=str)
@pytest.mark.parametrize("way", ["stream", "files", "newest"])
def test_every_float_comes_back_as_it_was(engine: Engine, tmp_path: Path, kind: pa.DataType, way: str) -> None:
    values = pa.array(SPECIAL, pa.float64()).cast(kind, safe=False)
    relation: Relation = pa.table({"i": list(range(len(SPECIAL))), "value": values, "day": ["d"] * len(SPECIAL)})
    if way == "files":
        written = engine.write(query("SELECT * FROM t", t=relation), str(tmp_path), partition_by="day")
        relation = ParquetFiles(tuple(str(tmp_path / file.path) for file in written), relation.schema.remove(2))
    newest = " QUALIFY row_number() OVER (PARTITION BY i ORDER BY value) = 1" if way == "newest" else ""

    found = engine.stream(query(f"SELECT i, value FROM t{newest} ORDER BY i", t=relation)).read_all()["value"]

    assert found.type == kind
    assert [repr(value) for value in found.to_pylist()] == [repr(value) for value in values.to_pylist()]


def test_lists_of_one_size_keep_it_in_files_which_do_not_know_it(engine: Engine, tmp_path: Path) -> None:
    vectors = pa.table(
        {
            "e": pa.array([[1.0, -0.0], None, [math.inf, 2.0]], pa.list_(pa.float32(), 2)),
            "n": pa.array([[1], [None], None], pa.list_(pa.int16(), 1)),
            "other": pa.array([[{"x": 1}]] * 3, pa.list_(pa.struct([("x", pa.int64())]), 1)),
            "free": [[1.0], [], None],
        }
    )

    found = engine.stream(query("SELECT * FROM vectors", vectors=files(tmp_path / "vectors", vectors))).read_all()

    assert found.schema.field("e").type == pa.list_(pa.float32(), 2)
    assert found.schema.field("n").type == pa.list_(pa.int16(), 1)
    assert repr(found.to_pylist()) == repr(vectors.to_pylist())


def test_files_whose_lists_have_another_size_than_was_said_are_refused(engine: Engine, tmp_path: Path) -> None:
    found = files(tmp_path / "vectors", pa.table({"e": pa.array([[1.0, 2.0]], pa.list_(pa.float32()))}))
    sized = ParquetFiles(found.paths, pa.schema([("e", pa.list_(pa.float32(), 3))]))

    with pytest.raises(QueryError, match="Cannot cast list with length 2 to array with length 3"):
        engine.stream(query("SELECT * FROM vectors", vectors=sized)).read_all()


def test_a_null_among_lists_of_one_size_is_written_so_that_others_can_read_it(engine: Engine, tmp_path: Path) -> None:
    vectors = pa.table(
        {
            "e": pa.array([[1.0, -0.0], None, [math.inf, 2.0]], pa.list_(pa.float32(), 2)),
            "n": [3, 1, 2],
            "day": ["d"] * 3,
        }
    )

    for sql in ("SELECT * FROM vectors ORDER BY n", "SELECT day, n, e AS e FROM vectors ORDER BY n"):
        [file] = engine.write(query(sql, vectors=vectors), str(tmp_path), partition_by="day")

        found = pq.read_table(tmp_path / file.path, partitioning=None)
        assert found["e"].to_pylist() == [None, [math.inf, 2.0], [1.0, -0.0]]
        assert found["n"].to_pylist() == [1, 2, 3]
