"""`knownat run --due`: what a schedule calls, as often as it likes, twice at once, and after a kill."""

from __future__ import annotations

import shutil
import signal
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.adapters.file_locks import FileLocks
from featurestore.operations.run_due import Busy, Refused
from sdk import open_project
from tests.command import Ended, done, knownat, started

LATER = "2026-02-01T06:30:00Z"


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was started, applied and materialized, with its clock standing a day later by now, and something
    that has happened since."""
    folder = tmp_path_factory.mktemp("projects") / "shop"
    done("init", folder)
    done("apply", "--project", folder)
    done("materialize", "--project", folder)
    settings = folder / "knownat.toml"
    lines = [line for line in settings.read_text().splitlines() if not line.startswith("clock")]
    settings.write_text("\n".join([f"clock = {LATER}", *lines]))
    _happen(folder / "data" / "orders.parquet", "ordered_at", "loaded_at")
    _happen(folder / "data" / "visits.parquet", "visited_at")
    return folder


def _happen(file: Path, *moments: str) -> None:
    """The file's last row happens again, shortly before the clock."""
    rows = pq.read_table(file)
    row = rows.slice(rows.num_rows - 1)
    for name in moments:
        later = pa.array([datetime.fromisoformat(LATER) - timedelta(minutes=70)], row[name].type)
        row = row.set_column(row.column_names.index(name), name, later)
    file.unlink()
    pq.write_table(pa.concat_tables([rows, row]), file)


@pytest.fixture
def shop(applied: Path, tmp_path: Path) -> Path:
    """A copy of its own for each test."""
    return Path(shutil.copytree(applied, tmp_path / "shop"))


def run(shop: Path, *more: object) -> Ended:
    return knownat("run", "--due", "--project", shop, "--json", *more)


def tables(shop: Path) -> list[str]:
    return [str(view["table"]) for view in done("status", "--project", shop, "--json").json["views"]]


def test_what_is_missing_is_filled_and_what_is_online_follows(shop: Path) -> None:
    first = run(shop)
    again = run(shop)

    assert (first.code, again.code) == (0, 0)
    assert {one["view"] for one in first.json["filled"]} == {"customer_orders", "last_visit"}
    online_to = {"customer_orders": "2026-02-01T06:00:00Z", "last_visit": LATER}
    assert {one["view"]: one["filled_to"] for one in first.json["materialized"]} == online_to
    assert again.json["filled"] == again.json["busy"] == again.json["refused"] == []
    statuses = done("status", "--project", shop, "--json").json["views"]
    assert {view["view"]: view["online_to"] for view in statuses} == online_to
    assert done("audit", "--project", shop).code == 0


def test_when_nothing_is_due_it_says_so(shop: Path) -> None:
    done("run", "--due", "--project", shop)

    assert done("run", "--due", "--project", shop).out == "Nothing was due.\n"


def test_a_view_that_nobody_asked_for_online_is_filled_only(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    done("init", shop)
    done("apply", "--project", shop)

    assert run(shop).json["materialized"] == []


def test_a_view_that_somebody_is_at_is_left_alone_and_the_others_are_done(shop: Path) -> None:
    [table] = [table for table in tables(shop) if table.startswith("customer_orders@")]

    with FileLocks(shop / ".knownat" / "locks").hold(table):
        ended = run(shop)
        told = done("run", "--due", "--project", shop).out
    after = run(shop)

    assert ended.code == 0
    assert {one["view"] for one in ended.json["filled"]} == {"last_visit"}
    [busy] = ended.json["busy"]
    assert busy["view"] == "customer_orders"
    assert f"customer_orders: left alone, {busy['holder']} is at it" in told
    assert {one["view"] for one in after.json["filled"]} == {"customer_orders"}


def test_a_view_that_is_refused_does_not_keep_the_others_from_being_done(shop: Path) -> None:
    (shop / "data" / "visits.parquet").unlink()

    ended = run(shop)

    assert ended.code == 1
    assert {one["view"] for one in ended.json["filled"]} == {"customer_orders"}
    assert [(one["view"], one["code"]) for one in ended.json["refused"]] == [("last_visit", "source_unreadable")]
    assert "last_visit: refused. source 'visits'" in knownat("run", "--due", "--project", shop).out


def test_some_views_are_named_either_way(shop: Path) -> None:
    named = run(shop, "--view", "last_visit")
    plain = run(shop, "customer_orders")

    assert {one["view"] for one in named.json["filled"]} == {"last_visit"}
    assert {one["view"] for one in plain.json["filled"]} == {"customer_orders"}


def test_without_saying_what_to_run_it_is_wrong_use(shop: Path) -> None:
    ended = knownat("run", "--project", shop)

    assert ended.code == 2
    assert "--due" in ended.err


def test_a_killed_run_keeps_nobody_from_going_on(shop: Path) -> None:
    settings = {"KNOWNAT_ENGINE__CHUNK_DAYS": "1", "KNOWNAT_CLOCK": "2026-03-20T00:00:00Z"}
    process = started("run", "--due", "--project", shop, environment=settings)
    assert process.stderr is not None
    process.stderr.readline()  # a chunk is done
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)

    ended = run(shop)

    assert (ended.code, ended.json["busy"]) == (0, [])
    assert done("audit", "--project", shop).code == 0


