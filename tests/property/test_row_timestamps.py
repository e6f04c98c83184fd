"""A windowed row's timestamps say when its key's values last changed. They follow from the data: however often the
store was brought up to date on the way, and whether it was all copied or what had changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.memory_online import MemoryOnlineStore
from featurestore.adapters.memory_publications import MemoryPublications
from featurestore.adapters.memory_state import MemoryMaterializations
from featurestore.graph.resolved import ResolvedView
from featurestore.operations.materialize import MaterializeRequest, materialize
from featurestore.operations.sides import OnlineSide
from featurestore.operations.stored_rows import stored_rows
from featurestore.ports.online_store import OnlineRow, OnlineTable
from featurestore.spec.declarations import Declaration
from featurestore.spec.feature_view import FeatureView
from tests.property.catalogue import Choices
from tests.property.examples import examples
from tests.property.histories import EVENTS, HOUR, KEYS, MINUTE, History, histories
from tests.property.oracle import EPOCH, Row, in_window
from tests.property.project import SmallProject, small_project
from tests.property.test_online_equals_offline import declarations

CHOICES = st.builds(
    Choices,
    delay=st.sampled_from([timedelta(0), 10 * MINUTE, 3 * HOUR]),
    publish_delay=st.sampled_from([timedelta(0), 10 * MINUTE, HOUR]),
    ttl=st.none(),
)
WINDOWS = (HOUR, 3 * HOUR, 12 * HOUR)
RUNS = (6, 9, 12, 13, 14, 18, 22, 27, 28, 40)
"""Hours after the origin at which time stops: the last is when all but the longest windows have emptied."""
SCHEDULES = {"one run": {40: False}, "two": {14: False, 40: False}, "ten": dict.fromkeys(RUNS, False)} | {
    "ten, the last of every key": {**dict.fromkeys(RUNS, False), 40: True},
    "three of every key": {12: True, 27: True, 40: True},
}


@examples(2)
@given(histories(), CHOICES)
def test_timestamps_do_not_depend_on_when_rows_were_copied(
    engine: DuckDBEngine, history: History, choices: Choices
) -> None:
    declared = _windowed(declarations(choices))
    sides = {name: _side() for name in SCHEDULES}
    with small_project(engine) as project:
        for hour in RUNS:
            now = history.origin + hour * HOUR
            shown = _write_shown(project, history, choices, now)
            project.apply(*declared, now=now)
            for name, schedule in SCHEDULES.items():
                if hour in schedule:
                    _bring_up_to_date(replace(project, online=sides[name]), now, full=schedule[hour])
                    assert list(_wrong(replace(project, online=sides[name]), shown, choices, name)) == []


def _windowed(declared: Sequence[Declaration]) -> list[Declaration]:
    return [one for one in declared if not isinstance(one, FeatureView) or one.every is not None]


def _side() -> OnlineSide:
    return OnlineSide(MemoryOnlineStore(), MemoryMaterializations(), MemoryPublications(), "memory", lambda: EPOCH)


def _bring_up_to_date(project: SmallProject, now: datetime, *, full: bool) -> None:
    for view in project.graph.views:
        materialize(MaterializeRequest(view, now, full), project.offline, project.online, now=now)


def _write_shown(
    project: SmallProject, history: History, choices: Choices, now: datetime
) -> dict[str, list[dict[str, Any]]]:
    """The sources as they are now, by the views that read them: of `delayed` every third row comes up to eight hours
    later than it says, and every seventh goes again."""
    late = [row for row in history.events if row["known"] is not None and row["known"] <= now]
    delayed = [
        {**row, "known": row["happened"] + choices.delay}
        for place, row in enumerate(history.events)
        if row["happened"] is not None
        and row["happened"] + choices.delay + place % 3 * 4 * HOUR <= now
        and not (place % 7 == 3 and now >= history.origin + 22 * HOUR)
    ]
    project.write("late.parquet", pa.Table.from_pylist(late, schema=EVENTS))
    project.write("delayed.parquet", pa.Table.from_pylist(delayed, schema=EVENTS))
    return {"late_windows": late, "delayed_windows": delayed}


def _wrong(
    project: SmallProject, shown: dict[str, list[dict[str, Any]]], choices: Choices, schedule: str
) -> Iterator[str]:
    """Every row whose timestamps are not those of the oracle."""
    for view in project.graph.views:
        keys: list[tuple[object, ...]] = [(k,) for k in KEYS if k is not None] if view.keys else [()]
        found = stored_rows(project.online.store, OnlineTable.of(view), keys)
        assert found.filled is not None
        rows = [
            Row((row.get("k"),) if view.keys else (), row["happened"], row["known"], {})
            for row in shown[view.name]
            if row["happened"] is not None
        ]
        for key, stored in zip(keys, found.rows, strict=True):
            last, counts = _last_changed(rows, key, found.filled.to - choices.publish_delay, view)
            if stored is None and not counts:
                continue
            told = (stored.event_timestamp, stored.known_at) if isinstance(stored, OnlineRow) else stored
            if told != (last, last):
                yield f"{schedule}: {view.name} {key} at {found.filled.to}: {told}, not {last}"


def _last_changed(
    rows: list[Row], key: tuple[object, ...], at: datetime, view: ResolvedView
) -> tuple[datetime | None, bool]:
    """The last boundary not after `at` at which other events counted than at the one before, and whether any does at
    `at`: found by looking at each."""
    assert view.every is not None
    own = [row for row in rows if row.key == key]
    changed, before = None, None
    for hop in range(
        (min((row.event for row in own), default=at) - EPOCH) // view.every, (at - EPOCH) // view.every + 1
    ):
        boundary = EPOCH + hop * view.every
        counting = [in_window(own, key, boundary, every=view.every, window=window, last=boundary) for window in WINDOWS]
        if before is not None and counting != before:
            changed = boundary
        before = counting
    return changed, any(before or [])
