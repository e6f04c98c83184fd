"""Answers that wait to be logged: taken without waiting, written by one thread in the background.

The queue is bounded by rows, those included that are being written, so a slow disk costs a known amount of memory and
no lookup its time. What can not be written is counted and let go: a log is not worth an answer.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - see _is_running
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, sleep

from featurestore.adapters.logged_rows import logged_rows
from featurestore.graph.resolved import FeatureSet
from featurestore.ports.serving_log import LogShelf, ServedAnswer, log_identity

_LOGGER = logging.getLogger("knownat.serving_log")
_MOST_IDENTITIES = 1024
_PAUSE_SECONDS = 0.0001
"""A thread that computes keeps the interpreter for 5 ms once it has it, and a lookup takes a fraction of one: without
the pauses, the slowest percent of lookups took three times as long while rows of 50 features were converted."""


@dataclass(frozen=True, slots=True)
class LogBounds:
    """How many rows may wait, how long the first of them does at most, and how many are enough for a file."""

    most_waiting: int
    flush_seconds: float
    rows_per_file: int


class QueuedServingLog:
    """A ServingLog over a shelf. Its thread starts with the first answer, so whoever logs nothing has none, and a
    process that was forked before that has its own."""

    def __init__(self, shelf: LogShelf, bounds: LogBounds) -> None:
        self._shelf = shelf
        self._bounds = bounds
        self._changed = threading.Condition()
        self._answers: list[ServedAnswer] = []
        self._rows = 0
        self._held = 0
        """Rows that are waiting or being written."""
        self._first_at = 0.0
        self._closed = False
        self._thread: threading.Thread | None = None
        self._identities: dict[int, tuple[FeatureSet, str]] = {}
        self._is_failing = False
        self.logged = 0
        self.dropped = 0
        self.failed = 0

    def offer(self, answer: ServedAnswer) -> None:
        with self._changed:
            if self._closed or self._held + answer.rows > self._bounds.most_waiting or not self._is_running():
                self.dropped += answer.rows
                return
            self._answers.append(answer)
            self._rows += answer.rows
            self._held += answer.rows
            if len(self._answers) == 1:
                self._first_at = monotonic()
                self._changed.notify()
            elif self._rows >= self._bounds.rows_per_file:
                self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            atexit.unregister(self.close)

    def _is_running(self) -> bool:
        """Start the thread once. Where the machine has none to give, that answer is dropped."""
        if self._thread is not None:
            return True
        thread = threading.Thread(target=self._write_all, name="knownat-serving-log", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        # A program that ends without closing still writes: a daemon thread would be stopped in the middle of it. What
        # writes may load pandas (pyarrow does), which loads concurrent.futures.thread: by then, that can only be found.
        atexit.register(self.close)
        self._thread = thread
        return True

    def _write_all(self) -> None:
        while True:
            with self._changed:
                while not (self._closed or self._is_due()):
                    self._changed.wait(self._seconds_left())
                answers, self._answers = self._answers, []
                rows, self._rows = self._rows, 0
            if not answers:
                return
            self._write(answers)
            with self._changed:
                self._held -= rows

    def _is_due(self) -> bool:
        if not self._answers:
            return False
        return self._rows >= self._bounds.rows_per_file or monotonic() - self._first_at >= self._bounds.flush_seconds

    def _seconds_left(self) -> float | None:
        """None: nothing is waiting, so whoever offers the first answer wakes the thread."""
        if not self._answers:
            return None
        return max(self._first_at + self._bounds.flush_seconds - monotonic(), 0.0)

    def _write(self, answers: Sequence[ServedAnswer]) -> None:
        groups: dict[str, list[ServedAnswer]] = {}
        for answer in answers:
            groups.setdefault(self._identity(answer.features), []).append(answer)
        for group in groups.values():
            rows = sum(answer.rows for answer in group)
            try:
                features = group[0].features
                self._shelf.append(features, logged_rows(features, group, self._pause))
            except Exception as error:  # noqa: BLE001 - the edge of a thread: whatever it is, lookups go on
                self._note_failure(rows, error)
            else:
                self.logged += rows
                self._is_failing = False

    def _pause(self) -> None:
        """Nothing is looked up any more once the log is closed, and whoever closes it waits."""
        if not self._closed:
            sleep(_PAUSE_SECONDS)

    def _note_failure(self, rows: int, error: Exception) -> None:
        """Told once, until it works again: a full disk would fill the program's own log otherwise."""
        self.failed += rows
        if not self._is_failing:
            _LOGGER.warning("%s rows of the serving log were lost, lookups go on: %s", f"{rows:,}", error)
        self._is_failing = True

    def _identity(self, features: FeatureSet) -> str:
        """Hashed once for each feature set that lookups were prepared for, of which there are few."""
        found = self._identities.get(id(features))
        if found is None:
            if len(self._identities) >= _MOST_IDENTITIES:
                self._identities.clear()
            # The feature set itself is kept too, so that no other can have its id.
            found = self._identities[id(features)] = (features, log_identity(features))
        return found[1]
