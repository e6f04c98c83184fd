"""The cells that differ on event time alone are those in which the oracle, told so, says something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.operations.explain_known import explain_known
from featurestore.operations.training_set import TrainingSetRequest
from tests.property.catalogue import Choices
from tests.property.examples import examples
from tests.property.histories import HOUR, MINUTE, History, histories
from tests.property.oracle import NOTHING, Row, aggregate, in_window, newest, same
from tests.property.project import small_project
from tests.property.test_online_equals_offline import declarations

CHOICES = st.builds(
    Choices,
    delay=st.sampled_from([timedelta(0), 10 * MINUTE, 3 * HOUR]),
    publish_delay=st.sampled_from([timedelta(0), 10 * MINUTE, HOUR]),
    ttl=st.sampled_from([None, 2 * HOUR]),
)
FEATURES = ("late_windows:*", "delayed_windows:*", "late_rows:*", "delayed_rows:*")
Answer = Callable[[dict[str, Any]], object]


def rows(history: History, *keys: str, delay: timedelta | None) -> list[Row]:
    """The source's rows that can be stored; `delay` is None where they say themselves when they were known."""
    found = []
    for event in history.events:
        key = tuple(event.get(name) for name in keys)
        known = event["known"] if delay is None or event["happened"] is None else event["happened"] + delay
        if event["happened"] is not None and known is not None and None not in key:
            found.append(Row(key, event["happened"], known, event))
    return found


def at_once(found: list[Row]) -> list[Row]:
    """The rows as if known the moment they happened: of one key and moment, only what was known last."""
    last: dict[tuple[object, ...], datetime] = {}
    for row in found:
        last[row.key, row.event] = max(row.known, last.get((row.key, row.event), row.known))
    return [replace(row, known=row.event) for row in found if row.known == last[row.key, row.event]]


def newest_value(found: list[Row], name: str, names: str, choices: Choices, publish: timedelta, *keys: str) -> Answer:
    known = [replace(row, values={one: row.values.get(one) for one in names}) for row in found]

    def answer(asked: dict[str, Any]) -> object:
        row = newest(known, tuple(asked[k] for k in keys), asked["at"], ttl=choices.ttl, publish_delay=publish)
        return None if row is None else row.values[name]

    return answer


def answers(history: History, choices: Choices, *, alone: bool) -> dict[str, Answer]:
    """What some of the features are, as functions of a spine's row."""
    publish = NOTHING if alone else choices.publish_delay
    last = history.origin + 40 * HOUR
    late, delayed = rows(history, "k", delay=None), rows(history, "n", "k", delay=choices.delay)
    everyone = rows(history, delay=choices.delay)

    def windowed(found: list[Row], hours: int, every: timedelta, *keys: str) -> Answer:
        known = [replace(row, known=row.event) for row in found] if alone else found

        def answer(asked: dict[str, Any]) -> object:
            inside = in_window(
                known, tuple(asked[k] for k in keys), asked["at"], every=every, window=hours * HOUR,
                last=last, publish_delay=publish,
            )  # fmt: skip
            return aggregate("count", [1 for _ in inside])

        return answer

    seen = (at_once(late), at_once(delayed)) if alone else (late, delayed)
    return {
        "late_rows__x": newest_value(seen[0], "x", "xftb", choices, publish, "k"),
        "delayed_rows__i": newest_value(seen[1], "i", "xsi", choices, publish, "n", "k"),
        "late_windows__rows_3h": windowed(late, 3, HOUR, "k"),
        "delayed_windows__rows_1h": windowed(everyone, 1, HOUR / 2),
    }


def differing(history: History, choices: Choices) -> dict[str, int]:
    known, alone = answers(history, choices, alone=False), answers(history, choices, alone=True)
    return {
        name: sum(_differ(known[name](asked), alone[name](asked)) for asked in history.spine) for name in known
    }  # fmt: skip


def _differ(left: object, right: object) -> bool:
    """Zeros of either sign are one value."""
    return not same(left, right) and not (left == right == 0)


@examples(4)
@given(histories(), CHOICES)
def test_as_many_cells_differ_as_the_oracle_counts(engine: DuckDBEngine, history: History, choices: Choices) -> None:
    now = history.origin + 40 * HOUR
    with small_project(engine) as project:
        project.write("late.parquet", history.table())
        project.write("delayed.parquet", history.table())
        project.apply(*declarations(choices), now=now)
        request = TrainingSetRequest(history.spine_table(), project.features(*FEATURES), timestamp="at")

        report = explain_known(request, project.offline)

    counted = {one.name: one.differing for one in report.features}
    expected = differing(history, choices)
    assert {name: counted[name] for name in expected} == expected
    assert report.rows == len(history.spine)
    assert report.cells == report.rows * len(counted)
