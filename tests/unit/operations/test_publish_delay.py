"""The true publish delay of a run: how long that waited for it which became known just after the run before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from featurestore.operations.publish_delay import PublishDelay, publish_delay
from featurestore.ports.publications import Publication, Published, PushSpan
from featurestore.spec.dtypes import DType
from tests.stored_tables import row_level_view

NOON = datetime(2013, 3, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROWS = row_level_view({"k": DType.STRING}, {"x": DType.FLOAT64})
SLOW_ROWS = replace(ROWS, publish_delay=10 * MINUTE)
HOURLY = replace(ROWS, every=60 * MINUTE, publish_delay=10 * MINUTE)


def history(*runs: tuple[int, int], pushed: PushSpan | None = None) -> Published:
    """Each run: up to which minute it filled the store, and in which minute it was published."""
    return Published(
        tuple(
            Publication(NOON + filled * MINUTE, NOON + filled * MINUTE, NOON + published * MINUTE, 1, 1, is_full=False)
            for filled, published in runs
        ),
        pushed,
    )


def delay(median: float, worst: float, runs: int) -> PublishDelay:
    return PublishDelay(median * MINUTE, worst * MINUTE, runs)


def test_one_run_tells_nothing_of_how_long_anything_waited() -> None:
    assert publish_delay(ROWS, history()) is None
    assert publish_delay(ROWS, history((0, 1))) is None


def test_what_becomes_known_after_a_run_waits_for_the_next() -> None:
    runs = history((0, 1), (30, 31), (60, 61), (120, 125))

    assert publish_delay(ROWS, runs) == delay(31, 65, 3)


def test_a_row_counts_as_known_before_its_declared_delay() -> None:
    assert publish_delay(SLOW_ROWS, history((0, 0), (30, 30))) == delay(40, 40, 1)


def test_a_store_that_is_filled_ahead_by_the_declared_delay_keeps_to_it() -> None:
    assert publish_delay(SLOW_ROWS, history((10, 0), (20, 10), (30, 20))) == delay(10, 10, 2)


def test_a_window_waits_from_the_first_boundary_that_was_missed() -> None:
    prompt = history((10, 12), (70, 72), (130, 130))
    skipping = history((10, 12), (190, 191))

    assert publish_delay(HOURLY, prompt) == delay(12, 12, 2)
    assert publish_delay(HOURLY, skipping) == delay(131, 131, 1)


def test_runs_that_brought_the_store_no_further_tell_nothing_in_whichever_order_they_are_recorded() -> None:
    assert publish_delay(ROWS, history((30, 31), (0, 1), (30, 90), (20, 95))) == delay(31, 31, 1)


def test_runs_that_changed_nothing_tell_nothing_and_what_comes_after_waited_since_then() -> None:
    runs = history((0, 0), (300, 300), (310, 312))
    idle = replace(
        runs, runs=tuple(replace(run, rows=0) if number == 1 else run for number, run in enumerate(runs.runs))
    )

    assert publish_delay(ROWS, idle) == delay(12, 12, 1)


def test_only_the_last_hundred_runs_count() -> None:
    runs = history((0, 0), (500, 500), *((500 + n, 500 + n) for n in range(1, 101)))

    assert publish_delay(ROWS, runs) == delay(1, 1, 100)


def test_runs_between_pushes_tell_nothing_of_rows_and_what_they_did_of_windows() -> None:
    pushed = PushSpan(NOON + 65 * MINUTE, NOON + 200 * MINUTE)
    runs = history((0, 0), (60, 60), (120, 120), (240, 240), pushed=pushed)

    assert publish_delay(ROWS, runs) == delay(120, 120, 2)
    assert publish_delay(replace(ROWS, every=60 * MINUTE), runs) == delay(0, 60, 3)
