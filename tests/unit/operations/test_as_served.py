"""What of an online store's history decides a training set is kept with it, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.memory_objects import MemoryObjects
from featurestore.adapters.memory_publications import MemoryPublications
from featurestore.errors import DatasetGone, StoreCorrupted
from featurestore.operations.as_served import (
    ServedHistory,
    deciding,
    pin_history,
    pinned_history,
    served_history,
    served_warnings,
)
from featurestore.operations.rebuild import rebuild
from featurestore.operations.training_set import TrainingSetRequest, training_set
from featurestore.ports.joins import NamedRows, ServedRun, ServedView
from featurestore.ports.publications import Publication, Published, Push, PushSpan
from featurestore.ports.state import Manifest
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.property.project import SmallProject, open_small_project

NOON = datetime(2013, 3, 10, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MOMENT = pa.timestamp("us", tz="UTC")
SOURCE = ParquetSource("flights", path="flights.parquet", event_timestamp="landed")
PLANE = Entity("plane", join_keys={"tail": DType.STRING})
LAST = FeatureView("last", entity=PLANE, source=SOURCE, features=["delay"], ttl="4h")


def hour(number: float) -> datetime:
    return NOON + number * HOUR


def publication(filled: float, published: float) -> Publication:
    return Publication(hour(filled), hour(filled), hour(published), 1, 1, is_full=False)


def history(*runs: tuple[float, float], pushed: PushSpan | None = None) -> Published:
    """Each run: the hour it was filled to, and the hour it was published."""
    return Published(tuple(publication(*run) for run in runs), pushed)


def hours(served: ServedView) -> list[tuple[float, float]]:
    return [((run.as_of - NOON) / HOUR, (run.published_at - NOON) / HOUR) for run in served.runs]


def test_runs_that_were_published_later_than_anybody_asks_decide_nothing() -> None:
    before, after = history((1, 2), (3, 4)), history((1, 2), (3, 4), (5, 6))

    assert deciding(after, hour(2), hour(5)) == deciding(before, hour(2), hour(5))
    assert hours(deciding(after, hour(2), hour(6))) == [(1, 2), (3, 4), (5, 6)]


def test_of_runs_before_anybody_asks_the_last_one_decides() -> None:
    assert hours(deciding(history((1, 2), (3, 4), (5, 6)), hour(4), hour(9))) == [(3, 4), (5, 6)]


def test_runs_that_brought_the_store_no_further_decide_nothing() -> None:
    assert hours(deciding(history((3, 4), (5, 9), (1, 5), (3, 6)), hour(4), hour(9))) == [(3, 4), (5, 9)]


def test_pushes_decide_up_to_the_last_moment_that_is_asked_about() -> None:
    span = PushSpan(hour(3), hour(8))

    found = [deciding(history((0, 1), pushed=span), hour(2), hour(last)).pushed for last in (2.5, 3, 5, 20)]

    assert found == [None, PushSpan(hour(3), hour(3)), PushSpan(hour(3), hour(5)), span]
    assert deciding(history(pushed=span), hour(2), hour(5)) == ServedView(())


def test_a_history_comes_back_to_the_microsecond(tmp_path: Path) -> None:
    objects, tick = MemoryObjects(tmp_path), timedelta(microseconds=1)
    runs = Published((replace(publication(0, 1), filled_to=NOON + tick),), PushSpan(NOON, hour(2) + tick))
    kept = ServedHistory("redis://store", {"zürich": runs, "empty": Published()})

    pinned = pin_history(kept, (NOON, hour(9)), objects)

    assert pinned.views["zürich"] == ServedView((ServedRun(hour(1), NOON + tick),), runs.pushed)
    assert pinned_history(pinned.sha256, objects) == pinned
    assert pin_history(kept, (None, None), objects).views == {"zürich": ServedView(()), "empty": ServedView(())}


def test_a_history_without_pushes_is_kept_in_the_bytes_of_earlier_releases(tmp_path: Path) -> None:
    objects = MemoryObjects(tmp_path)

    pinned = pin_history(ServedHistory("here", {"last": history((1, 2), (3, 4))}), (hour(2), hour(9)), objects)

    assert b"".join(objects.read(pinned.sha256)) == (
        b'{"store":"here","views":{"last":{"pushed":null,"runs":[["2013-03-10T14:00:00+00:00",'
        b'"2013-03-10T13:00:00+00:00"],["2013-03-10T16:00:00+00:00","2013-03-10T15:00:00+00:00"]]}}}'
    )


def copied(began: float, *, filled: float, since: float | None = None) -> Publication:
    """A run that copied what was pushed up to when it began, of a table that was filled at the hour `filled`."""
    moments = (hour(filled), hour(began), hour(began) + MINUTE)
    copied_from = None if since is None else hour(since)
    return Publication(*moments, 1, 1, since is None, hour(began), copied_from, hour(filled))


def stamped(*hours: float, is_online: bool = True) -> tuple[Push, ...]:
    return tuple(Push(hour(one), (hour(one),), is_online=is_online) for one in hours)


def named(at: float, *known: float, is_online: bool = True, is_repeated: bool = False) -> Push:
    moments = pa.array([hour(one) for one in known], MOMENT)
    columns = {"n": pa.array(range(len(known))), "event_timestamp": moments, "known_at": moments}
    return Push(hour(at), (), pa.table(columns), is_online, is_repeated)


def test_pushes_decide_that_neither_all_who_ask_have_seen_filled_nor_nobody_sees() -> None:
    runs = (copied(1, filled=0.5), copied(3, filled=2, since=1), copied(6, filled=5, since=3))
    pushes = (*stamped(1.5, 2.5, 4), *stamped(4.5, is_online=False), *stamped(8))

    found = deciding(Published(runs, None, pushes), hour(4.2), hour(7))

    assert [run.as_of for run in found.runs] == [hour(3), hour(6)]
    assert found.stamped == ((hour(2.5), hour(2.5)), (hour(4), hour(4)), (hour(4.5), None))


def test_rows_that_brought_their_known_timestamp_are_kept_as_they_came_first_and_were_shown_first() -> None:
    pushes = (named(2, 1.5, is_online=False), named(3, 1.5, is_repeated=True), named(4, 1.5), named(5, 4.5, 4.6))

    found = deciding(Published((copied(1, filled=1),), None, pushes), hour(1.5), hour(4.55))

    assert found.named == NamedRows(
        (("0", "0"),), (hour(1.5), hour(4.5)), (hour(1.5), hour(4.5)), (hour(2), hour(5)), (hour(3), hour(5))
    )


def test_runs_that_brought_the_store_no_further_decide_where_rows_came_late() -> None:
    runs = (copied(2, filled=2), copied(4, filled=4, since=2), replace(copied(5, filled=4, since=0), copied_to=hour(3)))
    late, in_time = named(4.5, 1.5, is_online=False), named(4.5, 4.4)

    with_late = deciding(Published(runs, None, (late,)), hour(4.2), hour(9))
    without = deciding(Published(runs, None, (in_time,)), hour(4.2), hour(9))

    assert [run.began_at for run in with_late.runs] == [hour(2), hour(4), hour(5)]
    assert [run.began_at for run in without.runs] == [hour(4)]


def test_a_history_of_pushes_comes_back_as_it_was(tmp_path: Path) -> None:
    objects = MemoryObjects(tmp_path)
    pushes = (*stamped(1.5), named(2, 1.25, is_online=False), named(3, 2.5, is_repeated=True))
    kept = ServedHistory("here", {"last": Published((copied(1, filled=0.5),), PushSpan(hour(0), hour(1)), pushes)})

    pinned = pin_history(kept, (hour(1.2), hour(9)), objects)

    assert pinned.views["last"].named is not None
    assert pinned_history(pinned.sha256, objects) == pinned


@pytest.mark.parametrize("content", [b"", b"[]", b'{"views": {"a": {"runs": [["x", "y"]], "pushed": null}}}', b"{}"])
def test_an_object_that_is_no_history_is_refused(tmp_path: Path, content: bytes) -> None:
    objects = MemoryObjects(tmp_path)

    with pytest.raises(StoreCorrupted, match="is no publish history"):
        pinned_history(objects.put(BytesIO(content)).sha256, objects)


def test_rows_that_could_not_be_answered_plainly_are_counted() -> None:
    moments = pa.chunked_array([pa.array([hour(n) for n in (9, 0, 2, 1, 1.5)], MOMENT)])
    runs = ServedHistory("here", {"last": history((1, 2), (3, 3)), "other": history()})

    assert list(served_warnings(runs, moments, now=hour(3))) == [
        "3 rows ask when 'last' was not online yet, and hold nothing of it",
        "2 rows ask while 'last' was being written: they hold what was online before",
        "5 rows ask when 'other' was not online yet, and hold nothing of it",
        "1 rows ask about moments to come: they hold what is online now",
    ]
    assert list(served_warnings(runs, moments.slice(0, 0), now=NOON)) == []


@pytest.fixture
def project(tmp_path: Path) -> Iterator[SmallProject]:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path / "spill")
    project = open_small_project(tmp_path, engine)
    landed = pa.array([hour(-6), hour(-3), hour(-1)], MOMENT)
    project.write("flights.parquet", pa.table({"tail": ["N1"] * 3, "landed": landed, "delay": [6.0, 3.0, 1.0]}))
    project.apply(SOURCE, LAST, now=NOON)
    project.materialize(hour(-4), published_at=hour(-3.5))
    project.materialize(hour(-2), published_at=hour(-0.5))
    yield project
    engine.close()


def pull(project: SmallProject, *asked: float, served: bool = True) -> Manifest:
    spine = pa.table({"at": pa.array([hour(one) for one in asked], MOMENT), "tail": ["N1"] * len(asked)})
    features = project.features("last:delay")
    found = served_history(features, project.online) if served else None
    request = TrainingSetRequest(spine, features, timestamp="at", served=found)
    return training_set(request, project.offline, project.archive, now=NOON)


def delays(project: SmallProject, manifest: Manifest) -> list[object]:
    values: list[object] = project.result(manifest)["last__delay"].to_pylist()
    return values


def test_rows_hold_what_was_online_at_their_moment_and_no_older_than_lives(project: SmallProject) -> None:
    asked = (-3.6, -3.5, -2.1, -2, -0.6, -0.5)

    assert delays(project, pull(project, *asked)) == [None, 6.0, 6.0, None, None, 3.0]
    assert delays(project, pull(project, *asked, served=False)) == [6.0, 6.0, 3.0, 3.0, 1.0, 1.0]


def test_the_same_pull_as_served_is_another_dataset_and_the_same_again(project: SmallProject) -> None:
    first, plain = pull(project, -3, -0.5), pull(project, -3, -0.5, served=False)
    project.materialize(NOON - MINUTE, published_at=NOON)

    again, later = pull(project, -3, -0.5), pull(project, -3, 0)

    assert again == first
    assert len({first.id, plain.id, later.id}) == 3


def test_a_dataset_as_served_comes_back_to_the_byte_after_further_runs(project: SmallProject) -> None:
    manifest = pull(project, -3, -0.5, 1)
    project.materialize(NOON - MINUTE, published_at=NOON)
    project.online.publications.forget("memory", project.graph.view("last").table)

    assert rebuild(manifest.id, project.offline, project.archive).result == manifest.result


def test_runs_that_changed_nothing_make_no_other_dataset(project: SmallProject) -> None:
    asked = (-3, -0.5, 0)
    table = project.graph.view("last").table
    idle = Publication(NOON - MINUTE, NOON - 2 * MINUTE, NOON - MINUTE, 1, 0, is_full=False)
    before = pull(project, *asked)

    project.online.publications.record("memory", table, idle)

    assert pull(project, *asked) == before


def test_a_dataset_whose_history_is_gone_says_so(project: SmallProject) -> None:
    manifest = pull(project, -3)
    assert manifest.served is not None
    lost = replace(manifest, id="0" * 64, served="5" * 64)
    project.archive.datasets.put(lost)

    with pytest.raises(DatasetGone, match="The publish history 555555555555 of dataset 000000000000 is gone"):
        rebuild(lost.id, project.offline, project.archive)
    assert manifest.objects == (manifest.result, manifest.spine, manifest.served)


def test_where_only_the_first_and_the_last_push_are_known_what_was_visible_between_them_was_online(
    project: SmallProject,
) -> None:
    """As of projects from before each push was recorded."""
    table, publications = project.graph.view("last").table, MemoryPublications()
    kept = project.online.publications.published("memory", table)
    before = replace(project, online=replace(project.online, publications=publications))
    publications.keep("memory", table, replace(kept, pushed=PushSpan(hour(-1), hour(-1))))

    assert delays(project, pull(before, -3.6, -3, -1.1, -1, 0)) == [None, 6.0, None, 1.0, 1.0]
