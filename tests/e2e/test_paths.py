"""Paths are names: whatever folders and files are called, every command works on exactly those, or says in a sentence
which name stands in the way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdk import connect, open_project
from tests.command import done, knownat
from tests.small_project import DEFINITIONS, NOW, SPINE, small_project

HOSTILE = r"""-[1] {a,b} *?!~ $HOME #&+%zz '"`;:@=()<>^| ünï🎉"""
FRAMES = """
visits = fs.FrameSource("visits", columns={"shop": fs.String, "at": fs.Timestamp, "n": fs.Int64}, event_timestamp="at")
visited = fs.FeatureView("visited", entity=shop, source=visits, features=["n"])
"""


def test_a_project_works_in_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / HOSTILE / HOSTILE
    project = small_project(folder)
    project.redefine(DEFINITIONS, DEFINITIONS + FRAMES)
    pq.write_table(SPINE, folder / "spine #1?.parquet")
    out = folder / "out [1]%20:#.parquet"

    with open_project(folder, settings={"serving_log": {"sample": 1}}) as opened:
        list(opened.apply())
        for number in range(21):  # a checkpoint is written at the twentieth commit
            rows = pa.table({"shop": ["alma"], "at": pa.array([NOW], pa.timestamp("us", tz="UTC")), "n": [number]})
            opened.push("visits", rows, key=f"{number}")
        list(opened.run_due())
        list(opened.materialize())
        answer = opened.client.online(service="shops_v1", entities=[{"shop": "alma", "basket": 1.0}])
        pushed = opened.client.online(features=["visited:n"], entities=[{"shop": "alma"}]).to_dicts()
    made = done(
        "training-set", "--project", folder, "--service", "shops_v1", "--spine", folder / "spine #1?.parquet",
        "--out", out, "--json",
    ).json  # fmt: skip
    rebuilt = folder / "again *.parquet"
    done("rebuild", made["id"], "--project", folder, "--out", rebuilt)
    for command in (["audit"], ["verify", "--deep"], ["gc", "--apply"], ["status"], ["skew"], ["plan"]):
        done(*command, "--project", folder)
    with connect(folder) as client:
        logged = client.serving_log()

    assert answer.to_dicts()[0]["shop_facts__visitors"] == 2**53 + 1
    assert pushed[0]["visited__n"] is not None
    assert pq.read_table(out).num_rows == SPINE.num_rows
    assert rebuilt.read_bytes() == out.read_bytes()
    assert logged.num_rows == 2
    assert [path.name for path in tmp_path.iterdir()] == [HOSTILE]


def test_a_project_does_not_read_what_lies_in_a_folder_that_its_name_matches(tmp_path: Path) -> None:
    values = {}
    for name in ("trial1", "trial[1]"):
        project = small_project(tmp_path / name)
        shutil.rmtree(project.folder / "data" / "orders")
        (project.folder / "data" / "orders").mkdir()
        project.append_orders("only", [("alma", NOW, float(len(name)))])
        spine = pa.table({"shop": ["alma"], "event_timestamp": pa.array([NOW], pa.timestamp("us", tz="UTC"))})
        with open_project(project.folder, settings={"clock": NOW.replace(hour=2)}) as opened:
            list(opened.apply())
            list(opened.materialize())
            later = spine.set_column(
                1, "event_timestamp", pa.array([NOW.replace(hour=2)], pa.timestamp("us", tz="UTC"))
            )
            pulled = opened.client.training_set(later, features=["shop_orders:amount_sum_7d"]).to_arrow()
            online = opened.client.online(features=["shop_orders:amount_sum_7d"], entities=[{"shop": "alma"}])
        values[name] = (pulled["shop_orders__amount_sum_7d"][0].as_py(), online.to_dicts()[0])

    for name, (pulled_value, answer) in values.items():
        assert (pulled_value, answer["shop_orders__amount_sum_7d"]) == (float(len(name)), float(len(name)))


@pytest.mark.parametrize("name", ["my%20project", "back\\slash", "new\nline", "%C3%BC"])
def test_a_name_that_tables_can_not_have_is_told_before_anything_is_written(tmp_path: Path, name: str) -> None:
    small_project(tmp_path / name)
    before = sorted(tmp_path.rglob("*"))

    ended = [
        knownat("apply", "--project", tmp_path / name, "--json"),
        knownat("init", tmp_path / f"new {name}", "--json"),
    ]

    for one in ended:
        assert one.code == 1
        assert one.error["code"] == "invalid_settings"
        assert "Rename that folder." in one.error["message"]
    assert sorted(tmp_path.rglob("*")) == before


def test_such_a_project_works_with_its_tables_elsewhere(tmp_path: Path) -> None:
    """Its state, its online store and its sources may be called anything."""
    folder = tmp_path / "my%20project\\x"
    small_project(folder)
    places = {"tables": f"{tmp_path}/tables", "frames": f"{tmp_path}/frames"}
    spill = {"spill_folder": f"{tmp_path}/spill"}
    settings = {"offline": places, "engine": spill, "serving_log": {"path": f"{tmp_path}/log"}}

    with open_project(folder, settings=settings) as opened:
        list(opened.apply())
        list(opened.materialize())
        answer = opened.client.online(features=["shop_facts:visitors"], entities=[{"shop": "alma"}])

    assert answer.to_dicts() == [{"shop_facts__visitors": 2**53 + 1}]


def test_init_and_files_may_begin_with_a_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done("init", "--", "-x")
    monkeypatch.chdir(tmp_path / "-x")
    done("apply")
    shutil.copy("data/checkouts.parquet", "-spine:1.parquet")

    done(
        "training-set",
        "--service",
        "checkout_v1",
        "--spine=-spine:1.parquet",
        "--label",
        "refunded",
        "--out=-a:b.parquet",
    )

    assert pq.read_table(tmp_path / "-x" / "-a:b.parquet").num_rows
