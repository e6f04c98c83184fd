"""What the offline store promises: whole days are replaced in one commit, and what a table was stays readable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot import exp, parse_one

from featurestore.adapters.delta_log import DeltaLog
from featurestore.adapters.delta_offline import DeltaOfflineStore
from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.errors import ConcurrentChange, DatasetGone, NotApplied
from featurestore.intervals import DAY, Interval
from featurestore.ports.engine import DataFile, Query
from featurestore.ports.offline_store import DAY_COLUMN, OfflineStore, Snapshot

TABLE = "delays@0123abcd"
STORED = pa.schema([("tail", pa.string()), ("at", pa.timestamp("us", tz="UTC")), ("delay", pa.float64())])
SCHEMA = STORED.append(pa.field(DAY_COLUMN, pa.string()))
FIRST = datetime(2024, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(memory_limit="200MB", threads=1, spill_folder=tmp_path / "spill")
    yield engine
    engine.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tables"


@pytest.fixture(params=[DeltaOfflineStore])
def store(request: pytest.FixtureRequest, folder: Path) -> OfflineStore:
    made: OfflineStore = request.param(folder)
    return made


@pytest.fixture
def created(store: OfflineStore) -> OfflineStore:
    store.create(TABLE, SCHEMA)
    return store


def days(first: int, last: int) -> Interval:
    """Of March 2024, `last` included."""
    return Interval(FIRST + (first - 1) * DAY, FIRST + last * DAY)


def rows_of(tails: dict[int, str]) -> pa.Table:
    """A row for each letter of the text of each day of March."""
    found = [(tail, FIRST + (day - 1) * DAY + 7 * HOUR, day) for day, text in tails.items() for tail in text]
    columns = {
        "tail": pa.array([tail for tail, _, _ in found], pa.string()),
        "at": pa.array([moment for _, moment, _ in found], STORED.field("at").type),
        "delay": pa.array([0.5 for _ in found], pa.float64()),
        DAY_COLUMN: pa.array([date(2024, 3, day).isoformat() for _, _, day in found], pa.string()),
    }
    return pa.table(columns)


def written(engine: DuckDBEngine, store: OfflineStore, tails: dict[int, str]) -> tuple[DataFile, ...]:
    tree = parse_one("SELECT * FROM found", dialect="duckdb")
    assert isinstance(tree, exp.Query)
    folder = store.staging_folder(TABLE)
    return engine.write(Query(tree, {"found": rows_of(tails)}), folder, partition_by=DAY_COLUMN)


def put(engine: DuckDBEngine, store: OfflineStore, where: Interval, tails: dict[int, str]) -> int:
    files = written(engine, store, tails)
    return store.replace(TABLE, where, files, based_on=store.snapshot(TABLE).version)


def tails_in(snapshot: Snapshot) -> str:
    """Every row of the snapshot's files, as the sorted letters of its tails."""
    tables = [pq.ParquetFile(path).read(columns=["tail"]) for path in snapshot.files.paths]
    return "".join(sorted(tail for table in tables for tail in table["tail"].to_pylist()))


def test_a_table_is_there_once_it_is_created(store: OfflineStore) -> None:
    before = store.exists(TABLE)
    store.create(TABLE, SCHEMA)

    assert (before, store.exists(TABLE)) == (False, True)
    assert not store.exists("delays@ffffffff")
    assert not store.exists("other@0123abcd")


def test_a_new_table_is_empty(created: OfflineStore) -> None:
    snapshot = created.snapshot(TABLE)

    assert (snapshot.table, snapshot.version, snapshot.rows, snapshot.files.paths) == (TABLE, 0, 0, ())


def test_the_partition_column_is_not_among_the_stored_ones(created: OfflineStore, engine: DuckDBEngine) -> None:
    put(engine, created, days(1, 1), {1: "a"})

    snapshot = created.snapshot(TABLE)

    assert snapshot.files.schema == STORED
    assert pq.read_schema(snapshot.files.paths[0]).names == STORED.names


