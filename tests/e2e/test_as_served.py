"""A shop that is brought up to date every three hours and asked in between: what it answered comes back as served."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdk import Project, TrainingSet, open_project
from tests.command import done, knownat
from tests.service.conftest import connected
from tests.small_project import FACTS, NOW, SmallProject, small_project

HOUR = timedelta(hours=1)
MOMENT = pa.timestamp("us", tz="UTC")
SHOPS = ("alma", "ботик", "nobody")
Asked = list[tuple[str, datetime]]
"""Rows of features as text (NaN is NaN there), and when they were asked for."""


@contextmanager
def at(small: SmallProject, moment: datetime) -> Iterator[Project]:
    """The project when the clock says `moment`."""
    with open_project(small.folder, settings={"clock": moment.isoformat()}) as project:
        yield project


def sell(small: SmallProject, hour: int) -> None:
    """What has happened since the last time: orders, and new facts of a shop."""
    ends = NOW + hour * HOUR
    small.append_orders(
        f"hour {hour}", [("alma", ends - minutes * timedelta(minutes=25), 1.5) for minutes in (1, 3, 6)]
    )
    facts = pq.read_table(small.folder / "data" / "facts.parquet")
    newest = FACTS.slice(0, 1).set_column(1, "recorded_at", pa.array([ends - HOUR / 2], MOMENT))
    newest = newest.set_column(3, "visitors", pa.array([hour]))
    pq.write_table(pa.concat_tables([facts, newest]), small.folder / "data" / "facts.parquet")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallProject, Asked]:
    """The project after half a day, and everything it was asked with what it answered."""
    small = small_project(tmp_path_factory.mktemp("served") / "shops")
    answered: Asked = []
    with at(small, NOW) as project:
        list(project.apply())
        list(project.materialize())
    for hour in range(13):
        if hour % 3 == 0 and hour:
            sell(small, hour)
            with at(small, NOW + hour * HOUR) as project:
                list(project.run_due())
        moment = NOW + hour * HOUR + hour % 2 * timedelta(minutes=29)
        with at(small, moment) as project:
            rows = [{"shop": shop, "basket": 3.0} for shop in SHOPS]
            answers = project.client.online(service="shops_v1", entities=rows).to_arrow()
        answered += [(repr(answer), moment) for answer in answers.to_pylist()]
    return small, answered


def spine_of(answered: Asked) -> pa.Table:
    return pa.table(
        {
            "shop": [SHOPS[row % len(SHOPS)] for row in range(len(answered))],
            "event_timestamp": pa.array([moment for _, moment in answered], MOMENT),
            "basket": [3.0] * len(answered),
        }
    )


def features(dataset: TrainingSet) -> list[str]:
    """Each row's features as text."""
    table = dataset.to_arrow()
    return [repr(row) for row in table.drop_columns(["shop", "event_timestamp", "basket"]).to_pylist()]


@pytest.mark.parametrize("mode", ["path", "http"])
def test_a_training_set_as_served_holds_what_was_answered_and_a_plain_one_does_not(
    lived: tuple[SmallProject, Asked], mode: str
) -> None:
    small, answered = lived
    expected = [answer for answer, _ in answered]

    with connected(small.folder, mode) as client:
        served = client.training_set(spine_of(answered), service="shops_v1", as_served=True)
        plain = client.training_set(spine_of(answered), service="shops_v1")

        assert features(served) == expected
        differing = [
            row for row, (one, other) in enumerate(zip(features(plain), expected, strict=True)) if one != other
        ]
        assert {SHOPS[row % len(SHOPS)] for row in differing} == {"alma"}  # the others have sold nothing since
        assert len(differing) == 8  # at every hour but those at which a run had just been through
        assert served.id != plain.id


def test_status_tells_the_true_publish_delay_beside_the_declared_one(lived: tuple[SmallProject, Asked]) -> None:
    small, _ = lived

    with connected(small.folder, "path") as here, connected(small.folder, "http") as there:
        status = {one["view"]: one for one in here.status()}
        assert there.status() == here.status()
    told = done("status", "--project", small.folder)

    facts, orders = status["shop_facts"], status["shop_orders"]
    hours = 3600.0
    assert facts["true_publish_delay"] == {"median_seconds": 3 * hours, "worst_seconds": 3 * hours, "runs": 4}
    assert orders["true_publish_delay"] == {"median_seconds": 2 * hours, "worst_seconds": 2 * hours, "runs": 4}
    assert (facts["publish_delay"], facts["exceeds_declared"]) == ("0s", True)
    assert "'shop_facts' took up to 3h until it was online, and declares a publish_delay of 0s." in told.out
    assert "knownat training-set --as-served" in told.out


def test_a_dataset_as_served_comes_back_to_the_byte_after_further_runs(
    lived: tuple[SmallProject, Asked], tmp_path: Path
) -> None:
    answered = lived[1]
    small = SmallProject(shutil.copytree(lived[0].folder, tmp_path / "shops"))
    with at(small, NOW + 13 * HOUR) as project:
        before = project.client.training_set(spine_of(answered), service="shops_v1", as_served=True)

    for hour in (15, 18):
        sell(small, hour)
        with at(small, NOW + hour * HOUR) as project:
            list(project.run_due())
    with at(small, NOW + 19 * HOUR) as project:
        list(project.materialize(full=True))
        list(project.collect_garbage(project.garbage(grace=timedelta(0))))
        again = project.client.rebuild(before.id)

        assert (again.id, again.sha256) == (before.id, before.sha256)
        assert features(again) == [answer for answer, _ in answered]
        assert project.verify(deep=True).damages == ()


def test_the_command_pulls_as_served_and_refuses_what_does_not_go_with_it(
    lived: tuple[SmallProject, Asked], tmp_path: Path
) -> None:
    small, answered = lived
    pq.write_table(spine_of(answered), tmp_path / "spine.parquet")
    words = ("training-set", "--project", small.folder, "--spine", tmp_path / "spine.parquet", "--service", "shops_v1")

    served, plain = (done(*words, *more, "--json").json for more in (("--as-served",), ()))
    refused = knownat(*words, "--as-served", "--explain-known")

    assert (served["as_served"], plain["as_served"]) == (True, False)
    assert served["sha256"] != plain["sha256"]
    assert (refused.code, "without --as-served" in refused.err) == (2, True)
