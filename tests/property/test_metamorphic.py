"""What must not matter does not: where rows lie, who else is there, what comes later, and on which day it all happened.

No oracle is needed here: two projects that differ only in what must not matter give equal bytes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.adapters.duckdb_engine import DuckDBEngine
from tests.property.catalogue import FEW, WINDOWED, Choices, declarations
from tests.property.examples import IS_DEEP, few_examples
from tests.property.histories import EVENTS, HOUR, SPINE, History, histories, in_zone
from tests.property.project import SmallProject, small_project
from tests.property.test_point_in_time import CHOICES

DAY = timedelta(days=1)
OF_AN_ENTITY = ("late_by_k:*", "pair:*", "daily:*", "newest_by_k:*", "pair_rows:*", "by_sql:*")
SAYING_WHEN_KNOWN = ("late_by_k:*", "daily:*", "newest_by_k:*", "newest_of_all:*")
WINDOWS = WINDOWED if IS_DEEP else tuple(replace(view, aggregates=FEW) for view in WINDOWED)
CHANCE = st.randoms(use_true_random=False)


@pytest.fixture(scope="module")
def single_threaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(memory_limit="1GB", threads=1, spill_folder=tmp_path_factory.mktemp("spill"))
    yield engine
    engine.close()


def filled(project: SmallProject, events: pa.Table, choices: Choices, now: datetime) -> None:
    project.write("events/all.parquet", events)
    project.apply(*declarations(choices, WINDOWS), now=now)


def result(project: SmallProject, spine: pa.Table, now: datetime, *references: str) -> str:
    """The sha256 of a pull: of the whole service, or of some features."""
    features = project.features(*references) if references else project.service("everything")
    return project.pull(spine, features, now=now).result


@few_examples(1)
@given(histories(), CHOICES, CHANCE)
def test_order_files_row_groups_chunks_and_threads_change_no_byte(
    engine: DuckDBEngine,
    single_threaded: DuckDBEngine,
    history: History,
    choices: Choices,
    chance: random.Random,
) -> None:
    files, group_rows = chance.randint(2, 12), chance.randint(1, 40)
    now = history.origin + 40 * HOUR
    with small_project(engine) as one, small_project(single_threaded, threads=1) as other:
        filled(one, history.table(), choices, now)
        rows = [*history.events]
        chance.shuffle(rows)
        for number in range(files):
            part = pa.Table.from_pylist(rows[number::files], schema=EVENTS)
            other.write(f"events/{number}.parquet", in_zone(part, "UTC"), row_group_size=group_rows)
        other.apply(*declarations(choices, WINDOWS), now=now, chunk_days=1)

        assert result(other, history.spine_table(), now) == result(one, history.spine_table(), now)
        for view in one.graph.views:
            assert other.stored(view.name) == one.stored(view.name)


@few_examples(1)
@given(histories(), CHOICES, st.sampled_from([22, 40]))
def test_who_else_is_there_and_what_happens_or_is_known_later_change_no_byte(
    engine: DuckDBEngine, history: History, choices: Choices, filled_hours: int
) -> None:
    now = history.origin + filled_hours * HOUR
    end = history.origin + 31 * HOUR
    later = [moved(event, end - history.origin) for event in history.events]
    unknown = [event | {"known": end + HOUR} for event in history.events if event["known"] and event["happened"]]
    strangers = [event | {"k": "stranger", "n": 10**12} for event in history.events]
    spine = history.spine_table()
    crowds = [(later, ()), ([*strangers, *later], OF_AN_ENTITY), (unknown, SAYING_WHEN_KNOWN)]
    with small_project(engine) as plain:
        filled(plain, history.table(), choices, now)
        for crowd, references in crowds:
            with small_project(engine) as crowded:
                filled(crowded, source([*history.events, *crowd]), choices, now)

                assert result(crowded, spine, now, *references) == result(plain, spine, now, *references)


@few_examples(1)
@given(histories(), CHOICES, st.integers(-30_000, 30_000).filter(bool))
def test_on_which_day_it_all_happened_changes_no_feature(
    engine: DuckDBEngine, history: History, choices: Choices, days: int
) -> None:
    now, shift = history.origin + 40 * HOUR, days * DAY
    with small_project(engine) as one, small_project(engine) as other:
        filled(one, source(history.events), choices, now)
        filled(other, source([moved(event, shift) for event in history.events]), choices, now + shift)
        asked = pa.Table.from_pylist([row | {"at": row["at"] + shift} for row in history.spine], schema=SPINE)

        here = one.training_set(history.spine_table(), one.service("everything"), now=now)
        there = other.training_set(asked, other.service("everything"), now=now + shift)

        assert list(map(repr, here.drop_columns("at").to_pylist())) == list(
            map(repr, there.drop_columns("at").to_pylist())
        )


def moved(event: dict[str, Any], by: timedelta) -> dict[str, Any]:
    """The event, at another time."""
    times = {name: event.get(name) for name in ("happened", "known")}
    return event | {name: None if moment is None else moment + by for name, moment in times.items()}


def source(events: Sequence[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(events), schema=EVENTS)
