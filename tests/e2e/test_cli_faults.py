"""What the command does when something is wrong, changed by hand, interrupted or killed."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from featurestore.ports.online_store import OnlineTable
from sdk import open_project
from tests.command import done, knownat, started
from tests.stored_bytes import SqliteBytes, sealed

ONE_DAY = {"KNOWNAT_ENGINE__CHUNK_DAYS": "1"}


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was started, applied and materialized. Tests copy it before they change anything."""
    folder = tmp_path_factory.mktemp("projects") / "shop"
    done("init", folder)
    done("apply", "--project", folder)
    done("materialize", "--project", folder)
    return folder


@pytest.fixture
def shop(applied: Path, tmp_path: Path) -> Path:
    """A copy of its own for each test."""
    return Path(shutil.copytree(applied, tmp_path / "shop"))


def problems(shop: Path) -> list[dict[str, str]]:
    """The problems that a plan finds in the definitions."""
    ended = knownat("plan", "--project", shop, "--json")
    assert ended.code == 1
    assert ended.error["code"] == "invalid_definitions"
    found: list[dict[str, str]] = ended.error["details"]["problems"]
    return found


def declare(shop: Path, file: str, text: str) -> None:
    (shop / "definitions" / file).write_text(f"import featurestore as fs\n{text}\n")


def spine(shop: Path, name: str, **columns: str | None) -> Path:
    """The checkouts with columns renamed, or, for None, left out."""
    rows = pq.read_table(shop / "data" / "checkouts.parquet")
    kept = rows.select([column for column in rows.column_names if columns.get(column, "") is not None])
    renamed = kept.rename_columns([columns.get(column) or column for column in kept.column_names])
    pq.write_table(renamed, shop / name)
    return shop / name


def test_an_audit_finds_what_was_changed_by_hand(shop: Path) -> None:
    change_one_row(shop)

    ended = knownat("audit", "customer_orders", "--sample", 1000, "--project", shop)
    [view] = knownat("audit", "customer_orders", "--project", shop, "--json").json["views"]
    [difference] = view["differences"]

    assert ended.code == 1
    assert ended.out.startswith("1 difference:")
    assert difference["feature"] in ended.out
    assert difference["online"] != difference["offline"]
    assert list(difference["key"]) == ["customer_id"]
    assert difference["cause"] == "tampered"
    assert view["causes"][0]["remedy"] in ended.out


def test_an_audit_of_all_views_says_which_differ(shop: Path) -> None:
    clean = done("audit", "--project", shop, "--json").json
    change_one_row(shop)

    ended = knownat("audit", "--project", shop)
    told = knownat("audit", "--project", shop, "--json")

    assert [(view["view"], view["differences"]) for view in clean["views"]] == [
        ("customer_orders", []),
        ("last_visit", []),
    ]
    assert ended.code == told.code == 1
    assert [len(view["differences"]) for view in told.json["views"]] == [1, 0]
    assert told.json["views"][0]["differences"][0]["feature"] in ended.out
    assert "knownat materialize customer_orders --full" in ended.out


def test_an_audit_of_a_service_is_of_the_features_it_has(shop: Path) -> None:
    report = done("audit", "--service", "checkout_v1", "--project", shop, "--json").json

    assert (report["equal"], report["service"]) == (True, "checkout_v1")
    assert report["values"] == sum(view["values"] for view in report["views"]) > 0


def test_an_audit_tells_views_that_are_not_online(tmp_path: Path) -> None:
    done("init", tmp_path / "shop")
    done("apply", "--project", tmp_path / "shop")

    ended = knownat("audit", "--project", tmp_path / "shop")
    told = knownat("audit", "--project", tmp_path / "shop", "--json")

    assert ended.code == told.code == 1
    assert "2 views are not online" in ended.out
    assert "knownat materialize customer_orders" in ended.out
    assert [view["state"] for view in told.json["views"]] == ["not_materialized"] * 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("customer_orders", "--service", "x"),
        ("--service", "x", "--model", "y@1"),
        ("--sample", "0"),
        ("--sample", "100001"),
    ],
)
def test_an_audit_of_several_things_at_once_is_wrong_use(shop: Path, arguments: tuple[str, ...]) -> None:
    assert knownat("audit", *arguments, "--project", shop).code == 2


def test_materializing_in_full_heals_what_was_changed_by_hand(shop: Path) -> None:
    change_one_row(shop)

    done("materialize", "--full", "--project", shop)

    assert done("audit", "customer_orders", "--project", shop).out.startswith("0 differences")


