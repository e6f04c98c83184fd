"""The whole story on the command line, in a project that `knownat init` has started."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from signal import SIGINT
from socket import socket

import pyarrow.parquet as pq
import pytest

from tests.command import Ended, done, knownat, started


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was started, applied and materialized. Tests share it and only add to it."""
    folder = tmp_path_factory.mktemp("projects") / "shop"
    done("init", folder)
    done("apply", "--project", folder)
    done("materialize", "--project", folder)
    return folder


@pytest.fixture(scope="module")
def dataset(shop: Path) -> str:
    """The id of a training set of the shop."""
    return str(pull(shop, "--json").json["id"])


def pull(shop: Path, *more: object) -> Ended:
    spine = shop / "data" / "checkouts.parquet"
    return done("training-set", "--project", shop, "--service", "checkout_v1", "--spine", spine, *more)


def look_up(shop: Path, *more: object) -> Ended:
    return knownat("online", "--project", shop, "--entity", "customer_id=7,basket=80", "--json", *more)


def test_a_started_project_says_what_it_would_do(tmp_path: Path) -> None:
    started = done("init", tmp_path / "shop")

    plan = done("plan", "--project", tmp_path / "shop")

    assert "knownat plan" in started.out
    assert "+ view:customer_orders: orders_1d, orders_7d" in plan.out
    assert "[2025-12-02T00:00Z, 2026-01-31T00:00Z), about" in plan.out
    assert "knownat apply" in plan.out
    assert not (tmp_path / "shop" / ".knownat" / "tables").exists()


def test_a_plan_says_the_same_to_scripts(tmp_path: Path) -> None:
    done("init", tmp_path / "shop")

    plan = done("plan", "--project", tmp_path / "shop", "--json").json

    assert not plan["nothing_to_do"]
    assert [stage["stage"] for stage in plan["stages"]] == [*["create_table", "backfill"] * 2, "promote"]
    assert plan["stages"][1]["intervals"] == [{"start": "2025-12-02T00:00:00Z", "end": "2026-01-31T00:00:00Z"}]


def test_after_apply_there_is_nothing_to_do(shop: Path) -> None:
    assert done("plan", "--project", shop).out.strip() == "Nothing to do."
    assert done("apply", "--project", shop, "--json").json["done"] == []
    assert done("backfill", "--project", shop, "--json").json["done"] == []


