"""Answers on their way to the log: never waited for, bounded, counted, and written in the background."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.adapters.delta_serving_log import DeltaLogShelf
from featurestore.adapters.memory_serving_log import MemoryLogShelf
from featurestore.adapters.queued_serving_log import LogBounds, QueuedServingLog
from featurestore.errors import StoreUnavailable
from featurestore.graph.resolved import FeatureSet
from featurestore.ports.serving_log import Log, LogQuery, LogShelf
from featurestore.spec.dtypes import DType
from tests.logged_answers import answer_of, features_of, scores

LONG = 3600.0
SLOW = LogBounds(most_waiting=5, flush_seconds=LONG, rows_per_file=1000)


class HeldShelf:
    """A disk that takes its time: an append goes on when it is let."""

    def __init__(self) -> None:
        self.shelf = MemoryLogShelf()
        self.entered, self.go_on = threading.Event(), threading.Event()

    def append(self, features: FeatureSet, rows: pa.Table) -> None:
        self.entered.set()
        assert self.go_on.wait(60)
        self.shelf.append(features, rows)

    def logs(self) -> tuple[Log, ...]:
        return self.shelf.logs()

    def rows(self, log: Log, query: LogQuery, columns: tuple[str, ...] | None = None) -> Iterator[pa.Table]:
        return self.shelf.rows(log, query, columns)


class FullShelf(MemoryLogShelf):
    """A disk without room for some time."""

    has_room = False

    def append(self, features: FeatureSet, rows: pa.Table) -> None:
        if not self.has_room:
            raise StoreUnavailable("no space left on device")
        super().append(features, rows)


def kept(shelf: LogShelf) -> list[object]:
    return [
        value for log in shelf.logs() for rows in shelf.rows(log, LogQuery()) for value in rows["shops__v0"].to_pylist()
    ]


def until(happened: Callable[[], object]) -> None:
    """Let the log's thread work until something has happened."""
    for _ in range(60_000):
        if happened():
            return
        threading.Event().wait(0.001)
    pytest.fail("it has not happened within a minute")


def counters(log: QueuedServingLog) -> tuple[int, int, int]:
    return log.logged, log.dropped, log.failed


def test_closing_writes_what_is_waiting() -> None:
    shelf = MemoryLogShelf()
    log = QueuedServingLog(shelf, SLOW)
    log.offer(scores(1.0, 2.0))
    log.offer(scores(3.0))

    log.close()

    assert kept(shelf) == [1.0, 2.0, 3.0]
    assert counters(log) == (3, 0, 0)


def test_answers_of_other_features_are_other_logs() -> None:
    shelf = MemoryLogShelf()
    log = QueuedServingLog(shelf, SLOW)
    log.offer(scores(1.0))
    log.offer(answer_of(features_of(DType.INT64), ["alma"], [2]))
    log.offer(scores(3.0))

    log.close()

    assert len(shelf.logs()) == 2
    assert sorted(kept(shelf), key=repr) == [1.0, 2, 3.0]


def test_as_many_rows_as_are_enough_for_a_file_are_written_at_once() -> None:
    shelf = HeldShelf()
    log = QueuedServingLog(shelf, LogBounds(most_waiting=100, flush_seconds=LONG, rows_per_file=3))

    log.offer(scores(1.0, 2.0))
    log.offer(scores(3.0))

    assert shelf.entered.wait(60)
    shelf.go_on.set()
    log.close()


def test_the_first_answer_waits_no_longer_than_it_may() -> None:
    shelf = HeldShelf()
    log = QueuedServingLog(shelf, LogBounds(most_waiting=100, flush_seconds=0.01, rows_per_file=1000))

    log.offer(scores(1.0))

    assert shelf.entered.wait(60)
    shelf.go_on.set()
    log.close()