def change_one_row(shop: Path) -> None:
    """Change one bit of the first number of one stored row of the view that is all numbers, as somebody who writes to
    the store does: with a check that is right."""
    with open_project(shop) as project:
        current = project._wired.features.project.catalog.current()
        assert current is not None
        table = OnlineTable.of(current.graph.view("customer_orders"))
        [key] = project._wired.features.online.store.sample_keys(table, 1)
    stored = SqliteBytes(shop / ".knownat" / "online.sqlite")
    row = bytearray(stored.get(table, key)[:-4])
    row[20 + 1 + 7] ^= 1  # after generation and times, and a byte for the nulls: the last byte of the first value
    stored.put(table, key, sealed(table, bytes(row)))


def test_a_syntax_error_and_a_wrong_declaration_are_told_together(shop: Path) -> None:
    declare(shop, "broken.py", "fs.Entity(")
    declare(shop, "wrong.py", "nobody = fs.Entity('no body', join_keys={'id': fs.Int64})")

    found = problems(shop)

    assert [problem["where"].rpartition("/")[2] for problem in found] == ["broken.py:2", "wrong.py:2"]
    assert "syntax error" in found[0]["what"]


def test_two_definitions_of_one_name_are_refused(shop: Path) -> None:
    declare(shop, "again.py", "customer = fs.Entity('customer', join_keys={'id': fs.String})")

    [problem] = problems(shop)

    assert "customer" in problem["what"]
    assert "shop.py:" in problem["what"] + problem["hint"] + problem["where"]


def test_every_missing_column_is_told_with_what_may_be_meant(shop: Path) -> None:
    definitions = shop / "definitions" / "shop.py"
    definitions.write_text(
        definitions.read_text().replace('fs.Aggregate("amount"', 'fs.Aggregate("amuont"').replace("seconds /", "secs /")
    )

    told = "\n".join(f"{problem['what']} {problem['hint']}" for problem in problems(shop))

    assert "amuont" in told
    assert "Did you mean 'amount'" in told
    assert "secs" in told


def test_what_is_applied_stays_while_definitions_are_wrong(shop: Path) -> None:
    declare(shop, "broken.py", "fs.Entity(")

    assert knownat("apply", "--project", shop).code == 1
    assert knownat("online", "--features", "last_visit:*", "--entity", "customer_id=7", "--project", shop).code == 0


def test_an_unknown_service_is_told_with_what_may_be_meant(shop: Path) -> None:
    ended = knownat("online", "--service", "chekout_v1", "--entity", "customer_id=7", "--project", shop, "--json")

    assert ended.code == 1
    assert ended.error["code"] == "unknown_name"
    assert ended.error["details"]["closest"] == ["checkout_v1"]
    assert ended.out == ""


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"event_timestamp": None}, "no timestamp column 'event_timestamp'"),
        ({"refunded": "basket_against_mean"}, "has the name of the feature basket_against_mean"),
        ({"customer_id": "customer"}, "no join key 'customer_id' (int64)"),
    ],
)
def test_a_spine_that_can_not_be_used_is_refused(shop: Path, columns: dict[str, str | None], told: str) -> None:
    wrong = spine(shop, "wrong.parquet", **columns)

    ended = knownat("training-set", "--service", "checkout_v1", "--spine", wrong, "--project", shop, "--json")

    assert ended.code == 1
    assert ended.error["code"] == "invalid_spine"
    assert told in ended.error["message"]
    assert ("--timestamp" in ended.error["message"]) == ("event_timestamp" in columns)


def test_before_apply_and_materialize_it_is_said_what_to_do(tmp_path: Path) -> None:
    done("init", tmp_path / "shop")
    asked = ("online", "--features", "last_visit:*", "--entity", "customer_id=7", "--project", tmp_path / "shop")

    unapplied = knownat(*asked)
    done("apply", "--project", tmp_path / "shop")
    not_online = knownat(*asked)

    assert unapplied.code == not_online.code == 1
    assert "knownat apply" in unapplied.err
    assert "knownat materialize" in not_online.err


def test_rows_that_are_left_out_are_counted(tmp_path: Path) -> None:
    done("init", tmp_path / "shop")
    file = tmp_path / "shop" / "data" / "visits.parquet"
    visits = pq.read_table(file)
    keys = visits["customer_id"].to_pylist()
    pq.write_table(visits.set_column(0, "customer_id", [[None, None, *keys[2:]]]), file)

    ended = done("apply", "--project", tmp_path / "shop")

    assert "Left out of last_visit: source rows 2 without a key" in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("bogus",),
        ("plan", "--bogus"),
        ("online", "--entity", "customer_id=7"),
        ("online", "--service", "checkout_v1"),
        ("online", "--service", "checkout_v1", "--entity", "customer_id"),
        ("online", "--service", "checkout_v1", "--entity", "customer_id=seven,basket=1"),
        ("online", "--service", "checkout_v1", "--entity", "customer_id=7", "--at", "tomorrow"),
        ("training-set", "--service", "checkout_v1", "--spine", "nowhere.parquet"),
        ("training-set", "--service", "checkout_v1", "--spine", __file__),
        ("register", "refunds", __file__),
        ("models", "alias", "refunds", "champion"),
        ("audit", "customer_orders", "--sample", "0"),
        ("status", "--url", "localhost:8765"),
        ("backfill", "--from", "2026-02-01", "--to", "2026-01-01"),
        ("backfill", "--from", "2026-01-01", "--to", "2026-01-01"),
    ],
)
def test_wrong_use_is_told_from_refusal(applied: Path, arguments: tuple[str, ...]) -> None:
    ended = knownat("--project", applied, *arguments, "--json")

    assert ended.code == 2
    assert ended.error["code"] == "wrong_use"
    assert "--help" in ended.error["message"]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("command", ["plan", "apply", "backfill", "materialize", "serve"])