def test_apply_names_the_views_that_are_not_online_up_to_date(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    done("init", shop)

    first = done("apply", "--project", shop).out
    done("materialize", "last_visit", "--project", shop)
    second = done("apply", "--project", shop).out
    done("materialize", "--project", shop)
    third = done("apply", "--project", shop).out

    assert "Next: knownat materialize customer_orders last_visit, then knownat online" in first
    assert second.startswith("Nothing to do.\nNext: knownat materialize customer_orders, then knownat online")
    assert third == "Nothing to do.\nNext: knownat online or knownat training-set\n"


def test_apply_says_what_it_brought_online_and_that_nothing_was_filled(shop: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(shop, tmp_path / "shop"))
    definitions = copy / "definitions" / "shop.py"
    text = definitions.read_text()

    definitions.write_text(text + '\nvisits_v1 = fs.FeatureService("visits_v1", features=[last_visit])\n')
    promoted = done("apply", "--project", copy).out
    definitions.write_text(text.replace('windows=["1d"', 'windows=["2d"', 1))
    refilled = done("apply", "--project", copy).out

    assert "Applied: nothing was to be filled, and readers see these definitions." in promoted
    assert "customer_orders went online, and readers see these definitions." in refilled
    assert promoted.endswith("Next: knownat online or knownat training-set\n")
    assert refilled.endswith("Next: knownat online or knownat training-set\n")


def test_a_dataset_that_nobody_uses_is_named_once_among_what_is_kept(shop: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(shop, tmp_path / "shop"))
    definitions = copy / "definitions" / "shop.py"
    spine = copy / "data" / "checkouts.parquet"
    unused = done(
        "training-set", "--project", copy, "--features", "customer_orders:*", "--spine", spine, "--json"
    ).json["id"]
    definitions.write_text(definitions.read_text().replace('windows=["1d"', 'windows=["2d"', 1))

    kept = done("plan", "--project", copy).out.partition("they have:\n")[2]

    assert f"  dataset:{unused[:12]}\n" in kept


def test_two_started_projects_are_the_same(shop: Path, tmp_path: Path) -> None:
    done("init", tmp_path / "shop")

    files = [path.relative_to(shop) for folder in ("data", "definitions") for path in (shop / folder).iterdir()]

    assert len(files) == 4
    assert all((shop / file).read_bytes() == (tmp_path / "shop" / file).read_bytes() for file in files)


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    done("init", tmp_path)
    (tmp_path / "definitions" / "shop.py").write_text("mine, too")

    again = knownat("init", tmp_path, "--json")

    assert again.code == 1
    assert again.error["code"] == "folder_in_use"
    assert (tmp_path / "README.md").read_text() == "mine"
    assert (tmp_path / "definitions" / "shop.py").read_text() == "mine, too"


def test_a_project_is_found_from_below(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop / "definitions")

    assert done("plan").out.strip() == "Nothing to do."


def test_the_environment_and_the_first_words_name_the_project_too(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert done("--project", shop, "--json", "plan").json["nothing_to_do"]

    monkeypatch.setenv("KNOWNAT_PROJECT", str(shop))

    assert done("plan").out.strip() == "Nothing to do."


def test_a_training_set_is_written_and_told_of(shop: Path, tmp_path: Path) -> None:
    told = pull(shop, "--label", "refunded", "--out", tmp_path / "rows.parquet", "--json").json

    rows = pq.read_table(tmp_path / "rows.parquet")
    assert told["rows"] == rows.num_rows > 200
    assert rows.column_names[:4] == ["customer_id", "event_timestamp", "basket", "refunded"]
    assert rows.column_names[-1] == "basket_against_mean"
    assert told["warnings"] == []


def test_the_same_pull_has_the_same_id_in_words(shop: Path, dataset: str) -> None:
    assert f"dataset  {dataset}" in pull(shop).out


def test_a_dataset_is_rebuilt_to_the_same_bytes(shop: Path, dataset: str) -> None:
    told = done("rebuild", dataset[:12], "--project", shop, "--json").json

    assert told["equal"]
    assert told["id"] == dataset


def test_a_lookup_shows_values_with_their_statuses(shop: Path) -> None:
    told = look_up(shop, "--service", "checkout_v1", "--entity", "customer_id=20,basket=80").json

    known, unknown = told["rows"]
    assert known["entity"] == {"customer_id": 7, "basket": 80.0}
    assert set(known["statuses"].values()) == {"present"}
    assert unknown["values"]["customer_orders__orders_30d"] == 0
    assert unknown["statuses"]["last_visit__device"] == "missing"


def test_a_lookup_of_some_features_reads_as_a_table(shop: Path) -> None:
    told = done("online", "--project", shop, "--features", "last_visit:device", "--entity", "customer_id=7")

    assert "last_visit__device" in told.out
    assert "present" in told.out
    assert "as of 2026-01-31T00:00Z" in told.out


def test_entities_come_from_a_file_as_well(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "entities.json"
    file.write_text(json.dumps([{"customer_id": 7}, {"customer_id": None}]))

    told = done("online", "--project", shop, "--features", "last_visit:*", "--entities", file, "--json").json

    assert [row["statuses"]["last_visit__device"] for row in told["rows"]] == ["present", "missing"]


def test_a_model_is_looked_up_by_its_alias(shop: Path, dataset: str, tmp_path: Path) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    done("register", "refunds", model, "--dataset", dataset[:12], "--metric", "auc=0.7", "--project", shop)
    done("models", "alias", "refunds", "champion", 1, "--project", shop)

    told = look_up(shop, "--model", "refunds@champion").json

    assert told["rows"] == look_up(shop, "--service", "checkout_v1").json["rows"]
    assert done("models", "show", "refunds@champion", "--project", shop, "--json").json["metrics"] == {"auc": 0.7}
    assert "champion → 1" in done("models", "list", "--project", shop).out
    tree = done("lineage", "alias:refunds@champion", "--project", shop).out
    assert "source:orders.amount" in tree
    assert "source:orders.loaded_at (decides which rows count)" in tree


def test_an_alias_is_removed(shop: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    done("register", "trial", model, "--no-dataset", "made by hand", "--project", shop)
    done("models", "alias", "trial", "champion", 1, "--project", shop)

    done("models", "alias", "trial", "champion", "--remove", "--project", shop)

    assert knownat("models", "show", "trial@champion", "--project", shop, "--json").error["code"] == "alias_not_found"


def test_metrics_that_json_does_not_know_are_spelled_out(shop: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")

    told = done("register", "odd", model, "--no-dataset", "a test", "--metric", "loss=nan", "--project", shop, "--json")

    assert told.json["metrics"] == {"loss": "NaN"}


def test_models_without_a_command_lists_them(shop: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    done("register", "listed", model, "--no-dataset", "a test", "--project", shop)

    listed = done("models", "list", "--project", shop, "--json").out

    assert "listed" in listed
    assert done("models", "--project", shop, "--json").out == listed
    assert done("--project", shop, "models", "--json").out == listed
    assert done("models", "--project", shop, "--json", "list").out == listed


def test_the_version_is_the_installed_one() -> None:
    assert done("--version").out == f"knownat {version('knownat')}\n"


def test_lineage_goes_down_to_a_depth(shop: Path) -> None:
    told = done("lineage", "source:orders.amount", "--down", "--depth", 1, "--project", shop, "--json").json

    urns = [branch["urn"].partition("@")[0] for branch in told["branches"]]
    assert "feature:customer_orders.amount_mean_30d" in urns
    assert all(branch["branches"] == [] and branch["more"] > 0 for branch in told["branches"])


def test_status_tells_how_far_each_view_is(shop: Path) -> None:
    told = done("status", "--project", shop, "--json").json

    assert [view["view"] for view in told["views"]] == ["customer_orders", "last_visit"]
    assert {view["online_to"] for view in told["views"]} == {"2026-01-31T00:00:00Z"}
    assert "2026-01-31T00:00Z" in done("status", "--project", shop).out


def test_a_served_project_answers_the_same(shop: Path) -> None:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = started("serve", "--port", port, "--project", shop)
    try:
        assert server.stderr is not None
        assert any("Uvicorn running" in line for line in server.stderr)
        served = done("status", "--url", f"http://127.0.0.1:{port}", "--json")
        looked_up = look_up(shop, "--service", "checkout_v1", "--url", f"http://127.0.0.1:{port}")
    finally:
        server.send_signal(SIGINT)
        server.communicate(timeout=60)

    assert server.returncode == 0
    assert served.out == done("status", "--project", shop, "--json").out
    assert looked_up.json["rows"] == look_up(shop, "--service", "checkout_v1").json["rows"]


def test_a_corrected_past_is_filled_again_and_goes_online(shop: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(shop, tmp_path / "shop"))
    visits = pq.read_table(copy / "data" / "visits.parquet")
    pq.write_table(visits.slice(0, visits.num_rows - 200), copy / "data" / "visits.parquet")

    held = knownat("backfill", "--project", copy, "--json")
    filled = done("backfill", "--accept-removed", "--project", copy, "--json").json["done"]
    done("materialize", "last_visit", "--project", copy)

    assert held.code == 1
    assert held.json["done"][0]["interval"]["start"] == "2025-12-02T00:00:00Z"
    assert {one["view"] for one in filled} == {"last_visit"}
    assert done("backfill", "--project", copy, "--json").json["done"] == []
    assert done("audit", "last_visit", "--project", copy, "--json").json["equal"] is True


def test_what_is_filled_is_computed_again_on_request(shop: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(shop, tmp_path / "shop"))

    filled = done("backfill", "last_visit", "--start", "2026-01-10", "--recompute", "--project", copy, "--json").json

    assert filled["done"][0]["interval"]["start"] == "2026-01-10T00:00:00Z"