def test_what_does_not_fit_is_dropped_and_counted_and_nobody_waits() -> None:
    shelf = HeldShelf()
    log = QueuedServingLog(shelf, LogBounds(most_waiting=5, flush_seconds=LONG, rows_per_file=3))
    log.offer(scores(1.0, 2.0, 3.0))
    assert shelf.entered.wait(60)  # these three are being written, and still held

    log.offer(scores(4.0, 5.0))
    log.offer(scores(6.0))

    assert counters(log) == (0, 1, 0)
    shelf.go_on.set()
    log.close()
    assert kept(shelf) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert counters(log) == (5, 1, 0)


def test_what_was_written_makes_room() -> None:
    shelf = MemoryLogShelf()
    log = QueuedServingLog(shelf, LogBounds(most_waiting=2, flush_seconds=LONG, rows_per_file=2))

    until(lambda: log.offer(scores(1.0, 2.0)) or log.logged >= 6)  # type: ignore[func-returns-value]

    log.close()
    assert len(kept(shelf)) == log.logged


def test_a_request_with_more_rows_than_may_wait_is_dropped() -> None:
    shelf = MemoryLogShelf()
    log = QueuedServingLog(shelf, SLOW)

    log.offer(scores(*[0.0] * 6))

    log.close()
    assert (kept(shelf), counters(log)) == ([], (0, 6, 0))


def test_nothing_is_taken_after_closing_which_may_be_done_twice() -> None:
    shelf = MemoryLogShelf()
    log = QueuedServingLog(shelf, SLOW)
    log.close()

    log.offer(scores(1.0))

    log.close()
    assert (kept(shelf), counters(log)) == ([], (0, 1, 0))


def test_what_can_not_be_written_is_counted_told_once_and_lets_the_rest_go_on(caplog: pytest.LogCaptureFixture) -> None:
    shelf = FullShelf()
    log = QueuedServingLog(shelf, LogBounds(most_waiting=5, flush_seconds=0.001, rows_per_file=1))
    with caplog.at_level(logging.WARNING):
        for number in range(2):
            log.offer(scores(float(number)))
            until(lambda failed=number: log.failed > failed)  # type: ignore[misc]
    shelf.has_room = True
    log.offer(scores(2.0))

    log.close()

    assert (kept(shelf), counters(log)) == ([2.0], (1, 0, 2))
    [told] = [record.getMessage() for record in caplog.records]
    assert "no space left on device" in told


def test_values_that_are_not_of_their_type_hurt_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    shelf = MemoryLogShelf()
    log = QueuedServingLog(shelf, SLOW)
    log.offer(answer_of(features_of(DType.INT64), ["alma"], ["a text"]))
    log.offer(scores(1.0))

    log.close()

    assert (kept(shelf), counters(log)) == ([1.0], (1, 0, 1))
    assert len(caplog.records) == 1


def test_many_threads_share_one_log_and_every_row_is_counted() -> None:
    shelf = MemoryLogShelf()
    log = QueuedServingLog(shelf, LogBounds(most_waiting=50, flush_seconds=0.001, rows_per_file=10))

    def offer_all() -> None:
        for number in range(200):
            log.offer(scores(float(number)))

    threads = [threading.Thread(target=offer_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()

    assert log.logged + log.dropped == 1600
    assert (len(kept(shelf)), log.failed) == (log.logged, 0)


ENDING = """
import sys
from pathlib import Path
from featurestore.adapters.delta_serving_log import DeltaLogShelf
from featurestore.adapters.queued_serving_log import LogBounds, QueuedServingLog
from tests.logged_answers import scores

log = QueuedServingLog(DeltaLogShelf(Path(sys.argv[1])), LogBounds(10, 3600.0, 1000))
log.offer(scores(1.0))
"""


def test_a_program_that_ends_without_closing_still_writes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", ENDING, str(tmp_path)], check=True, timeout=60)

    assert kept(DeltaLogShelf(tmp_path)) == [1.0]


def test_a_folder_that_can_not_be_written_loses_rows_and_no_lookup(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "log").write_text("a file where a folder should be")
    log = QueuedServingLog(DeltaLogShelf(tmp_path / "log"), SLOW)

    log.offer(scores(1.0))
    log.close()

    assert counters(log) == (0, 0, 1)
    assert str(tmp_path / "log") in caplog.text
