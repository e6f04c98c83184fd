"""What every shelf of serving logs promises, in memory and in Delta tables."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from featurestore.adapters.delta_serving_log import DeltaLogShelf
from featurestore.adapters.logged_rows import logged_rows
from featurestore.adapters.memory_serving_log import MemoryLogShelf
from featurestore.errors import StoreCorrupted, StoreUnavailable
from featurestore.ports.serving_log import LogQuery, LogShelf, ServedAnswer, log_schema
from featurestore.spec.dtypes import DType
from tests.logged_answers import DAY, NOON, SCORES, answer_of, features_of, scores
from tests.property.every_type import TYPES, exact, values
from tests.property.examples import examples

EVERYTHING = LogQuery()


@pytest.fixture(params=["memory", "delta"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> LogShelf:
    return MemoryLogShelf() if request.param == "memory" else DeltaLogShelf(tmp_path / "serving-log")


def keep(shelf: LogShelf, *answers: ServedAnswer) -> None:
    """One append of these answers, which are of one feature set."""
    shelf.append(answers[0].features, logged_rows(answers[0].features, answers))


def read(shelf: LogShelf, query: LogQuery = EVERYTHING) -> pa.Table:
    """The rows of the only log."""
    [log] = shelf.logs()
    return pa.concat_tables([log_schema(log.features).empty_table(), *shelf.rows(log, query)])


def score_values(shelf: LogShelf, query: LogQuery) -> list[object]:
    found: list[object] = read(shelf, query)["shops__v0"].to_pylist()
    return found


def test_nothing_is_logged_at_first(shelf: LogShelf) -> None:
    assert shelf.logs() == ()


def test_a_row_says_when_it_was_asked_by_whom_and_what_was_answered(shelf: LogShelf) -> None:
    keep(shelf, answer_of(SCORES, ["alma", None], [0.5, None], model="worth@3", service=None))

    rows = read(shelf).to_pylist()

    request = rows[0].pop("__request")
    assert rows[1].pop("__request") == request
    same = {"__requested_at": NOON, "__service": None, "__model": "worth@3"}
    assert rows == [
        {"__row": 0, **same, "shop": "alma", "shops__v0": 0.5, "__status__shops__v0": "present"},
        {"__row": 1, **same, "shop": None, "shops__v0": None, "__status__shops__v0": "null"},
    ]


def test_each_request_has_an_id_of_its_own(shelf: LogShelf) -> None:
    keep(shelf, scores(1.0, 2.0), scores(3.0))

    assert len(set(read(shelf)["__request"].to_pylist())) == 2


def test_appends_of_one_feature_set_are_one_log(shelf: LogShelf) -> None:
    keep(shelf, scores(1.0))
    keep(shelf, scores(2.0, service="another"))

    assert score_values(shelf, EVERYTHING) == [1.0, 2.0]


def test_other_features_are_another_log_and_each_says_which(shelf: LogShelf) -> None:
    changed = features_of(DType.FLOAT64, fingerprint="0" * 64)
    keep(shelf, scores(1.0))
    keep(shelf, answer_of(changed, ["alma"], [2.0]))

    assert {log.features for log in shelf.logs()} == {SCORES, changed}
    assert len({log.identity for log in shelf.logs()}) == 2


def test_another_ttl_is_another_log_and_another_owner_is_not(shelf: LogShelf) -> None:
    [view] = SCORES.views
    longer = replace(SCORES, views=(replace(view, ttl=timedelta(days=31)),))
    owned = replace(SCORES, views=(replace(view, owner="ops"),))
    for features in (SCORES, longer, owned):
        keep(shelf, answer_of(features, ["alma"], [1.0]))

    assert len(shelf.logs()) == 2


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (EVERYTHING, [1.0, 2.0, 3.0, 4.0]),
        (LogQuery(service="a"), [1.0, 3.0, 4.0]),
        (LogQuery(service="nobody"), []),
        (LogQuery(since=NOON), [2.0, 3.0, 4.0]),
        (LogQuery(since=NOON + timedelta(microseconds=1)), [3.0, 4.0]),
        (LogQuery(service="a", since=NOON + DAY), [3.0, 4.0]),
    ],
)
def test_rows_are_asked_for_by_service_and_time(shelf: LogShelf, query: LogQuery, expected: list[float]) -> None:
    keep(
        shelf,
        scores(1.0, at=NOON - DAY, service="a"),
        scores(2.0, service="b"),
        scores(3.0, at=NOON + DAY, service="a"),
    )
    keep(shelf, scores(4.0, at=NOON + DAY, service="a"))

    assert score_values(shelf, query) == expected


def test_only_the_columns_that_are_asked_for_are_read(shelf: LogShelf) -> None:
    keep(shelf, scores(1.0, service="a"), scores(2.0, service="b"))
    [log] = shelf.logs()

    tables = list(shelf.rows(log, LogQuery(service="b"), ("shops__v0", "shop")))

    assert pa.concat_tables(tables).to_pydict() == {"shops__v0": [2.0], "shop": ["s0"]}


def test_rows_are_asked_for_by_model_version(shelf: LogShelf) -> None:
    for model in ("worth@1", "worth@2"):
        keep(shelf, answer_of(SCORES, ["alma"], [1.0], model=model, service=None))

    assert read(shelf, LogQuery(model="worth@2"))["__model"].to_pylist() == ["worth@2"]


@given(
    logged=st.lists(st.sampled_from(TYPES), min_size=1, max_size=6, unique=True).flatmap(
        lambda dtypes: st.tuples(
            st.just(dtypes),
            st.lists(st.tuples(*(st.none() | values(dtype) for dtype in dtypes)), min_size=1, max_size=5),
        )
    )
)
@examples(40)
def test_values_of_every_type_come_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, logged: tuple[list[DType], list[tuple[object, ...]]]
) -> None:
    dtypes, rows = logged
    columns = [list(column) for column in zip(*rows, strict=True)]
    shelf = DeltaLogShelf(tmp_path_factory.mktemp("log"))

    keep(shelf, answer_of(features_of(*dtypes), ["s"] * len(rows), *columns))

    kept = read(shelf)
    found = [kept[f"shops__v{index}"].to_pylist() for index in range(len(dtypes))]
    assert [[exact(value) for value in column] for column in found] == [[*map(exact, column)] for column in columns]


def test_many_small_appends_stay_quick_to_open(tmp_path: Path) -> None:
    shelf = DeltaLogShelf(tmp_path)
    for number in range(45):
        keep(shelf, scores(float(number)))

    [folder] = tmp_path.iterdir()

    checkpoints = sorted(file.name for file in (folder / "_delta_log").glob("*.checkpoint.parquet"))
    assert len(checkpoints) == 2
    assert score_values(shelf, EVERYTHING) == [float(number) for number in range(45)]


APPENDING = """
import sys
from pathlib import Path
from featurestore.adapters.delta_serving_log import DeltaLogShelf
from tests.contract.test_log_shelf import keep
from tests.logged_answers import scores

