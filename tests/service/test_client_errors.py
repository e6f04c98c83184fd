"""What a client is told when something is wrong: the same typed error in this process and over HTTP, with what was
found, what was expected, and what to do."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore import errors
from registry import errors as registry_errors
from sdk import Client, KnownatError, connect, open_project
from sdk.errors import ServerFailed, ServerUnreachable, error_classes, restored_error
from tests.service.conftest import connected
from tests.small_project import SPINE, SmallProject, small_project

AFTER_ALL = datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))
ALMA = [{"shop": "alma", "basket": 1.0}]

Ask = Callable[[Client], object]


def spine(**columns: Any) -> pa.Table:
    """The spine with some of its columns replaced, or left out for None."""
    names = {name: SPINE[name] for name in SPINE.column_names} | columns
    return pa.table({name: column for name, column in names.items() if column is not None})


BAD: dict[str, tuple[Ask, type[KnownatError], str]] = {
    "unknown service": (
        lambda client: client.online(service="shop_v1", entities=ALMA),
        errors.UnknownName, "There is no feature service 'shop_v1'. Did you mean 'shops_v1'",
    ),
    "unknown view": (
        lambda client: client.training_set(SPINE, features=["shop_fact:city"]),
        errors.UnknownName, "There is no feature view 'shop_fact'. Did you mean 'shop_facts'",
    ),
    "unknown feature": (
        lambda client: client.online(features=["shop_facts:town"], entities=ALMA),
        errors.UnknownName, "There is no feature of view 'shop_facts' 'town'. There is: city",
    ),
    "no reference": (
        lambda client: client.online(features=["a:b:c"], entities=ALMA),
        errors.InvalidReference, "'a:b:c' is not a feature reference: write view:feature",
    ),
    "no features": (
        lambda client: client.online(features=[], entities=ALMA), errors.InvalidReference, "name at least one",
    ),
    "no choice": (lambda client: client.online(entities=ALMA), errors.InvalidRequest, "exactly one of .* none"),
    "two choices": (
        lambda client: client.online(service="a", model="b@1", entities=ALMA),
        errors.InvalidRequest, "exactly one of .* got service and model",
    ),
    "spine without timestamp": (
        lambda client: client.training_set(spine(event_timestamp=None), service="shops_v1"),
        errors.SpineError, "no timestamp column 'event_timestamp'.*timestamp=",
    ),
    "spine without key": (
        lambda client: client.training_set(spine(shop=None, shops=SPINE["shop"]), service="shops_v1"),
        errors.SpineError, r"no join key 'shop' \(string\). Did you mean 'shops'",
    ),
    "spine's key of the wrong type": (
        lambda client: client.training_set(spine(shop=pa.array(range(7))), service="shops_v1"),
        errors.SpineError, "join key 'shop' is int64, and string is needed",
    ),
    "spine that collides": (
        lambda client: client.training_set(spine(basket_share=pa.array(range(7))), service="shops_v1"),
        errors.SpineError, "'basket_share' has the name of the feature basket_share: rename",
    ),
    "spine that is none": (
        lambda client: client.training_set([1, 2], service="shops_v1"),
        errors.SpineError, "got builtins.list",
    ),
    "spine that is not there": (
        lambda client: client.training_set("/nowhere.parquet", service="shops_v1"),
        errors.SpineError, "is not there",
    ),
    "unknown label": (
        lambda client: client.training_set(SPINE, service="shops_v1", label="lat"),
        errors.SpineError, "no label column 'lat'. Did you mean 'late'",
    ),
    "entity without its key": (
        lambda client: client.online(service="shops_v1", entities=[{"shops": "alma", "basket": 1.0}]),
        errors.EntityRowsError, r"Row 0 has no 'shop' \(string\). Did you mean 'shops'",
    ),
    "entity's key of the wrong type": (
        lambda client: client.online(service="shops_v1", entities=[*ALMA, {"shop": 7, "basket": 1.0}]),
        errors.EntityRowsError, "Row 1: 'shop' is 7, expected string",
    ),
    "input of the wrong type": (
        lambda client: client.online(service="shops_v1", entities=[{"shop": "alma", "basket": "much"}]),
        errors.EntityRowsError, "Row 0: 'basket' is 'much', expected float64",
    ),
    "value of no type": (
        lambda client: client.online(service="shops_v1", entities=[{"shop": b"alma", "basket": 1.0}]),
        errors.EntityRowsError, "Row 0: 'shop' is b'alma'",
    ),
    "half a character": (
        lambda client: client.online(service="shops_v1", entities=[{"shop": "\ud800", "basket": 1.0}]),
        errors.EntityRowsError, r"'shop' is '\\ud800', expected string",
    ),
    "entities that are one": (
        lambda client: client.online(service="shops_v1", entities={"shop": "alma"}),
        errors.EntityRowsError, "a list of one row",
    ),
    "too many entities": (
        lambda client: client.online(service="shops_v1", entities=ALMA * 10_001),
        errors.EntityRowsError, "10001 rows .* 10000 may be",
    ),
    "unknown model": (
        lambda client: client.online(model="worth@1", entities=ALMA), registry_errors.ModelNotFound, "None exist yet",
    ),
    "model without a version": (
        lambda client: client.online(model="worth", entities=ALMA),
        registry_errors.InvalidModelReference, "write name@version or name@alias",
    ),
    "unknown dataset": (lambda client: client.dataset("abcdefabcdef"), errors.UnknownName, "There is no dataset"),
    "dataset that can not be": (lambda client: client.rebuild("../x"), errors.InvalidReference, "a dataset's id"),
    "unknown view to audit": (lambda client: client.audit("shop"), errors.UnknownName, "no feature view 'shop'"),
    "a moment after all others": (
        lambda client: client.online(service="shops_v1", entities=ALMA, at=AFTER_ALL),
        errors.InvalidRequest, "at is 9999-12-31T23:59:59.999999-05:00, which is no moment in UTC",
    ),
    "a sample that is true": (
        lambda client: client.audit("shop_facts", sample=True), errors.InvalidRequest, "sample is True",
    ),
    "examples that are true": (
        lambda client: client.skew(examples=True), errors.InvalidRequest, "examples is True",
    ),
    "audit of nothing": (lambda client: client.audit("shop_facts", sample=0), errors.InvalidRequest, "from 1 to"),
    "unknown node": (lambda client: client.lineage("view:nosuch"), errors.UnknownName, "node in the lineage"),
    "bad alias": (
        lambda client: client.models.set_alias("m", "v3", 1), registry_errors.InvalidAlias, "reads like a version",
    ),
    "alias of no model": (
        lambda client: client.models.set_alias("m", "champion", 1), registry_errors.ModelNotFound, "'m'",
    ),
    "artifact that is not there": (
        lambda client: client.register_model("m", "/nowhere", dataset="abcdef"),
        registry_errors.InvalidRegistration, "there is no file /nowhere",
    ),
    "registration that has more": (
        lambda client: client.register_model("m", b"m", dataset="abcdef", colour="red"),
        registry_errors.InvalidRegistration, "it has 'colour'",
    ),
    "model's name": (
        lambda client: client.register_model("a/b", b"m", dataset="abcdef"),
        registry_errors.InvalidRegistration, "without '/'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_a_typed_error_that_says_what_to_do(filled_clients: list[Client], case: str) -> None:
    ask, kind, message = BAD[case]
    told = []
    for client in filled_clients:
        with pytest.raises(kind, match=message) as caught:
            ask(client)
        told.append((type(caught.value), caught.value.message, caught.value.details))

    assert told[0] == told[1]


@pytest.fixture(scope="module")
def filled_clients(filled_folder: Path) -> Any:
    """Both transports to a project that these tests only read."""
    with connected(filled_folder, "path") as local, connected(filled_folder, "http") as remote:
        yield [local, remote]


@pytest.mark.parametrize("mode", ["path", "http"])
def test_nothing_can_be_looked_up_before_the_first_apply(tmp_path: Path, mode: str) -> None:
    small_project(tmp_path / "new")

    with connected(tmp_path / "new", mode) as client:
        for ask in (
            lambda: client.online(service="shops_v1", entities=ALMA),
            lambda: client.training_set(SPINE, service="shops_v1"),
            client.catalog,
            client.status,
            lambda: client.audit("shop_facts"),
        ):
            with pytest.raises(errors.NotApplied, match="knownat apply"):
                ask()


def test_an_applied_view_that_is_not_online_is_no_null(client: Client, project: SmallProject) -> None:
    (project.folder / ".knownat" / "online.sqlite").unlink()
    for leftover in (project.folder / ".knownat").glob("online.sqlite-*"):
        leftover.unlink()

    with pytest.raises(errors.NotMaterialized, match="knownat materialize"):
        client.online(service="shops_v1", entities=ALMA)


def test_a_model_without_a_dataset_has_no_features(client: Client) -> None:
    client.register_model("bought", b"m", no_dataset=True, no_dataset_reason="from a shop")

    with pytest.raises(errors.UnsupportedOperation, match=r"without a dataset \(from a shop\)"):
        client.online(model="bought@1", entities=ALMA)


def test_a_folder_that_is_no_project_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(errors.SettingsError, match="knownat init"):
        connect(tmp_path)


def test_settings_are_merged_over_the_file_and_belong_to_a_path(project: SmallProject) -> None:
    elsewhere = {"online": {"path": ".knownat/replay.sqlite"}}

    with connect(project.folder, settings=elsewhere) as client, pytest.raises(errors.NotMaterialized):
        client.online(service="shops_v1", entities=ALMA)
    with pytest.raises(errors.SettingsError, match=r"online.nosuch"):
        connect(project.folder, settings={"online": {"nosuch": 1}})
    with pytest.raises(errors.UnsupportedOperation, match="belong to the server"):
        connect("http://127.0.0.1:1", settings=elsewhere)


def test_a_server_that_is_not_there_is_told_apart() -> None:
    with connect("http://127.0.0.1:9") as client, pytest.raises(ServerUnreachable, match="knownat serve"):
        client.status()


def test_an_address_of_something_else_is_told_apart(address: str) -> None:
    with connect(f"{address}/nosuch") as client, pytest.raises(ServerFailed, match="404"):
        client.status()


@pytest.mark.parametrize("text", ["syntax", "twice", "missing column"])
def test_definitions_that_can_not_be_say_where(project: SmallProject, text: str) -> None:
    old, new, message = {
        "syntax": ("shops_v1 = ", "shops_v1 == = ", r"shops.py:\d+: syntax error"),
        "twice": ('fs.Entity("shop",', 'fs.Entity("shop", join_keys={"shop": fs.Int64}), fs.Entity("shop",', "'shop'"),
        "missing column": ('fs.Feature("score")', 'fs.Feature("skore")', "score"),
    }[text]
    project.redefine(old, new)
    if text == "twice":
        project.redefine("shop = fs.Entity", "other, shop = fs.Entity")

    with open_project(project.folder) as opened, pytest.raises(errors.DefinitionsError, match=message):
        opened.plan()


def test_every_error_is_the_same_class_again_at_the_client() -> None:
    samples = [
        errors.UnknownName("dataset", "abx", ["abc"]),
        errors.DefinitionsError([errors.Problem("a.py:1", "wrong", "do it right")]),
        registry_errors.VersionNotFound("m", 3, [1]),
        registry_errors.AliasNotFound("m", "champion", ["champio"]),
        registry_errors.InvalidRegistration("m", ["one", "two"]),
        registry_errors.RegistrationKeyReused("m", "k", 1),
        errors.SpineError("no"),
    ]

    for error in samples:
        restored = restored_error(error.code, error.message, error.details)
        assert (type(restored), str(restored)) == (type(error), str(error))
        assert restored is not None
        assert restored.details == error.details


def test_codes_are_unique() -> None:
    modules = (errors, registry_errors)
    classes = [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, KnownatError) and value.__module__ == module.__name__
    ]

    assert len({found.code for found in classes}) == len(classes) == len(error_classes())


def test_a_spine_without_a_zone_or_with_nanoseconds_is_read_as_utc(client: Client, tmp_path: Path) -> None:
    naive = spine(event_timestamp=SPINE["event_timestamp"].cast(pa.timestamp("ns")))
    pq.write_table(naive, tmp_path / "naive.parquet")

    pulled = client.training_set(tmp_path / "naive.parquet", features=["shop_facts:city"]).to_arrow()

    expected = client.training_set(SPINE, features=["shop_facts:city"]).to_arrow()
    assert pulled["shop_facts__city"].equals(expected["shop_facts__city"])


def test_a_lookup_over_http_has_the_deadline_that_its_caller_gives() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"

        with connect(address, lookup_seconds=0.2) as client, pytest.raises(ServerUnreachable, match="in time"):
            client.online(service="shops_v1", entities=ALMA)


def test_a_lookup_in_this_process_has_the_deadline_that_its_caller_gives(filled_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        online = {"url": f"redis://127.0.0.1:{silent.getsockname()[1]}"}

        with (
            connect(filled_folder, settings={"online": online}, lookup_seconds=0.2) as client,
            pytest.raises(errors.StoreUnavailable, match=r"[Dd]eadline|[Tt]ime"),
        ):
            client.online(service="shops_v1", entities=ALMA)
