"""A serving log on a full disk, or whose table is broken, loses rows that it counts, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.adapters.delta_serving_log import DeltaLogShelf
from featurestore.adapters.queued_serving_log import LogBounds, QueuedServingLog
from featurestore.errors import StoreUnavailable
from featurestore.ports.serving_log import LogQuery
from tests.logged_answers import scores

BOUNDS = LogBounds(most_waiting=1000, flush_seconds=3600.0, rows_per_file=1000)

# The kernel refuses every write beyond the limit, by whichever library, as it does on a full disk.
FULL_DISK = """
import json, resource, signal, sys
from pathlib import Path
from featurestore.adapters.delta_serving_log import DeltaLogShelf
from featurestore.adapters.queued_serving_log import LogBounds, QueuedServingLog
from tests.logged_answers import scores

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
shelf = DeltaLogShelf(Path(sys.argv[1]))
told = []

def log_one(value, limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    log = QueuedServingLog(shelf, LogBounds(1000, 3600.0, 1000))
    log.offer(scores(value))
    log.close()
    told.append([log.logged, log.dropped, log.failed])

if sys.argv[2] == "late":
    log_one(1.0, resource.RLIM_INFINITY)
for limit in map(int, sys.argv[3].split(",")):
    log_one(2.0, limit)
log_one(3.0, resource.RLIM_INFINITY)
print(json.dumps(told))
"""


def values(folder: Path) -> list[object]:
    shelf = DeltaLogShelf(folder)
    tables = [table for log in shelf.logs() for table in shelf.rows(log, LogQuery())]
    return [value for table in tables for value in table["shops__v0"].to_pylist()]


def log_one(folder: Path, value: float) -> tuple[int, int, int]:
    log = QueuedServingLog(DeltaLogShelf(folder), BOUNDS)
    log.offer(scores(value))
    log.close()
    return log.logged, log.dropped, log.failed


@pytest.mark.parametrize("since", ["first", "late"])
def test_on_a_full_disk_rows_are_counted_and_logging_goes_on_when_there_is_room(tmp_path: Path, since: str) -> None:
    limits = [0, 64, 600, 1500]  # nothing, a few bytes, in the middle of the file, of the log's entry

    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), since, ",".join(map(str, limits))],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip

    told = json.loads(ended.stdout)
    assert [sum(one) for one in told] == [1] * len(told)
    assert told[-1] == [1, 0, 0]
    assert [0, 0, 1] in told
    kept = values(tmp_path)
    assert kept[-1] == 3.0
    assert kept.count(2.0) >= sum(logged for logged, _, _ in told[1 if since == "late" else 0 : -1])


def test_an_empty_last_entry_costs_the_rows_that_nobody_was_told_of(tmp_path: Path) -> None:
    log_one(tmp_path, 1.0)
    log_one(tmp_path, 2.0)
    newest = max(tmp_path.glob("*/_delta_log/*.json"))
    newest.write_bytes(b"")  # as after a power cut before the sync

    assert log_one(tmp_path, 3.0) == (1, 0, 0)
    assert values(tmp_path) == [1.0, 3.0]


def test_a_broken_table_loses_rows_and_no_lookup(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log_one(tmp_path, 1.0)
    [first] = tmp_path.glob("*/_delta_log/00000000000000000000.json")
    first.write_bytes(b"{broken")

    assert log_one(tmp_path, 2.0) == (0, 0, 1)
    assert first.parent.parent.name in caplog.text


def test_a_damaged_file_is_told_when_the_log_is_read(tmp_path: Path) -> None:
    log_one(tmp_path, 1.0)
    [file] = tmp_path.glob("*/2026-03-01/*.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    shelf = DeltaLogShelf(tmp_path)
    [log] = shelf.logs()

    with pytest.raises(StoreUnavailable, match=log.identity[:32]):
        pa.concat_tables(shelf.rows(log, LogQuery()))
