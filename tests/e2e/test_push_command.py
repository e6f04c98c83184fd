"""`knownat push`: rows in a file, and exit codes that a script can use."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.command import done, knownat
from tests.pushed_project import HOUR, MINUTE, NOON, pushed_project, visits

ROW = {"shop": "alma", "at": "2024-03-10T11:59:00Z", "visitors": 7, "mood": 0.5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    project = pushed_project(tmp_path / "project")
    with project.at(NOON - HOUR) as opened:
        rows = visits(("alma", NOON - 2 * HOUR, 1, 0.9))
        opened.push("visits", rows.append_column("seen", rows["at"]), key="history")
        list(opened.backfill(views=["latest"]))
        list(opened.materialize(views=["latest"]))
    settings = project.folder / "knownat.toml"
    settings.write_text(f"clock = {NOON.isoformat()}\n{settings.read_text()}")
    return project.folder


@pytest.mark.parametrize("suffix", [".parquet", ".json", ".jsonl"])
def test_rows_of_a_file_are_online_afterwards(folder: Path, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"rows{suffix}"
    if suffix == ".parquet":
        pq.write_table(visits(("alma", NOON - MINUTE, 7, 0.5)), file)
    else:
        file.write_text(json.dumps([ROW] if suffix == ".json" else ROW))

    answer = done("push", "latest", file, "--key", "first", "--project", folder, "--json").json
    again = done("push", "latest", file, "--key", "first", "--project", folder).out
    found = done("online", "--features", "latest:visitors", "--entity", "shop=alma", "--project", folder, "--json").json

    assert (answer["online"], answer["rows"], answer["is_new"]) == ("now", 1, True)
    assert "1 rows had been pushed before as 'first'" in again
    assert found["rows"][0]["values"] == {"latest__visitors": 7}


def test_what_is_refused_ends_with_1_and_a_file_that_is_none_with_2(folder: Path, tmp_path: Path) -> None:
    rows, torn = tmp_path / "rows.json", tmp_path / "torn.json"
    rows.write_text(json.dumps([{**ROW, "visitors": 7.5}]))
    torn.write_text("[{")

    refused = knownat("push", "latest", rows, "--key", "first", "--project", folder)
    wrong = knownat("push", "latest", torn, "--key", "first", "--project", folder)

    assert (refused.code, wrong.code) == (1, 2)
    assert "'visitors' is 7.5, expected int64" in refused.err
    assert "is not readable JSON" in wrong.err


def test_a_line_of_json_ends_with_its_newline_alone(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    shops = ["alma\u2028bella", "cora\x85dora"]
    file.write_text("\n".join(json.dumps({**ROW, "shop": shop}, ensure_ascii=False) for shop in shops) + "\r\n")

    answer = done("push", "latest", file, "--key", "first", "--project", folder, "--json").json

    assert answer["feature_rows"] == 2
