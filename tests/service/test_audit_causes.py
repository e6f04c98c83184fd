"""Each kind of fault, seeded alone in a small project, in the embedded store and in Redis: an audit finds exactly the
values that differ for it, and says the cause."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from struct import pack, unpack

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from redis import Redis

from registry.wiring import open_project as wire_folder
from sdk import connect, open_project
from tests.audited_shop import Shop, causes, materialized, told
from tests.online_rows import mark
from tests.small_project import BIG, DAY, FACTS, MOMENT, NOW, SPINE, SmallProject, small_project
from tests.stored_bytes import RedisBytes, SqliteBytes

HOUR = timedelta(hours=1)
EARLIER = NOW - DAY
MORE_FACTS = pa.table(
    {
        "shop": ["alma"],
        "recorded_at": pa.array([NOW - 12 * HOUR], MOMENT),
        "score": [0.7],
        "visitors": pa.array([BIG + 2], pa.int64()),
        "city": ["Łódź "],
        "opened": pa.array([NOW - timedelta(microseconds=1)], MOMENT),
    }
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project with a second fact of one shop, applied and not online. Copy it; never change it."""
    project = small_project(tmp_path_factory.mktemp("audited") / "shops")
    pq.write_table(pa.concat_tables([FACTS, MORE_FACTS]), project.folder / "data" / "facts.parquet")
    with open_project(project.folder) as opened:
        list(opened.apply())
    return project.folder