def test_creating_a_table_again_leaves_it_as_it_is(created: OfflineStore, engine: DuckDBEngine) -> None:
    put(engine, created, days(1, 1), {1: "a"})
    created.create(TABLE, SCHEMA)

    assert (created.snapshot(TABLE).version, tails_in(created.snapshot(TABLE))) == (1, "a")


@pytest.mark.parametrize("number", range(5))
def test_a_table_can_be_created_by_several_at_once(folder: Path, number: int) -> None:
    barrier = Barrier(8)

    def create(_: int) -> Snapshot:
        store = DeltaOfflineStore(folder)
        barrier.wait()
        store.create(f"delays@{number}", SCHEMA)
        return store.snapshot(f"delays@{number}")

    with ThreadPoolExecutor(8) as threads:
        snapshots = list(threads.map(create, range(8)))

    assert {(snapshot.rows, snapshot.files.paths) for snapshot in snapshots} == {(0, ())}
    assert all(snapshot.files.schema == STORED for snapshot in snapshots)


def test_rows_that_are_put_are_there_and_counted(created: OfflineStore, engine: DuckDBEngine) -> None:
    version = put(engine, created, days(1, 2), {1: "abc", 2: "d"})

    snapshot = created.snapshot(TABLE)

    assert version == snapshot.version == 1
    assert (snapshot.rows, tails_in(snapshot)) == (4, "abcd")


def test_only_the_touched_days_are_replaced(created: OfflineStore, engine: DuckDBEngine) -> None:
    put(engine, created, days(1, 3), {1: "a", 2: "bc", 3: "d"})

    version = put(engine, created, days(2, 2), {2: "x"})

    assert version == 2
    assert (created.snapshot(TABLE).rows, tails_in(created.snapshot(TABLE))) == (3, "adx")


@pytest.mark.parametrize(
    ("where", "left"),
    [
        (Interval(FIRST, FIRST + DAY), "bc"),
        (Interval(FIRST + HOUR, FIRST + 2 * HOUR), "bc"),
        (Interval(FIRST, FIRST + DAY + timedelta(microseconds=1)), "c"),
        (Interval(FIRST + 23 * HOUR, FIRST + 25 * HOUR), "c"),
        (days(1, 3), ""),
        (days(4, 9), "abc"),
    ],
)
def test_replacing_with_no_files_empties_the_days_that_are_touched(
    created: OfflineStore, engine: DuckDBEngine, where: Interval, left: str
) -> None:
    put(engine, created, days(1, 3), {1: "a", 2: "b", 3: "c"})

    put(engine, created, where, {})

    assert (tails_in(created.snapshot(TABLE)), created.snapshot(TABLE).rows) == (left, len(left))


def test_replacing_nothing_with_nothing_keeps_the_version(created: OfflineStore, engine: DuckDBEngine) -> None:
    put(engine, created, days(1, 1), {1: "a"})

    assert put(engine, created, days(2, 2), {}) == 1


def test_putting_the_same_days_again_does_not_double_them(created: OfflineStore, engine: DuckDBEngine) -> None:
    for _ in range(3):
        put(engine, created, days(1, 2), {1: "a", 2: "b"})

    assert (created.snapshot(TABLE).version, tails_in(created.snapshot(TABLE))) == (3, "ab")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (days(1, 3), "abc"),
        (days(2, 2), "b"),
        (Interval(FIRST + 5 * HOUR, FIRST + DAY), "a"),
        (Interval(FIRST + 5 * HOUR, FIRST + DAY + HOUR), "ab"),
        (Interval(FIRST - 9 * DAY, FIRST), ""),
        (days(3, 9), "c"),
    ],
)
def test_a_snapshot_of_days_has_the_files_of_those_days(
    created: OfflineStore, engine: DuckDBEngine, where: Interval, expected: str
) -> None:
    put(engine, created, days(1, 3), {1: "a", 2: "b", 3: "c"})

    snapshot = created.snapshot(TABLE, days=where)

    assert (tails_in(snapshot), snapshot.rows) == (expected, len(expected))
    assert snapshot.files.schema == STORED