def test_two_runs_at_once_do_everything_once(shop: Path) -> None:
    processes = [started("run", "--due", "--project", shop, "--json") for _ in range(2)]
    ended = [process.communicate(timeout=120) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], ended
    assert done("audit", "--project", shop).code == 0
    assert run(shop).json["filled"] == []


def test_a_clock_that_went_back_is_told_by_every_command_that_fills(shop: Path) -> None:
    run(shop)
    settings = shop / "knownat.toml"
    settings.write_text(settings.read_text().replace(LATER, "2026-01-31T06:30:00Z"))

    commands = [("run", "--due"), ("backfill",), ("materialize",), ("apply",)]
    ended = [knownat(*command, "--project", shop) for command in commands]
    status = done("status", "--project", shop).out
    audited = knownat("audit", "--project", shop)

    assert [one.code for one in ended] == [1] * 4
    assert all("run --due --set-back" in one.out + one.err for one in (*ended, audited))
    assert "run --due --set-back last_visit fills it as of now" in " ".join(status.split())
    assert audited.code == 1
    done("run", "--due", "--set-back", "--project", shop)
    assert run(shop).json["refused"] == []
    assert done("audit", "--project", shop).code == 0


def test_a_program_gets_records(shop: Path) -> None:
    (shop / "data" / "visits.parquet").unlink()
    [table] = [table for table in tables(shop) if table.startswith("customer_orders@")]

    with FileLocks(shop / ".knownat" / "locks").hold(table), open_project(shop) as project:
        busy, refused = project.run_due()

    assert isinstance(busy, Busy)
    assert isinstance(refused, Refused)


def test_late_rows_are_told_on_the_command_line(shop: Path) -> None:
    definitions = shop / "definitions" / "shop.py"
    definitions.write_text(definitions.read_text().replace('"last_visit",', '"last_visit",\n    lateness="1d",', 1))
    done("apply", "--project", shop)
    done("backfill", "last_visit", "--recompute", "--project", shop)
    visits = pq.read_table(shop / "data" / "visits.parquet")
    (shop / "data" / "visits.parquet").unlink()
    pq.write_table(pa.concat_tables([visits, visits.slice(0, 2)]), shop / "data" / "visits.parquet")

    told = done("backfill", "--project", shop).out
    late = run(shop).json["late"]

    assert "Left out of last_visit: 2 rows that arrived later than its declared lateness, on [" in told
    assert "knownat backfill last_visit --recompute --from " in told
    assert [(one["view"], one["rows"]) for one in late] == [("last_visit", 2)]
    assert "2 rows that arrived later" in done("plan", "--project", shop).out
    statuses = {view["view"]: view["late_rows"] for view in done("status", "--project", shop, "--json").json["views"]}
    assert statuses == {"customer_orders": None, "last_visit": 2}
    command = next(line for line in told.splitlines() if "--recompute" in line).split("knownat ", 1)[1]
    done(*command.split(), "--project", shop)
    assert run(shop).json["late"] == []


def test_moments_of_a_backfill_go_by_from_and_to_and_by_start_and_end(shop: Path) -> None:
    by_from = ("--from", "2026-01-10", "--to", "2026-01-11")
    by_start = ("--start", "2026-01-10", "--end", "2026-01-11")

    filled = [
        done("backfill", "--view", "last_visit", "--recompute", *words, "--project", shop, "--json").json["done"]
        for words in (by_from, by_start)
    ]

    assert filled[0] == filled[1]
    assert filled[0][0]["interval"] == {"start": "2026-01-10T00:00:00Z", "end": "2026-01-11T00:00:00Z"}