shelf = DeltaLogShelf(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    keep(shelf, scores(float(sys.argv[2]) + number))
"""


def test_several_processes_append_to_a_log_that_none_of_them_had_created(tmp_path: Path) -> None:
    folder = tmp_path / "serving-log"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDING, str(folder), str(100 * number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(3)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.communicate("go\n", timeout=60)

    assert [process.returncode for process in processes] == [0, 0, 0]
    expected = [float(100 * number + value) for number in range(3) for value in range(20)]
    assert sorted(read(DeltaLogShelf(folder))["shops__v0"].to_pylist()) == expected


def test_an_append_goes_on_after_one_that_never_created_its_table(tmp_path: Path) -> None:
    """A process may be killed between making the folder and the first commit."""
    shelf = DeltaLogShelf(tmp_path)
    keep(shelf, scores(1.0))
    [folder] = tmp_path.iterdir()
    for file in (folder / "_delta_log").iterdir():
        file.unlink()

    assert shelf.logs() == ()
    keep(shelf, scores(2.0))

    assert score_values(shelf, EVERYTHING) == [2.0]


def test_a_log_that_does_not_say_what_it_holds_is_named(tmp_path: Path) -> None:
    DeltaTable.create(str(tmp_path / "strange"), schema=pa.schema([("a", pa.int64())]), description="{}")

    with pytest.raises(StoreCorrupted, match="strange"):
        DeltaLogShelf(tmp_path).logs()


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "serving-log").write_text("a file where a folder should be")

    with pytest.raises(StoreUnavailable, match="serving-log"):
        keep(DeltaLogShelf(tmp_path / "serving-log"), scores(1.0))


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    shelf = DeltaLogShelf(tmp_path)
    keep(shelf, scores(1.0))
    [file] = tmp_path.glob("*/2026-03-01/*.parquet")
    file.unlink()

    with pytest.raises(StoreUnavailable, match=file.name):
        read(shelf)