def test_every_version_stays_readable(created: OfflineStore, engine: DuckDBEngine) -> None:
    put(engine, created, days(1, 2), {1: "a", 2: "b"})
    put(engine, created, days(2, 2), {2: "xy"})
    put(engine, created, days(1, 2), {})

    snapshots = [created.snapshot(TABLE, version=version) for version in range(4)]

    assert [tails_in(snapshot) for snapshot in snapshots] == ["", "ab", "axy", ""]
    assert [(snapshot.version, snapshot.rows) for snapshot in snapshots] == [(0, 0), (1, 2), (2, 3), (3, 0)]
    assert tails_in(created.snapshot(TABLE, version=2, days=days(2, 2))) == "xy"


def test_tables_do_not_share_rows(created: OfflineStore, engine: DuckDBEngine) -> None:
    created.create("delays@ffffffff", SCHEMA)
    put(engine, created, days(1, 1), {1: "a"})

    assert created.snapshot("delays@ffffffff").rows == 0


def test_a_table_outlives_its_store(created: OfflineStore, engine: DuckDBEngine, folder: Path) -> None:
    put(engine, created, days(1, 1), {1: "a"})

    assert tails_in(DeltaOfflineStore(folder).snapshot(TABLE)) == "a"


@pytest.mark.parametrize("before", [{}, {1: "a"}], ids=["empty", "filled"])
def test_who_looked_before_another_replaced_is_refused_and_changes_nothing(
    created: OfflineStore, engine: DuckDBEngine, folder: Path, before: dict[int, str]
) -> None:
    put(engine, created, days(1, 1), before)
    other = DeltaOfflineStore(folder)
    looked = created.snapshot(TABLE).version
    files, late_files = written(engine, created, {1: "x"}), written(engine, other, {1: "x"})
    created.replace(TABLE, days(1, 1), files, based_on=looked)

    with pytest.raises(ConcurrentChange, match=r"changed the table delays@0123abcd .* run it again"):
        other.replace(TABLE, days(1, 1), late_files, based_on=looked)
    assert (created.snapshot(TABLE).version, tails_in(created.snapshot(TABLE))) == (looked + 1, "x")


def test_of_many_writers_at_once_one_wins_and_no_row_is_doubled(
    created: OfflineStore, engine: DuckDBEngine, folder: Path
) -> None:
    commits = [written(engine, created, {1: "ab"}) for _ in range(6)]
    barrier = Barrier(len(commits))

    def replace(files: tuple[DataFile, ...]) -> bool:
        store = DeltaOfflineStore(folder)
        barrier.wait()
        try:
            return store.replace(TABLE, days(1, 1), files, based_on=0) == 1
        except ConcurrentChange:
            return False

    with ThreadPoolExecutor(len(commits)) as threads:
        won = list(threads.map(replace, commits))

    assert won.count(True) == 1
    assert (created.snapshot(TABLE).version, tails_in(created.snapshot(TABLE))) == (1, "ab")


def test_writers_that_run_it_again_all_get_their_turn(created: OfflineStore, engine: DuckDBEngine) -> None:
    def persist(day: int) -> None:
        files = written(engine, created, {day: "a"})
        while True:
            try:
                created.replace(TABLE, days(day, day), files, based_on=created.snapshot(TABLE).version)
            except ConcurrentChange:
                continue
            return

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(persist, range(1, 9)))

    assert (created.snapshot(TABLE).version, tails_in(created.snapshot(TABLE))) == (8, "a" * 8)


def test_an_amendment_adds_files_beside_those_that_are_there(created: OfflineStore, engine: DuckDBEngine) -> None:
    put(engine, created, days(1, 2), {1: "a", 2: "b"})

    version = created.amend(TABLE, written(engine, created, {1: "c", 3: "d"}), (), based_on=1)

    assert (version, tails_in(created.snapshot(TABLE))) == (2, "abcd")
    assert tails_in(created.snapshot(TABLE, version=1)) == "ab"


def test_an_amendment_takes_files_away_by_their_paths(created: OfflineStore, engine: DuckDBEngine) -> None:
    put(engine, created, days(1, 2), {1: "a", 2: "b"})
    first = created.snapshot(TABLE, days=days(1, 1)).files.paths

    created.amend(TABLE, written(engine, created, {1: "ac"}), first, based_on=1)

    assert tails_in(created.snapshot(TABLE)) == "abc"
    with pytest.raises(ConcurrentChange):
        created.amend(TABLE, written(engine, created, {1: "x"}), first, based_on=2)


