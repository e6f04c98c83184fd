"""Prepared lookups are kept as long as they are true, and no more of them than is allowed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from threading import Thread
from time import monotonic, sleep
from typing import Any

import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.memory_state import MemoryCatalog
from featurestore.errors import InvalidRequest, NotApplied, StoreUnavailable, UnknownName, UnsupportedOperation
from featurestore.graph.resolved import FeatureSet, Graph, ServiceEntry
from featurestore.operations.chosen_features import FeatureChoice
from featurestore.operations.lookup import PreparedLookup, prepare
from featurestore.operations.prepared_lookups import NoModels, PreparedLookups

NOON = datetime(2014, 1, 1, 12, tzinfo=UTC)
FIRST = FeatureChoice(service="s1")

Prepare = Callable[[FeatureSet], PreparedLookup]


def graph(*services: str) -> Graph:
    return Graph(services=tuple(ServiceEntry(name, (), ()) for name in services))


class OneModel:
    """Version 1 of `m`, or 2 when the alias was moved there."""

    def __init__(self) -> None:
        self.champion = "m@1"
        self.read = 0

    def version_of(self, model: str) -> str:
        return self.champion if model == "m@champion" else model

    def features_of(self, version: str) -> FeatureSet:
        self.read += 1
        return FeatureSet(version, (), (), (), ())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepare]:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path_factory.mktemp("spill"))
    yield partial(prepare, engine=engine)
    engine.close()


@pytest.fixture
def catalog() -> MemoryCatalog:
    found = MemoryCatalog()
    found.promote(graph("s1", "s2"), NOON, replacing=None)
    return found


def test_a_lookup_is_prepared_once(catalog: MemoryCatalog, prepared: Prepare) -> None:
    lookups = PreparedLookups(catalog, NoModels(), prepared)

    assert lookups.of(FIRST) is lookups.of(FeatureChoice(service="s1"))


def test_another_apply_means_other_features(catalog: MemoryCatalog, prepared: Prepare) -> None:
    lookups = PreparedLookups(catalog, NoModels(), prepared)
    before = lookups.of(FIRST)
    catalog.promote(graph("s1"), NOON, replacing=catalog.serial())

    assert lookups.of(FIRST) is before
    assert lookups.refresh()
    assert lookups.of(FIRST) is not before
    with pytest.raises(UnknownName, match="s2"):
        lookups.of(FeatureChoice(service="s2"))


def test_no_more_are_kept_than_may_be_and_the_longest_unused_goes_first(
    catalog: MemoryCatalog, prepared: Prepare
) -> None:
    lookups = PreparedLookups(catalog, OneModel(), prepared, most_kept=2)
    first = lookups.of(FIRST)
    second = lookups.of(FeatureChoice(service="s2"))
    lookups.of(FIRST)
    lookups.of(FeatureChoice(model="m@1"))

    assert lookups.of(FIRST) is first
    assert lookups.of(FeatureChoice(service="s2")) is not second


def test_an_alias_is_followed_by_the_next_refresh_and_a_versions_features_are_read_once(
    catalog: MemoryCatalog, prepared: Prepare
) -> None:
    models = OneModel()
    lookups = PreparedLookups(catalog, models, prepared)
    champion = FeatureChoice(model="m@champion")
    told = [lookups.of(champion), lookups.of(champion), lookups.of(FeatureChoice(model="m@1"))]
    models.champion = "m@2"
    lookups.refresh()

    assert [one.features.service for one in (*told, lookups.of(champion))] == ["m@1", "m@1", "m@1", "m@2"]
    assert models.read == 2


class Hesitant(FeatureChoice):
    """Something that others get a turn beside whenever it is looked at."""

    def __hash__(self) -> int:
        self.meanwhile()
        return super().__hash__()

    @staticmethod
    def meanwhile() -> None: ...


def test_lookups_may_be_asked_for_while_they_are_made_fresh(
    catalog: MemoryCatalog, prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups = PreparedLookups(catalog, NoModels(), prepared)
    lookups.of(FIRST)
    lookups.of(Hesitant(service="s2"))
    asking: list[Thread] = []

    def ask_beside() -> None:
        asking.append(Thread(target=lookups.kept, args=(FIRST,)))
        asking[-1].start()
        asking[-1].join(0.2)  # it may have to wait for us

    monkeypatch.setattr(Hesitant, "meanwhile", staticmethod(ask_beside))
    with closing(lookups):
        assert not lookups.refresh()

    assert asking
    for one in asking:
        one.join()


def test_nothing_can_be_chosen_before_the_first_apply(prepared: Prepare) -> None:
    with pytest.raises(NotApplied, match="knownat apply"):
        PreparedLookups(MemoryCatalog(), NoModels(), prepared).of(FIRST)


def test_a_store_without_a_registry_knows_no_models(catalog: MemoryCatalog, prepared: Prepare) -> None:
    with pytest.raises(UnsupportedOperation, match="no model registry"):
        PreparedLookups(catalog, NoModels(), prepared).of(FeatureChoice(model="m@1"))


@pytest.mark.parametrize("ways", [{}, {"service": "a", "model": "b"}, {"service": "", "features": ()}])
def test_features_are_chosen_in_one_way(ways: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="exactly one"):
        FeatureChoice(**ways)  # type: ignore[arg-type]


def test_the_background_thread_follows_an_apply(catalog: MemoryCatalog, prepared: Prepare) -> None:
    with closing(PreparedLookups(catalog, NoModels(), prepared, refresh_seconds=0.01)) as lookups:
        before = lookups.of(FIRST)
        catalog.promote(graph("s1", "s3"), NOON, replacing=catalog.serial())

        wait_until(lambda: lookups.of(FIRST) is not before)


def test_a_refresh_may_run_while_others_look_up(catalog: MemoryCatalog, prepared: Prepare) -> None:
    lookups = PreparedLookups(catalog, OneModel(), prepared, refresh_seconds=3600)
    choices = [FeatureChoice(model=f"m@{number}") for number in range(1, 101)]
    for choice in choices:
        lookups.of(choice)
    refreshed = threading.Event()

    def look_up() -> None:
        while not refreshed.is_set():
            for choice in choices:
                lookups.kept(choice)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=look_up)
    thread.start()
    try:
        changes = [lookups.refresh() for _ in range(300)]
    finally:
        refreshed.set()
        thread.join()
        sys.setswitchinterval(before)
        lookups.close()

    assert not any(changes)


def test_what_is_gone_is_forgotten_and_the_next_request_is_told(catalog: MemoryCatalog, prepared: Prepare) -> None:
    with closing(PreparedLookups(catalog, NoModels(), prepared)) as lookups:
        lookups.of(FeatureChoice(service="s2"))
        catalog.promote(graph("s1"), NOON, replacing=catalog.serial())

        assert lookups.refresh()
        with pytest.raises(UnknownName, match="s2"):
            lookups.of(FeatureChoice(service="s2"))


def test_while_the_state_can_not_be_read_lookups_go_on_with_what_they_know(
    catalog: MemoryCatalog, caplog: pytest.LogCaptureFixture, prepared: Prepare
) -> None:
    away = AwayCatalog(catalog)
    with closing(PreparedLookups(away, NoModels(), prepared, refresh_seconds=0.01)) as lookups:
        before = lookups.of(FIRST)
        away.is_away = True
        wait_until(lambda: "lookups go on" in caplog.text)

        assert lookups.of(FIRST) is before

        away.is_away = False
        catalog.promote(graph("s1", "s3"), NOON, replacing=catalog.serial())
        wait_until(lambda: lookups.of(FIRST) is not before)


def test_a_state_that_does_not_answer_holds_up_no_end(catalog: MemoryCatalog, prepared: Prepare) -> None:
    hanging = HangingCatalog(catalog)
    lookups = PreparedLookups(hanging, NoModels(), prepared, refresh_seconds=0.01)
    lookups.of(FIRST)
    hanging.may_answer.clear()
    assert hanging.is_asked.wait(30)

    closing_thread = threading.Thread(target=lookups.close)
    closing_thread.start()
    closing_thread.join(30)
    ended = not closing_thread.is_alive()
    hanging.may_answer.set()
    closing_thread.join()

    assert ended


class HangingCatalog:
    """A catalog whose database takes questions and does not answer them."""

    def __init__(self, catalog: MemoryCatalog) -> None:
        self._catalog = catalog
        self.may_answer, self.is_asked = threading.Event(), threading.Event()
        self.may_answer.set()

    def serial(self) -> int | None:
        if not self.may_answer.is_set():
            self.is_asked.set()
        self.may_answer.wait()
        return self._catalog.serial()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)


class AwayCatalog:
    """A catalog whose database is away from time to time."""

    def __init__(self, catalog: MemoryCatalog) -> None:
        self._catalog = catalog
        self.is_away = False

    def serial(self) -> int | None:
        if self.is_away:
            raise StoreUnavailable("the database does not answer")
        return self._catalog.serial()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up = monotonic() + 10
    while not is_so():
        assert monotonic() < give_up
        sleep(0.01)