@pytest.fixture(scope="module")
def earlier(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of alma's rows as a materialization up to EARLIER writes them."""
    project = SmallProject(Path(shutil.copytree(filled, tmp_path_factory.mktemp("earlier") / "shops")))
    then = materialized(Shop(project, SqliteBytes(project.folder / ".knownat" / "online.sqlite")), until=EARLIER)
    return {view: then.stored.get(then.table(view), ("alma",)) for view in ("shop_orders", "shop_facts")}


@pytest.fixture(params=["embedded", "redis"])
def shop(
    request: pytest.FixtureRequest, filled: Path, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    project = SmallProject(Path(shutil.copytree(filled, tmp_path / "shops")))
    if request.param == "redis":
        monkeypatch.setenv("KNOWNAT_ONLINE__URL", redis_url)
        monkeypatch.setenv("KNOWNAT_NAME", tmp_path.name)
        with Redis.from_url(redis_url) as client:
            yield materialized(Shop(project, RedisBytes(client, tmp_path.name)))
    else:
        yield materialized(Shop(project, SqliteBytes(project.folder / ".knownat" / "online.sqlite")))


def test_where_nothing_was_touched_nothing_differs(shop: Shop) -> None:
    report = shop.audit()

    assert report.equal
    assert [(view.view, view.state, view.at, view.differing, view.notes) for view in report.views] == [
        ("shop_orders", "compared", NOW, 0, ()),
        ("shop_facts", "compared", NOW, 0, ()),
    ]
    assert [(view.keys, view.values) for view in report.views] == [(4, 20), (5, 20)]


@pytest.mark.parametrize("sample", [1, 2, 3])
def test_no_more_keys_are_compared_than_were_asked_for_of_each_side(shop: Shop, sample: int) -> None:
    report = shop.audit(sample=sample)

    assert report.equal
    assert all(sample <= view.keys <= 2 * sample for view in report.views)
    assert [view.values for view in report.views] == [report.views[0].keys * 5, report.views[1].keys * 4]


def test_a_row_that_was_filled_after_the_copy_is_late(shop: Shop) -> None:
    shop.project.append_orders("late", [("alma", NOW - 2 * HOUR, 5.0)])
    shop.add_facts({"shop": "ботик", "recorded_at": NOW - HOUR, "score": 2.0, "visitors": 3})
    shop.backfill()

    orders, facts = shop.audit("shop_orders", "shop_facts").views

    assert causes(orders) == {"late_row": 5}
    assert causes(facts) == {"late_row": 4}
    assert told(facts)[0][:3] == ("ботик", "shop_facts:score", pytest.approx(float("nan"), nan_ok=True))
    assert materialized(shop).audit().equal


def test_a_late_row_is_told_although_what_was_copied_can_not_be_read_any_more(shop: Shop) -> None:
    shop.add_facts({"shop": "ботик", "recorded_at": NOW - HOUR, "score": 2.0, "visitors": 3})
    shop.backfill()
    with open_project(shop.project.folder) as opened:
        assert list(opened.collect_garbage(opened.garbage(grace=timedelta(0))))

    found = shop.audit_one("shop_facts")

    assert causes(found) == {"late_row": 4}
    assert "can not be read any more" in found.differences[0].evidence


def test_the_first_row_of_a_key_that_was_filled_after_the_copy_is_late(shop: Shop) -> None:
    shop.add_facts({"shop": "newer", "recorded_at": NOW - HOUR, "score": 2.0, "visitors": 3})
    shop.backfill()

    found = shop.audit_one("shop_facts")

    assert causes(found) == {"late_row": 2}
    assert told(found) == [
        ("newer", "shop_facts:score", None, 2.0, "missing"),
        ("newer", "shop_facts:visitors", None, 3, "missing"),
    ]


@pytest.mark.parametrize(("view", "differing"), [("shop_orders", 4), ("shop_facts", 3)])
def test_a_row_of_an_earlier_moment_is_a_stale_materialization(
    shop: Shop, earlier: dict[str, bytes], view: str, differing: int
) -> None:
    shop.stored.put(shop.table(view), ("alma",), earlier[view])

    found = shop.audit_one(view)

    assert causes(found) == {"stale_materialization": differing}
    assert {one.key["shop"] for one in found.differences} == {"alma"}
    assert materialized(shop, full=True).audit().equal


def test_a_store_that_was_marked_beyond_what_was_copied_is_a_stale_materialization(shop: Shop) -> None:
    shop.add_facts({"shop": "newer", "recorded_at": NOW + HOUR, "score": 2.0, "visitors": 3})
    shop.backfill(clock=NOW + 3 * HOUR)
    wired = wire_folder(shop.project.folder)
    mark(wired.features.online.store, shop.table("shop_facts"), NOW + 2 * HOUR)
    wired.close()

    found = shop.audit_one("shop_facts", clock=NOW + 3 * HOUR)

    assert causes(found) == {"stale_materialization": 2}
    assert {row[0] for row in told(found)} == {"newer"}


def test_another_definition_that_is_online_is_compared_with_the_one_asked_for(shop: Shop) -> None:
    shop.project.redefine('fs.Feature("score")', 'fs.Feature("score", "score * 2")')
    apply_without_materializing(shop, "shop_facts")

    found = shop.audit_one("shop_facts")

    assert (found.state, found.equal) == ("not_materialized", False)
    assert causes(found) == {"changed_definition": 1}
    assert told(found) == [("alma", "shop_facts:score", 0.7, 1.4, "present")]
    assert "another definition" in found.notes[0]
    assert materialized(shop).audit().equal


def test_a_model_is_audited_at_the_definitions_that_it_pins(shop: Shop) -> None:
    with connect(shop.project.folder) as client:
        dataset = client.training_set(SPINE, service="shops_v1")
        client.register_model("worth", b"m", dataset=dataset.id)
    pinned = shop.table("shop_facts").name
    shop.project.redefine('fs.Feature("score")', 'fs.Feature("score", "score * 2")')
    apply_without_materializing(shop, "shop_facts")

    with connect(shop.project.folder) as client:
        of_model, of_service = client.audits(model="worth@1"), client.audits(service="shops_v1")

    assert of_model.equal
    assert [view.table for view in of_model.views][1] == pinned
    assert f"Pinned is {pinned}" in of_model.views[1].notes[0]
    assert [causes(view) for view in of_service.views] == [{}, {"changed_definition": 1}]


def apply_without_materializing(shop: Shop, view: str) -> None:
    """As an apply that was stopped leaves it; the definition before stays online."""
    with open_project(shop.project.folder) as opened:
        list(opened.apply())
    table = shop.table(view)
    wired = wire_folder(shop.project.folder)
    wired.features.online.store.drop(table)
    wired.features.online.progress.forget(wired.features.online.address, table.name)
    wired.close()


@pytest.mark.parametrize("shop", ["redis"], indirect=True)
def test_rows_that_the_store_let_go_under_a_shorter_ttl_have_expired(shop: Shop) -> None:
    assert isinstance(shop.stored, RedisBytes)
    before = shop.stored.dump()
    raise_ttl(shop)
    shop.stored.restore(before)  # as a server does that lost what came after its last snapshot
    shop.stored.remove(shop.table("shop_facts"), ("closed",))

    found = shop.audit_one("shop_facts")

    assert (found.state, causes(found)) == ("not_materialized", {"expired": 4})
    assert {row[0] for row in told(found)} == {"closed"}
    assert "keeps each for 31d" in found.differences[0].evidence
    assert "shorter TTL" in found.notes[0]
    assert materialized(shop).audit().equal


def test_raising_a_ttl_makes_no_difference(shop: Shop) -> None:
    raise_ttl(shop)

    assert shop.audit().equal


def raise_ttl(shop: Shop) -> None:
    shop.project.redefine('ttl="30d"', 'ttl="60d"')
    with open_project(shop.project.folder) as opened:
        list(opened.apply())


def test_a_row_that_is_gone_has_expired_where_its_time_is_over_by_now(shop: Shop) -> None:
    shop.stored.remove(shop.table("shop_facts"), ("ботик",))

    at_once, later = (shop.audit_one("shop_facts", clock=clock) for clock in (NOW, NOW + 28 * DAY))

    assert causes(at_once) == {"tampered": 4}
    assert causes(later) == {"tampered" if isinstance(shop.stored, SqliteBytes) else "expired": 4}


def test_a_row_whose_time_was_moved_beyond_the_ttl_has_expired_on_one_side(shop: Shop) -> None:
    shop.change("shop_facts", "alma", event_timestamp=NOW - 40 * DAY)
    shop.change("shop_facts", "closed", event_timestamp=NOW - DAY, known_at=NOW - DAY)

    found = shop.audit_one("shop_facts")

    assert causes(found) == {"expired": 8}
    assert {(row[0], row[4]) for row in told(found)} == {("alma", "expired"), ("closed", "present")}


def test_a_value_that_a_conversion_changed_is_an_encoding(shop: Shop) -> None:
    [rounded] = unpack("<f", pack("<f", 0.7))
    shop.change("shop_facts", "alma", score=rounded, visitors=BIG + 3, city="Łódź", opened=NOW - timedelta(seconds=1))
    shop.change("shop_facts", "ботик", score=None)

    found = shop.audit_one("shop_facts")

    assert causes(found) == {"encoding": 5}
    assert "rounded to 32 bits" in found.differences[0].evidence


@pytest.mark.parametrize(("at", "is_cut"), [(24 + 1 + 24, False), (21, False), (40, True), (3, True)])
def test_bytes_that_are_no_row_are_told_for_their_key_and_hide_no_other(shop: Shop, at: int, is_cut: bool) -> None:
    table = shop.table("shop_facts")
    row = shop.stored.get(table, ("alma",))
    shop.stored.put(table, ("alma",), row[:at] if is_cut else row[:at] + bytes([row[at] ^ 0xFF]) + row[at + 1 :])
    shop.change("shop_facts", "ботик", visitors=7)

    found = shop.audit_one("shop_facts")

    assert causes(found) == {"encoding": 4, "tampered": 1}
    assert {(row[0], row[4]) for row in told(found)} == {("alma", "unreadable"), ("ботик", "present")}


def test_keys_that_can_not_be_read_are_told_and_the_others_compared(shop: Shop) -> None:
    table = shop.table("shop_facts")
    shop.stored.put_under(table, b"\xc1", shop.stored.get(table, ("alma",)))
    shop.change("shop_facts", "ботик", visitors=7)

    found = shop.audit_one("shop_facts")

    assert causes(found) == {"encoding": 1, "tampered": 1}
    assert [(dict(one.key), one.feature) for one in found.differences] == [
        ({}, "shop_facts:*"),
        ({"shop": "ботик"}, "shop_facts:visitors"),
    ]


def test_a_value_that_was_written_over_is_tampered(shop: Shop) -> None:
    shop.change("shop_facts", "alma", visitors=7)
    shop.change("shop_orders", "alma", orders_7d=3)

    orders, facts = shop.audit().views

    assert causes(orders) == causes(facts) == {"tampered": 1}
    assert told(facts) == [("alma", "shop_facts:visitors", 7, BIG + 2, "present")]


def test_a_row_that_was_removed_or_invented_is_tampered(shop: Shop) -> None:
    facts = shop.table("shop_facts")
    row = shop.stored.get(facts, ("alma",))
    shop.stored.remove(facts, ("alma",))
    shop.stored.put(facts, ("nobody",), row)
    shop.stored.remove(shop.table("shop_orders"), ("alma",))

    orders, found = shop.audit().views

    assert causes(found) == {"tampered": 8}
    assert {(row[0], row[4]) for row in told(found)} == {("alma", "missing"), ("nobody", "present")}
    assert causes(orders) == {"tampered": 5}


def test_a_row_pushed_since_is_compared_at_its_own_moment(shop: Shop) -> None:
    table, at = shop.table("shop_facts"), NOW + HOUR
    shop.add_facts({"shop": "alma", "recorded_at": at, "score": 2.0, "visitors": 3, "city": "x", "opened": NOW})
    values: dict[str, object] = {"score": 2.0, "visitors": 3, "city": "x", "opened": NOW}
    shop.change("shop_facts", "alma", event_timestamp=at, known_at=at, **values)

    before = shop.audit_one("shop_facts", clock=NOW + 2 * HOUR)
    shop.backfill(clock=NOW + 2 * HOUR)
    after = shop.audit_one("shop_facts", clock=NOW + 2 * HOUR)
    shop.change("shop_facts", "alma", visitors=4)
    changed = shop.audit_one("shop_facts", clock=NOW + 2 * HOUR)

    assert (before.equal, before.keys, before.left_out) == (True, 4, 1)
    assert (after.equal, after.keys, after.left_out) == (True, 5, 0)
    assert causes(changed) == {"tampered": 1}
    assert changed.differences[0].at == at
    assert table.name == changed.table


def test_a_row_of_the_future_is_no_pushed_one(shop: Shop) -> None:
    shop.change("shop_facts", "alma", known_at=NOW + DAY, visitors=4)

    assert causes(shop.audit_one("shop_facts")) == {"tampered": 1}
