"""What the online store answered at any moment, however far it was behind, is what an as-served training set holds.

A project lives through its history as in `test_online_equals_offline.py`, but the store is read at moments of its own:
when time has gone on since it was filled, and values have grown older.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.memory_online import MemoryOnlineStore
from featurestore.operations.as_served import served_history
from featurestore.operations.rebuild import rebuild
from featurestore.operations.training_set import TrainingSetRequest, training_set
from tests.property.catalogue import Choices
from tests.property.examples import examples
from tests.property.histories import HOUR, MINUTE, History, histories
from tests.property.oracle import same
from tests.property.project import SmallProject, small_project
from tests.property.test_online_equals_offline import ASKED, CHOICES, declarations, write_known

TICK = timedelta(microseconds=1)
FEATURES = ("late_windows:*", "delayed_windows:*", "late_rows:*", "delayed_rows:*")
# A run in hours after the origin, how long it takes, and how long after that somebody asks.
STEPS = st.lists(
    st.tuples(
        st.integers(5, 30),
        st.sampled_from([timedelta(0), TICK, 7 * MINUTE]),
        st.lists(st.sampled_from([timedelta(0), 10 * MINUTE, 52 * MINUTE]), min_size=1, max_size=2, unique=True),
    ),
    min_size=2,
    max_size=4,
    unique_by=lambda step: step[0],
).map(sorted)


@examples(3)
@given(histories(), CHOICES, STEPS)
def test_an_as_served_training_set_holds_what_was_answered_at_each_moment(
    engine: DuckDBEngine,
    history: History,
    choices: Choices,
    steps: list[tuple[int, timedelta, list[timedelta]]],
) -> None:
    declared = declarations(choices)
    answered: list[tuple[datetime, list[dict[str, Any]]]] = []
    with small_project(engine, MemoryOnlineStore()) as project:
        for hours, taken, pauses in steps:
            now = history.origin + hours * HOUR
            write_known(project, history, choices, now)
            project.apply(*declared, now=now)
            project.materialize(now, published_at=now + taken)
            answered += [(at, answers(project, at)) for at in (now + taken + pause for pause in pauses)]
        the_end = history.origin + 100 * HOUR
        write_known(project, history, choices, the_end)
        project.apply(*declared, now=the_end)
        project.materialize(the_end)

        assert differences(project, answered, now=the_end) == []


def answers(project: SmallProject, at: datetime) -> list[dict[str, Any]]:
    answer = project.lookup(project.features(*FEATURES), ASKED, at)  # type: ignore[arg-type]
    columns = {column.column.name: column.values for column in answer.columns}
    return [{name: values[row] for name, values in columns.items()} for row in range(answer.rows)]


def differences(
    project: SmallProject, answered: list[tuple[datetime, list[dict[str, Any]]]], *, now: datetime
) -> list[str]:
    """Every cell in which the training set differs from what was answered online. It must also come back."""
    asked = [{"at": at, **row} for at, _ in answered for row in ASKED]
    schema = pa.schema([("at", pa.timestamp("us", "UTC")), ("k", pa.string()), ("n", pa.int64())])
    features = project.features(*FEATURES)
    request = TrainingSetRequest(
        pa.Table.from_pylist(asked, schema=schema), features, "at", served=served_history(features, project.online)
    )
    manifest = training_set(request, project.offline, project.archive, now=now)
    assert rebuild(manifest.id, project.offline, project.archive).result == manifest.result
    return [
        f"{spine} {name}: online {value!r}, as served {row[name]!r}"
        for spine, row, online in zip(
            asked, project.result(manifest).to_pylist(), [row for _, rows in answered for row in rows], strict=True
        )
        for name, value in online.items()
        if not same(row[name], value)
    ]
