"""Rows that are gone from a source, as people and schedules meet them on the command line."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from sdk import open_project
from tests.command import Ended, done, knownat
from tests.e2e.test_promises import HOUR, NOON, Folder

UPDATED = """
source = fs.ParquetSource("customers", path="*.parquet", event_timestamp="happened")
view = fs.FeatureView("view", entity=thing, source=source, features=["v"])
"""
TODAY = NOON - 12 * HOUR
ACCEPT = "backfill view --accept-removed --from 2024-03-09T00:00Z --to 2024-03-10T00:00Z"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A table with one row for each key, online, of which a key is updated and another one deleted."""
    (tmp_path / "knownat.toml").write_text(f'name = "removing"\nclock = {NOON.isoformat()}\n[engine]\nthreads = 1\n')
    folder = Folder(tmp_path)
    folder.define(UPDATED)
    folder.add("a", happened=TODAY - 20 * HOUR, known=NOON, value=1.0)
    folder.add("b", happened=TODAY - 20 * HOUR, known=NOON, value=2.0, key="b")
    done("apply", "--project", tmp_path)
    done("materialize", "--project", tmp_path)
    folder.add("a", happened=TODAY + HOUR, known=NOON, value=10.0)
    (tmp_path / "data" / "b.parquet").unlink()
    return folder


def command(folder: Folder, *words: str) -> Ended:
    return knownat(*words, "--project", folder.root)


def test_nothing_is_removed_and_the_fill_says_what_is_gone_and_what_to_do(folder: Folder) -> None:
    ended = command(folder, "backfill")

    assert ended.code == 1
    told = "Held in view: 2 rows that are gone from source 'customers', on [2024-03-09T00:00Z, 2024-03-10T00:00Z)."
    assert told in ended.out
    assert f"knownat {ACCEPT}" in ended.out
    assert 'removed_rows="follow"' in ended.out
    assert folder.trained(NOON, TODAY) == 1.0
    assert folder.trained(NOON, NOON) == 10.0


def test_a_schedule_says_it_each_time_and_does_nothing_again(folder: Folder) -> None:
    first, again = (command(folder, "run", "--due", "--json") for _ in range(2))

    assert (first.code, again.code) == (1, 1)
    assert [len(ended.json["filled"]) for ended in (first, again)] == [1, 0]
    assert [[one["rows"] for one in ended.json["held"]] for ended in (first, again)] == [[2], [2]]
    assert folder.online(NOON) == 10.0
    assert done("status", "--project", folder.root, "--json").json["views"][0]["held_rows"] == 2
    assert "holds 2 rows or tiles that are gone from its sources" in done("status", "--project", folder.root).out
    assert "Held in view: 2 rows" in done("plan", "--project", folder.root).out
    assert done("audit", "--project", folder.root).code == 0


def test_applying_fills_holds_and_says_it(folder: Folder) -> None:
    first, again = (command(folder, "apply") for _ in range(2))

    assert (first.code, again.code) == (1, 1)
    assert "Held in view: 2 rows" in first.out
    assert "Held in view: 2 rows" in again.out


def test_a_plan_says_which_rows_a_changed_view_leaves_behind(folder: Folder) -> None:
    command(folder, "run", "--due")
    assert done("plan", "--project", folder.root, "--json").json["left_behind"] == []
    folder.define(UPDATED.replace('features=["v"]', 'features=[fs.Feature("v", "v * 2")]'))

    ended = done("plan", "--project", folder.root)

    [left] = done("plan", "--project", folder.root, "--json").json["left_behind"]
    assert (left["view"], left["rows"]) == ("view", 2)
    assert f"Left behind in {left['table']}: 2 rows or tiles that are gone from its sources." in ended.out
    assert command(folder, "apply").code == 0
    assert folder.trained(NOON, TODAY) is None
    assert done("plan", "--project", folder.root, "--json").json["left_behind"] == []


def test_a_plan_says_that_what_was_captured_is_left_behind(folder: Folder) -> None:
    kept = UPDATED.replace('event_timestamp="happened"', 'event_timestamp="happened", removed_rows="keep"')
    folder.define(kept)
    done("apply", "--project", folder.root)
    folder.define(kept.replace('features=["v"]', 'features=[fs.Feature("v", "v * 2")]'))

    ended = done("plan", "--project", folder.root)

    assert "what was captured of earlier versions and of rows that are gone." in ended.out


def test_the_command_that_is_told_lets_the_rows_go(folder: Folder) -> None:
    command(folder, "run", "--due")

    command(folder, *ACCEPT.split())
    ended = command(folder, "run", "--due", "--json")

    assert (ended.code, ended.json["held"]) == (0, [])
    assert folder.trained(NOON, TODAY) is None
    with open_project(folder.root) as project:
        answer = project.client.online(entities=[{"k": "a"}, {"k": "b"}], features=["view:*"])
        assert [row["view__v"] for row in answer.statuses()] == ["present", "missing"]
        assert project.held_rows() == ()


def test_rows_that_are_back_end_it(folder: Folder) -> None:
    command(folder, "run", "--due")
    folder.add("old", happened=TODAY - 20 * HOUR, known=NOON, value=1.0)
    folder.add("b", happened=TODAY - 20 * HOUR, known=NOON, value=2.0, key="b")

    assert command(folder, "run", "--due").code == 0


def test_a_source_that_is_lost_as_a_whole_empties_nothing(folder: Folder) -> None:
    command(folder, "run", "--due")
    for file in (folder.root / "data").glob("*.parquet"):
        file.unlink()

    ended = command(folder, "run", "--due")

    assert ended.code == 1
    assert folder.trained(NOON, TODAY) == 1.0
    assert folder.online(NOON) == 10.0


def test_an_earlier_fingerprint_that_a_model_needs_goes_by_the_present_declaration(folder: Folder) -> None:
    spine = pa.table({"k": ["a"], "event_timestamp": pa.array([NOON], pa.timestamp("us", "UTC"))})
    with folder.at(NOON) as project:
        dataset = project.client.training_set(spine, features=["view:v"]).id
        project.client.register_model("model", b"bytes", dataset=dataset)
    command(folder, "run", "--due")
    changed = UPDATED.replace('features=["v"]', 'features=[fs.Feature("v", "v * 2")]')
    folder.define(changed.replace('event_timestamp="happened"', 'event_timestamp="happened", removed_rows="follow"'))

    command(folder, "apply")
    ended = command(folder, "run", "--due", "--json")

    assert (ended.code, ended.json["held"]) == (0, [])
    assert len({view["view"] for view in ended.json["filled"]}) == 1
    assert folder.trained(NOON, TODAY) is None


def test_what_a_run_captures_is_online_when_it_ends_though_time_goes_on(folder: Folder) -> None:
    (folder.root / "knownat.toml").write_text('name = "removing"\n[engine]\nthreads = 1\n')  # the machine's clock
    folder.define(UPDATED.replace('"happened"', '"happened", removed_rows="keep"'))
    for command_ in ("apply", "materialize"):
        done(command_, "--project", folder.root)
    folder.add("a", happened=TODAY + HOUR, known=NOON, value=11.0)

    done("run", "--due", "--project", folder.root)

    with open_project(folder.root) as project:
        [answer] = project.client.online(features=["view:v"], entities=[{"k": "a"}]).to_dicts()
    assert answer == {"view__v": 11.0}
