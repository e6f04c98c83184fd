"""The serving log from the command line: servers that log, a skew that finds what was wrong, a spine for training."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL, SIGTERM
from socket import socket

import pytest

from sdk import connect
from tests.command import done, knownat, started
from tests.service.conftest import apply_all
from tests.service.test_client import overwrite_facts
from tests.small_project import DAY, NOW, SmallProject, small_project

ROWS = [{"shop": shop, "basket": 2.0} for shop in ("alma", "ботик", "closed", "nobody", None)]
LOGGED = {"KNOWNAT_SERVING_LOG__SAMPLE": "1"}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project, applied and materialized, which tests copy."""
    project = small_project(tmp_path_factory.mktemp("small") / "shops")
    apply_all(project.folder)
    return project.folder


@pytest.fixture
def project(filled: Path, tmp_path: Path) -> SmallProject:
    return SmallProject(shutil.copytree(filled, tmp_path / "shops"))


@contextmanager
def serving(project: SmallProject, **settings: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`knownat serve` in a process of its own: its address, and itself. It is told to stop when the block ends."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = started("serve", "--port", port, "--project", project.folder, environment={**LOGGED, **settings})
    try:
        assert server.stderr is not None
        assert any("Uvicorn running" in line for line in server.stderr)
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.send_signal(SIGTERM)
        server.communicate(timeout=60)


def ask(address: str, times: int) -> None:
    with connect(address) as client:
        for _ in range(times):
            client.online(service="shops_v1", entities=ROWS)


def test_what_a_server_answered_is_compared_after_it_has_stopped(project: SmallProject) -> None:
    with serving(project) as (address, _):
        ask(address, 3)

    told = done("skew", "--project", project.folder, "--json").json

    assert (told["rows"], told["rate"], told["first"]) == (15, 0.0, "2024-03-10T00:00:00Z")
    assert {(one["compared"], one["differing"]) for one in told["features"]} == {(15, 0)}
    assert "0 features differ of 10: 15 logged rows" in done("skew", "--project", project.folder).out


def test_a_tampered_value_is_named_for_people_and_scripts(project: SmallProject) -> None:
    overwrite_facts(project, shop="alma", visitors=7)
    with serving(project) as (address, _):
        ask(address, 2)

    told = knownat("skew", "--service", "shops_v1", "--project", project.folder, "--json")
    shown = knownat("skew", "--project", project.folder)

    [differing] = [one for one in told.json["features"] if one["differing"]]
    assert (told.code, differing["reference"], differing["rate"]) == (1, "shop_facts:visitors", 0.2)
    example = differing["examples"][0]
    assert (example["key"], example["logged"], example["expected"]) == ({"shop": "alma"}, 7, 2**53 + 1)
    assert shown.code == 1
    assert "1 feature differs of 10" in shown.out
    assert "shop=alma" in shown.out


@pytest.mark.parametrize(("tolerance", "code"), [("0.2", 0), ("0.19", 1)])
def test_what_is_tolerated_is_no_reason_to_fail(project: SmallProject, tolerance: str, code: int) -> None:
    overwrite_facts(project, shop="alma", visitors=7)
    with serving(project) as (address, _):
        ask(address, 1)

    assert knownat("skew", "--tolerance", tolerance, "--project", project.folder).code == code


def test_two_servers_write_to_one_log(project: SmallProject) -> None:
    settings = {"KNOWNAT_SERVING_LOG__FLUSH_SECONDS": "0.01"}
    with (
        serving(project, **settings) as (first, _),
        serving(project, **settings) as (second, _),
        ThreadPoolExecutor(2) as threads,
    ):
        list(threads.map(lambda address: ask(address, 20), (first, second)))

    told = done("skew", "--project", project.folder, "--json").json

    assert (told["rows"], told["rate"]) == (200, 0.0)


def test_a_killed_server_loses_no_more_than_was_waiting(project: SmallProject) -> None:
    with serving(project, KNOWNAT_SERVING_LOG__ROWS_PER_FILE="5") as (address, server):
        ask(address, 10)
        server.send_signal(SIGKILL)
        server.wait(60)
        logged = knownat("skew", "--project", project.folder, "--json")

    assert logged.code == 0 or "nothing_logged" in logged.err
    with serving(project) as (address, _):
        ask(address, 1)
    told = done("skew", "--project", project.folder, "--json").json
    assert told["rows"] in range(5, 60, 5)  # whole requests
    assert told["rate"] == 0.0


def test_answers_beyond_what_is_filled_are_counted_until_it_is(project: SmallProject) -> None:
    later = (NOW + DAY).isoformat()
    with serving(project, KNOWNAT_CLOCK=later) as (address, _):
        ask(address, 1)
    before = done("skew", "--project", project.folder)
    file = project.folder / "knownat.toml"
    file.write_text(file.read_text().replace(NOW.isoformat(), later))
    done("backfill", "--project", project.folder)

    after = knownat("skew", "--project", project.folder, "--json").json

    assert "Up to 5 rows are later than what is filled offline" in before.out
    features = {one["reference"]: one for one in after["features"]}
    assert {one["ahead"] for one in after["features"]} == {0}
    assert features["shop_facts:visitors"]["differing"] == 0
    assert features["shop_orders:orders_1d"]["differing"] == 1  # nobody had materialized what left the window


def test_a_spine_is_written_and_pulled_with(project: SmallProject, tmp_path: Path) -> None:
    with serving(project) as (address, _):
        ask(address, 1)
    out = tmp_path / "asked.parquet"

    written = done("serving-log", "--service", "shops_v1", "--out", out, "--project", project.folder)
    pulled = done(
        "training-set", "--spine", out, "--timestamp", "requested_at", "--service", "shops_v1",
        "--project", project.folder, "--json",
    )  # fmt: skip

    assert f"knownat training-set --spine {out} --timestamp requested_at --service shops_v1" in written.out
    assert pulled.json["rows"] == 5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("skew",), "No answer is logged"),
        (("skew", "--service", "a", "--model", "b@1"), "one of --service and --model"),
        (("skew", "--since", "yesterday"), "is not a moment"),
        (("skew", "--tolerance", "2"), "tolerance"),
        (("serving-log", "--out", "no/such/folder.parquet"), "can not be written"),
    ],
)
def test_what_can_not_be_done_is_told(project: SmallProject, arguments: tuple[str, ...], told: str) -> None:
    ended = knownat(*arguments, "--project", project.folder)

    assert ended.code in (1, 2)
    assert told in ended.err
