"""Answers are logged as they were given, in this process and by a server, and a log that fails hurts nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from featurestore.adapters.delta_serving_log import DeltaLogShelf
from featurestore.errors import InvalidRequest, NothingLogged
from featurestore.ports.serving_log import LogQuery
from registry.errors import AliasNotFound, InvalidModelReference
from sdk import Client
from tests.service.conftest import apply_all, connected
from tests.service.test_client import overwrite_facts
from tests.small_project import DAY, NOW, SmallProject

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


def logged_answers(project: SmallProject, mode: str = "path", **asked: Any) -> None:
    """Serve the rows once, and let what was logged be written."""
    with connected(project.folder, mode) as client:
        client.online(entities=ROWS, **(asked or {"service": "shops_v1"}))


@pytest.mark.parametrize("served_by", ["path", "http"])
def test_nothing_differs_where_nothing_was_touched(project: SmallProject, client: Client, served_by: str) -> None:
    logged_answers(project, served_by)

    found = client.skew()

    assert (found.rows, found.first, found.last, found.rate) == (5, NOW, NOW, 0.0)
    assert len(found.features) == 10  # on-demand too
    assert {(one.compared, one.differing, one.ahead, one.gone) for one in found.features} == {(5, 0, 0, 0)}
    assert not any(one.has_changed for one in found.features)


def test_a_value_that_was_changed_online_is_named_with_what_was_served(project: SmallProject, client: Client) -> None:
    overwrite_facts(project, shop="alma", visitors=7)
    logged_answers(project)

    found = client.skew(service="shops_v1")

    [feature] = [one for one in found.features if one.differing]
    [example] = feature.examples
    assert (feature.reference, feature.compared, feature.rate, found.rate) == ("shop_facts:visitors", 5, 0.2, 0.2)
    assert (dict(example.key), example.status) == ({"shop": "alma"}, "present")
    assert (example.requested_at, example.logged, example.expected) == (NOW, 7, 2**53 + 1)


def test_both_transports_tell_the_same(project: SmallProject) -> None:
    overwrite_facts(project, shop="alma", visitors=7)
    logged_answers(project)
    told = []
    for mode in ("path", "http"):
        with connected(project.folder, mode) as client:
            told.append((client.skew(), client.serving_log()))

    assert repr(told[0][0]) == repr(told[1][0])
    assert told[0][1].equals(told[1][1])


def test_a_service_that_has_changed_is_compared_with_what_it_was(project: SmallProject, client: Client) -> None:
    logged_answers(project)
    project.redefine("fs.mean, windows=", "fs.max, windows=")
    project.redefine('fs.Feature("score")', 'fs.Feature("score", "score * 2")')
    apply_all(project.folder)

    features = {one.reference: one for one in client.skew().features}

    assert {one.differing for one in features.values()} == {0}
    assert features["shop_facts:score"].applied_fingerprint not in (None, features["shop_facts:score"].fingerprint)
    assert features["shop_orders:amount_mean_7d"].applied_fingerprint is None
    assert not features["shop_facts:visitors"].has_changed


def test_a_model_is_compared_by_its_alias(project: SmallProject, client: Client) -> None:
    register(client)
    logged_answers(project, model="worth@1")
    logged_answers(project)

    assert client.skew(model="worth@champion").rows == client.skew(model="worth@1").rows == 5
    assert client.skew().rows == 10
    with pytest.raises(AliasNotFound):
        client.skew(model="worth@nosuch")


def test_the_log_is_a_spine_for_training(project: SmallProject, client: Client) -> None:
    logged_answers(project)

    spine = client.serving_log(service="shops_v1")
    pulled = client.training_set(spine, service="shops_v1", timestamp="requested_at").to_arrow()

    assert spine.column_names == ["requested_at", "shop", "basket"]
    assert spine["shop"].to_pylist() == [row["shop"] for row in ROWS]
    [rows] = logged(project.folder)
    for name in pulled.column_names[3:]:
        assert repr(pulled[name].to_pylist()) == repr(rows[name].to_pylist())


def test_what_nobody_logged_is_an_error_with_what_to_do(client: Client) -> None:
    for ask in (client.skew, client.serving_log):
        with pytest.raises(NothingLogged, match=r"service 'shops_v1'.*sample"):
            ask(service="shops_v1")
        with pytest.raises(NothingLogged, match="since 2024-03-11T00:00:00"):
            ask(since=NOW + DAY)


def test_what_is_asked_wrongly_is_told_before_anything_is_read(client: Client) -> None:
    with pytest.raises(InvalidRequest, match="got both"):
        client.skew(service="shops_v1", model="worth@1")
    with pytest.raises(InvalidRequest, match="from 0 to 1000"):
        client.skew(examples=1001)
    with pytest.raises(InvalidRequest, match="since is a datetime"):
        client.serving_log(since="yesterday")  # type: ignore[arg-type]
    with pytest.raises(InvalidModelReference):
        client.skew(model="worth")