def test_whoever_waits_for_a_turn_amends_at_the_first_attempt(
    created: OfflineStore, engine: DuckDBEngine, folder: Path
) -> None:
    def add(number: int) -> int:
        files, store = written(engine, created, {number % 3 + 1: "a"}), DeltaOfflineStore(folder)
        with store.turn(TABLE):
            return store.amend(TABLE, files, (), based_on=store.snapshot(TABLE).version)

    with ThreadPoolExecutor(6) as threads:
        versions = list(threads.map(add, range(12)))

    assert sorted(versions) == list(range(1, 13))
    assert tails_in(created.snapshot(TABLE)) == "a" * 12


def test_the_log_tells_amendments_from_fills(created: OfflineStore, engine: DuckDBEngine, folder: Path) -> None:
    put(engine, created, days(1, 1), {1: "a"})
    created.amend(TABLE, written(engine, created, {1: "b"}), (), based_on=1)

    assert [DeltaLog(folder).change(TABLE, version).is_amendment for version in (0, 1, 2)] == [False, False, True]


def test_who_amends_and_who_replaces_at_once_do_not_both_win(created: OfflineStore, engine: DuckDBEngine) -> None:
    looked = put(engine, created, days(1, 1), {1: "a"})
    created.amend(TABLE, written(engine, created, {2: "b"}), (), based_on=looked)

    with pytest.raises(ConcurrentChange):
        created.amend(TABLE, written(engine, created, {2: "c"}), (), based_on=looked)
    with pytest.raises(ConcurrentChange):
        created.replace(TABLE, days(1, 1), written(engine, created, {1: "x"}), based_on=looked)
    assert tails_in(created.snapshot(TABLE)) == "ab"


def test_opening_stays_by_checkpoint_however_many_commits_there_are(
    created: OfflineStore, engine: DuckDBEngine, folder: Path
) -> None:
    for version in range(45):
        created.amend(TABLE, written(engine, created, {1: "a"}), (), based_on=version)

    log = next(folder.rglob("_delta_log"))
    assert json.loads((log / "_last_checkpoint").read_text())["version"] >= 40 - 1
    assert len(DeltaLog(folder).versions(TABLE)) == 46
    assert tails_in(created.snapshot(TABLE)) == "a" * 45


def test_a_file_that_was_removed_is_named(created: OfflineStore, engine: DuckDBEngine) -> None:
    put(engine, created, days(1, 2), {1: "a", 2: "b"})
    gone = created.snapshot(TABLE).files.paths[0]
    Path(gone).unlink()

    with pytest.raises(DatasetGone) as caught:
        created.snapshot(TABLE)
    assert caught.value.message == f"1 files of {TABLE} at version 1 are missing, the first is {gone}"
    assert tails_in(created.snapshot(TABLE, days=days(2, 2))) == "b"


@pytest.mark.parametrize("version", [1, 99])
def test_a_version_that_never_was_is_gone(created: OfflineStore, version: int) -> None:
    with pytest.raises(DatasetGone, match=f"Version {version} of the table {TABLE} can not be opened"):
        created.snapshot(TABLE, version=version)


def test_a_table_that_was_never_created_is_not_applied(store: OfflineStore) -> None:
    with pytest.raises(NotApplied, match=f"The table {TABLE} does not exist. Run `knownat apply`"):
        store.snapshot(TABLE)
    with pytest.raises(NotApplied):
        store.replace(TABLE, days(1, 1), (), based_on=0)


def test_a_table_has_the_types_that_it_was_created_with(store: OfflineStore) -> None:
    types = pa.schema(
        [
            ("price", pa.decimal128(38, 10)),
            ("words", pa.list_(pa.field("element", pa.string()))),
            ("prices", pa.list_(pa.field("element", pa.decimal128(9, 2)))),
            ("vector", pa.list_(pa.field("element", pa.float32()), 384)),
        ]
    )
    store.create("typed@1", types.append(pa.field(DAY_COLUMN, pa.string())))

    assert store.snapshot("typed@1").files.schema == types
