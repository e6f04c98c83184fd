"""Files of a table: chosen by days, read by columns, rows taken out of them by their places."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.adapters import table_files
from featurestore.adapters.table_files import FileReader, grouped
from featurestore.errors import DatasetGone
from featurestore.ports.engine import ParquetFiles

DAY = 86_400_000_000
SCHEMA = pa.schema([("n", pa.int64()), ("s", pa.string())])


@pytest.fixture
def reader() -> Iterator[FileReader]:
    reader = FileReader(2)
    yield reader
    reader.close()


def written(folder: Path, sizes: dict[str, list[int]]) -> ParquetFiles:
    """Files of given sizes by their days, with rows numbered in that order; the last days come first in the listing."""
    files = []
    first = 0
    for day, counts in sizes.items():
        for number, count in enumerate(counts):
            path = folder / f"{day}-{number}.parquet"
            rows = range(first, first + count)
            pq.write_table(pa.table({"n": rows, "s": [str(row) for row in rows]}, schema=SCHEMA), path)
            files.append((str(path), day))
            first += count
    files.reverse()
    return ParquetFiles(tuple(path for path, _ in files), SCHEMA, tuple(day for _, day in files))


SIZES = {"1969-12-31": [2, 0, 3], "1970-01-01": [1], "1970-01-02": [0], "1970-01-03": [4, 4]}


def test_files_come_by_their_days_each_with_the_place_of_its_first_row(reader: FileReader, tmp_path: Path) -> None:
    files = reader.files(written(tmp_path, SIZES), since=None, until=None)

    assert [(file.rows, file.first) for file in files] == [(2, 0), (0, 2), (3, 2), (1, 5), (0, 6), (4, 6), (4, 10)]
    assert reader.read_together(files, ["n"])["n"].to_pylist() == list(range(14))


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        (None, -1, {"1969-12-31"}),
        (None, -DAY - 1, set()),
        (-1, -1, {"1969-12-31"}),
        (0, None, {"1970-01-01", "1970-01-02", "1970-01-03"}),
        (-1, 0, {"1969-12-31", "1970-01-01"}),
        (DAY, 2 * DAY - 1, {"1970-01-02"}),
        (DAY - 1, 2 * DAY, {"1970-01-01", "1970-01-02", "1970-01-03"}),
        (3 * DAY, None, set()),
    ],
)
def test_days_wholly_before_or_after_are_left_out(
    reader: FileReader, since: int | None, until: int | None, days: set[str], tmp_path: Path
) -> None:
    files = reader.files(written(tmp_path, SIZES), since=since, until=until)

    assert {Path(file.path).name[:10] for file in files} == days


@pytest.mark.parametrize("seed", range(8))
def test_rows_are_taken_by_their_places_in_any_order_and_often(reader: FileReader, seed: int, tmp_path: Path) -> None:
    files = reader.files(written(tmp_path, SIZES), since=None, until=None)
    chance = random.Random(seed)
    places = [chance.randrange(-1, 14) for _ in range(chance.choice((0, 1, 40)))]

    numbers, texts = reader.taken(files, np.array(places, np.int64), SCHEMA)

    assert numbers.to_pylist() == [None if place < 0 else place for place in places]
    assert texts.to_pylist() == [None if place < 0 else str(place) for place in places]


def test_nothing_is_taken_from_no_files(reader: FileReader) -> None:
    numbers, texts = reader.taken([], np.array([-1, -1]), SCHEMA)

    assert (numbers.to_pylist(), texts.to_pylist()) == ([None, None], [None, None])


@pytest.mark.parametrize("rows", [0, 1, 2, 5, 100])
def test_groups_hold_every_file_once_in_their_order_and_enough_rows(
    reader: FileReader, rows: int, tmp_path: Path
) -> None:
    files = reader.files(written(tmp_path, SIZES), since=None, until=None)

    groups = grouped(files, rows)

    assert [file for group in groups for file in group] == files
    assert all(group for group in groups)
    assert all(sum(file.rows for file in group) >= rows for group in groups[:-1])
    assert all(sum(file.rows for file in group[:-1]) < max(rows, 1) for group in groups)
    assert grouped([], rows) == []


def test_work_is_done_in_order_and_only_a_few_items_ahead(reader: FileReader) -> None:
    started: list[int] = []
    gate = Event()

    def work(item: int) -> int:
        started.append(item)
        assert gate.wait(60)
        return item * item

    gate.set()
    results = reader.map(work, list(range(50)))
    assert next(results) == 0
    assert len(started) <= 5
    assert list(results) == [item * item for item in range(1, 50)]
    assert sorted(started) == list(range(50))


def test_footers_are_forgotten_when_there_are_many(
    reader: FileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_files, "_FOOTERS_KEPT", 2)
    table = written(tmp_path, SIZES)

    for _ in range(2):
        files = reader.files(table, since=None, until=None)
        assert [file.rows for file in files] == [2, 0, 3, 1, 0, 4, 4]


def test_a_file_that_can_not_be_read_is_named(reader: FileReader, tmp_path: Path) -> None:
    table = written(tmp_path, SIZES)
    Path(table.paths[0]).write_bytes(b"PAR1 and no more")

    with pytest.raises(DatasetGone, match=table.paths[0]):
        reader.files(table, since=None, until=None)
