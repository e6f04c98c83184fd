"""What the online store answered at a moment is what a training set holds for that moment, whenever it is pulled.

A project lives through its history: the sources' files grow as rows become known, also within days that are filled
already, and tables and the online store are brought up to date at random moments. All answers are kept. Then, when
everything has long been known, a training set is pulled for the same keys and moments.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.memory_online import MemoryOnlineStore
from featurestore.adapters.sqlite_online import SqliteOnlineStore
from featurestore.graph.resolved import ResolvedView
from featurestore.operations.answered_rows import Status
from featurestore.operations.audit import AuditedStore, audit
from featurestore.operations.audit_report import AuditedView
from featurestore.ports.online_store import OnlineStore, OnlineTable, TableRead
from featurestore.spec.aggregate import Aggregate
from featurestore.spec.declarations import Declaration
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.property.catalogue import Choices
from tests.property.examples import examples
from tests.property.histories import EVENTS, HOUR, KEYS, MINUTE, SMALL, History, histories
from tests.property.oracle import same
from tests.property.project import SmallProject, small_project

CHOICES = st.builds(
    Choices,
    delay=st.sampled_from([timedelta(0), 10 * MINUTE, 3 * HOUR]),
    publish_delay=st.sampled_from([timedelta(0), 10 * MINUTE, HOUR]),
    ttl=st.sampled_from([None, HOUR, 2 * HOUR]),
)
# When the project is brought up to date, in hours after the origin and minutes past them; and whether all is copied.
STEPS = st.lists(
    st.tuples(st.integers(5, 30), st.sampled_from([0, 0, 10, 59]), st.booleans()),
    min_size=2,
    max_size=4,
    unique_by=lambda step: step[0],
).map(sorted)
ASKED = [{"k": k, "n": n} for k in (*KEYS, "unseen") for n in (*SMALL, 8)]


def declarations(choices: Choices) -> tuple[Declaration, ...]:
    thing = Entity("thing", join_keys={"k": DType.STRING})
    pair = Entity("pair", join_keys={"n": DType.INT64, "k": DType.STRING})
    late = ParquetSource("late", path="late.parquet", event_timestamp="happened", known_at="known")
    delayed = ParquetSource("delayed", path="delayed.parquet", event_timestamp="happened", delay=choices.delay)
    aggregates = [
        Aggregate("*", "count", windows=["1h", "3h"], name="rows"),
        Aggregate("x", "mean", windows=["1h", "12h"]),
        Aggregate("x", "max", windows=["3h"], where="n >= 0"),
        Aggregate("s", "min", windows=["3h"]),
    ]
    return (
        late,
        delayed,
        FeatureView(
            "late_windows", entity=thing, source=late, every="1h", features=aggregates,
            publish_delay=choices.publish_delay,
        ),
        FeatureView(
            "delayed_windows", source=delayed, every="30m", features=aggregates, publish_delay=choices.publish_delay
        ),
        FeatureView(
            "late_rows", entity=thing, source=late, features=["x", "f", "t", "b"], ttl=choices.ttl,
            publish_delay=choices.publish_delay,
        ),
        FeatureView(
            "delayed_rows", entity=pair, source=delayed, features=["x", "s", "i"], ttl=choices.ttl,
            publish_delay=choices.publish_delay,
        ),
    )  # fmt: skip


@contextmanager
def online_store(kind: str) -> Iterator[OnlineStore]:
    if kind == "memory":
        yield MemoryOnlineStore()
        return
    with TemporaryDirectory(prefix="knownat-property-") as folder:
        store = SqliteOnlineStore(Path(folder) / "online.sqlite")
        yield store
        store.close()


def write_known(project: SmallProject, history: History, choices: Choices, now: datetime) -> None:
    """The sources' files as they are at `now`: with the rows that are known by then."""
    late = [row for row in history.events if row["known"] is not None and row["known"] <= now]
    delayed = [row for row in history.events if row["happened"] is not None and row["happened"] + choices.delay <= now]
    project.write("late.parquet", pa.Table.from_pylist(late, schema=EVENTS))
    project.write("delayed.parquet", pa.Table.from_pylist(delayed, schema=EVENTS))


def answers(project: SmallProject, view: ResolvedView) -> tuple[datetime, list[dict[str, Any]]]:
    """Every asked key's features at the moment up to which the view is online, and that moment."""
    [found] = project.online.store.read([TableRead(OnlineTable.of(view), [])])
    assert found.filled is not None
    answer = project.lookup(project.features(f"{view.name}:*"), ASKED, found.filled.to)  # type: ignore[arg-type]
    columns = {column.column.name: column.values for column in answer.columns}
    for column in answer.columns:
        for value, status in zip(column.values, column.statuses, strict=True):
            assert (value is None) or status in (Status.PRESENT, Status.MISSING)
    return found.filled.to, [{name: values[row] for name, values in columns.items()} for row in range(answer.rows)]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@examples(3)
@given(histories(), CHOICES, STEPS)
def test_every_online_answer_is_what_a_later_training_set_holds_for_that_moment(
    engine: DuckDBEngine, kind: str, history: History, choices: Choices, steps: list[tuple[int, int, bool]]
) -> None:
    declared = declarations(choices)
    kept: dict[str, list[tuple[datetime, list[dict[str, Any]]]]] = {}
    with online_store(kind) as store, small_project(engine, store) as project:
        for hours, minutes, full in steps:
            now = history.origin + hours * HOUR + minutes * MINUTE
            write_known(project, history, choices, now)
            project.apply(*declared, now=now)
            project.materialize(now, full=full)
            audits = AuditedStore(project.offline, project.online, project.catalog, now)
            for view in project.graph.views:
                assert audit(AuditedView.whole(view), 100, audits).causes == ()
                kept.setdefault(view.name, []).append(answers(project, view))

        the_end = history.origin + 100 * HOUR
        write_known(project, history, choices, the_end)
        project.apply(*declared, now=the_end)

        assert [
            difference for name, moments in kept.items() for difference in differences(project, name, moments, the_end)
        ] == []


def differences(
    project: SmallProject, view: str, moments: list[tuple[datetime, list[dict[str, Any]]]], now: datetime
) -> list[str]:
    """Every cell in which the training set differs from what was answered online."""
    asked = [{"at": at, **row} for at, _ in moments for row in ASKED]
    answered = [row for _, rows in moments for row in rows]
    schema = pa.schema([("at", pa.timestamp("us", "UTC")), ("k", pa.string()), ("n", pa.int64())])
    pulled = project.training_set(pa.Table.from_pylist(asked, schema=schema), project.features(f"{view}:*"), now=now)
    return [
        f"{spine} {name}: online {value!r}, offline {row[name]!r}"
        for spine, row, online in zip(asked, pulled.to_pylist(), answered, strict=True)
        for name, value in online.items()
        if not same(row[name], value)
    ]