def test_an_address_is_wrong_use_where_the_folder_is_needed(applied: Path, command: str, before: bool) -> None:
    url = ("--url", "http://127.0.0.1:1")

    ended = knownat(*url, command, "--project", applied) if before else knownat(command, *url)

    assert ended.code == 2
    told = f"{command} works on a project's folder: leave out --url and name it with --project. See"
    assert told in ended.err


@pytest.mark.parametrize("words", [("--url", "http://x", "init", "new"), ("init", "new", "--url", "http://x")])
def test_init_takes_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)

    ended = knownat(*words)

    assert ended.code == 2
    assert "init works on a project's folder, the one it names: leave out --url" in ended.err
    assert not (tmp_path / "new").exists()


def test_an_address_in_the_environment_gives_way_to_a_named_folder_alone(
    applied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(applied)
    monkeypatch.setenv("KNOWNAT_URL", "http://127.0.0.1:1")

    refused = knownat("plan")

    assert refused.code == 2
    assert "plan works on a project's folder: leave out KNOWNAT_URL and name it with --project" in refused.err
    assert done("plan", "--project", applied).out.strip() == "Nothing to do."
    monkeypatch.setenv("KNOWNAT_PROJECT", str(applied))
    assert done("plan").out.strip() == "Nothing to do."


def test_a_port_that_is_taken_is_told_in_one_line(applied: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = knownat("serve", "--port", port, "--project", applied)

    assert ended.code == 1
    assert ended.err == f"Error: Port {port} is taken on 127.0.0.1: choose another with --port\n"


def test_a_question_keeps_its_mark_and_gets_no_other() -> None:
    ended = knownat("plam")

    assert ended.code == 2
    assert "Did you mean 'plan'? See `" in ended.err


def test_a_folder_without_a_project_is_refused_in_a_sentence(tmp_path: Path) -> None:
    ended = knownat("plan", "--project", tmp_path)

    assert ended.code == 1
    assert ended.err.startswith(f"Error: {tmp_path} is not a Knownat project")
    assert "Traceback" not in ended.err


def test_a_killed_apply_goes_on_where_it_stopped(applied: Path, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    done("init", shop)
    stopped = apply_until(shop, chunks=20, stop=signal.SIGKILL)

    again = started("apply", "--project", shop, environment=ONE_DAY)
    _, progress = again.communicate(timeout=120)

    filled = len(progress.splitlines())
    assert stopped == -signal.SIGKILL
    assert again.returncode == 0
    assert 0 < filled <= 60 + 61 - 20  # the view without a hop is filled up to and with the last midnight
    assert results(shop) == results(applied)


def test_an_interrupted_apply_says_that_it_goes_on(tmp_path: Path) -> None:
    done("init", tmp_path / "shop")

    stopped = apply_until(tmp_path / "shop", chunks=5, stop=signal.SIGINT, told="goes on where this one stopped")

    assert stopped == 130
    assert done("apply", "--project", tmp_path / "shop").code == 0


def apply_until(shop: Path, *, chunks: int, stop: signal.Signals, told: str = "") -> int:
    """Apply day by day in a process of its own, stop it after so many chunks, and give its exit code."""
    process = started("apply", "--project", shop, environment=ONE_DAY)
    assert process.stderr is not None
    for _ in range(chunks):
        assert process.stderr.readline()
    process.send_signal(stop)
    _, rest = process.communicate(timeout=120)
    assert told in rest
    return process.returncode


def results(shop: Path) -> tuple[str, list[tuple[str, int]]]:
    """What a project answers: the bytes of a training set, and how many rows each view has."""
    data = shop / "data" / "checkouts.parquet"
    pulled = done("training-set", "--service", "checkout_v1", "--spine", data, "--project", shop, "--json").json
    views = done("status", "--project", shop, "--json").json["views"]
    return pulled["sha256"], [(view["view"], view["rows"]) for view in views]


def test_help_needs_nothing_heavy() -> None:
    script = "import sdk.cli.app, sys; print(*sorted({'pyarrow', 'duckdb', 'httpx', 'numpy'} & set(sys.modules)))"

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ended.stdout.strip() == ""
