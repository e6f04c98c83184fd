"""Answers are logged as they were given, in this process and by a server, and a log that fails hurts nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from featurestore.adapters.delta_serving_log import DeltaLogShelf
from featurestore.ports.serving_log import LogQuery
from sdk import Client
from tests.service.conftest import connected
from tests.small_project import NOW, SmallProject

ROWS = [{"shop": shop, "basket": 2.0} for shop in ("alma", "ботик", "closed", "nobody", None)]


@pytest.fixture(autouse=True)
def everything_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWNAT_SERVING_LOG__SAMPLE", "1")


def logged(folder: Path) -> list[pa.Table]:
    """The rows of each log of a project that nobody has open."""
    shelf = DeltaLogShelf(folder / ".knownat" / "serving-log")
    return [pa.concat_tables(shelf.rows(log, LogQuery())) for log in shelf.logs()]


def register(client: Client) -> None:
    spine = pa.table({"shop": ["alma"], "event_timestamp": pa.array([NOW], pa.timestamp("us", "UTC")), "basket": [1.0]})
    dataset = client.training_set(spine, service="shops_v1")
    client.register_model("worth", b"model", dataset=dataset.id)
    client.models.set_alias("worth", "champion", 1)


@pytest.mark.parametrize("mode", ["path", "http"])
def test_every_value_is_logged_to_the_bit_with_its_status(project: SmallProject, mode: str) -> None:
    with connected(project.folder, mode) as client:
        answer = client.online(service="shops_v1", entities=ROWS)

    [rows] = logged(project.folder)
    for column in answer.details:
        assert repr(pa.array(column.values, rows[column.name].type).to_pylist()) == repr(rows[column.name].to_pylist())
        assert rows[f"__status__{column.name}"].to_pylist() == list(column.statuses)
    assert rows["shop"].to_pylist() == ["alma", "ботик", "closed", "nobody", None]
    assert rows["basket"].to_pylist() == [2.0] * 5
    assert set(rows["__requested_at"].to_pylist()) == {NOW}
    assert set(rows["__service"].to_pylist()) == {"shops_v1"}


@pytest.mark.parametrize("mode", ["path", "http"])
def test_a_model_is_logged_by_the_version_that_its_alias_meant(project: SmallProject, mode: str) -> None:
    with connected(project.folder, mode) as client:
        register(client)
        client.online(model="worth@champion", entities=ROWS[:1])
        client.online(service="shops_v1", entities=ROWS[:1])

    [rows] = logged(project.folder)  # the same features, so the same log
    told = zip(rows["__model"].to_pylist(), rows["__service"].to_pylist(), strict=True)
    assert sorted(told, key=repr) == [("worth@1", None), (None, "shops_v1")]


def test_a_replay_is_not_logged(project: SmallProject) -> None:
    with connected(project.folder, "path") as client:
        client.online(service="shops_v1", entities=ROWS, at=NOW)

    assert logged(project.folder) == []


def test_nothing_is_logged_unless_it_is_asked_for(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KNOWNAT_SERVING_LOG__SAMPLE")

    with connected(project.folder, "path") as client:
        client.online(service="shops_v1", entities=ROWS)

    assert not (project.folder / ".knownat" / "serving-log").exists()


@pytest.mark.parametrize("mode", ["path", "http"])
def test_a_log_that_can_not_be_written_hurts_no_lookup(
    project: SmallProject, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    (project.folder / ".knownat" / "serving-log").write_text("a file where a folder should be")

    with connected(project.folder, mode) as client:
        answers: list[Any] = [client.online(service="shops_v1", entities=ROWS) for _ in range(3)]

    assert [answer.rows for answer in answers] == [5, 5, 5]
    assert "15 rows of the serving log were lost" in caplog.text
