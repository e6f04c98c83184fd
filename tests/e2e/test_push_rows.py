"""Rows pushed to a view: durable, in training sets and online within the call, and the same after any backfill."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from featurestore.errors import InvalidRequest, LookupInThePast
from featurestore.operations.push_online import OnlineState
from featurestore.ports.online_store import OnlineTable
from sdk.project import Project
from tests.pushed_project import HOUR, MINUTE, MOMENT, NOON, PushedProject, pushed, pushed_project, visits


@pytest.fixture
def project(tmp_path: Path) -> PushedProject:
    """With one row of an hour ago in every view, all of them online."""
    project = pushed_project(tmp_path)
    with project.at(NOON - HOUR) as opened:
        rows = visits(("alma", NOON - 2 * HOUR, 1, 0.9))
        opened.push("visits", rows.append_column("seen", rows["at"]), key="history")
        opened.push("calls", rows, key="history")
        list(opened.backfill())
        list(opened.materialize())
    return project


def trained(project: Project, moments: list[datetime], *references: str) -> list[tuple[object, ...]]:
    spine = pa.table({"shop": ["alma"] * len(moments), "event_timestamp": pa.array(moments, MOMENT)})
    rows = project.client.training_set(spine, features=references).to_arrow().to_pylist()
    names = [reference.replace(":", "__") for reference in references]
    return [tuple(row[name] for name in names) for row in rows]


def looked_up(project: Project, *references: str) -> tuple[object, ...]:
    [row] = project.client.online(features=references, entities=[{"shop": "alma"}]).to_dicts()
    return tuple(row.values())


def test_a_pushed_row_is_online_and_in_training_sets_at_once(project: PushedProject) -> None:
    with project.at(NOON) as opened:
        result = pushed(opened._wired, "latest", visits(("alma", NOON - MINUTE, 7, 0.1)), "first")

        assert (result.online, result.known_at, result.feature_rows, result.is_new) == (OnlineState.NOW, NOON, 1, True)
        assert looked_up(opened, "latest:visitors", "latest:mood") == (7, 0.1)
        assert trained(opened, [NOON - MINUTE, NOON], "latest:visitors") == [(1,), (7,)]


def test_training_sets_hold_what_was_answered_before_and_after_a_fill(project: PushedProject) -> None:
    moments = [NOON + number * MINUTE for number in range(5)]
    answered = []
    for number, now in enumerate(moments):
        with project.at(now) as opened:
            pushed(opened._wired, "latest", visits(("alma", now - MINUTE, number, float(number))), f"push {number}")
            answered.append(looked_up(opened, "latest:visitors", "latest:mood"))
    with project.at(NOON + 5 * MINUTE) as opened:
        before = trained(opened, moments, "latest:visitors", "latest:mood")
    with project.at(NOON + 3 * HOUR) as opened:
        done = list(opened.run_due())
        after = trained(opened, moments, "latest:visitors", "latest:mood")

        assert before == after == answered
        assert {"latest", "hourly", "slow"} <= {one.view for one in done}
        assert looked_up(opened, "latest:visitors") == (4,)
        assert opened.client.audit("latest").differences == ()


def test_the_same_key_changes_nothing_and_other_rows_under_it_are_refused(project: PushedProject) -> None:
    rows = visits(("alma", NOON - MINUTE, 7, float("nan")))
    with project.at(NOON) as opened:
        first = pushed(opened._wired, "latest", rows, "key")
    with project.at(NOON + MINUTE) as opened:
        again = pushed(opened._wired, "latest", rows, "key")

        assert (again.is_new, again.known_at, again.table_version) == (False, NOON, first.table_version)
        with pytest.raises(InvalidRequest, match="'key' was pushed to 'visits' before, with other rows"):
            pushed(opened._wired, "latest", visits(("alma", NOON - MINUTE, 8, float("nan"))), "key")
        assert looked_up(opened, "latest:visitors") == (7,)


def test_a_view_that_was_never_filled_is_filled_by_its_first_push(tmp_path: Path) -> None:
    project = pushed_project(tmp_path)
    with project.at(NOON) as opened:
        result = pushed(opened._wired, "latest", visits(("alma", NOON - MINUTE, 7, 0.1)), "first")
        values = trained(opened, [NOON - MINUTE, NOON], "latest:visitors")
        list(opened.materialize(views=["latest"]))

        assert result.online is OnlineState.NOT_MATERIALIZED
        assert "knownat materialize latest" in str(result.reason)
        assert values == [(None,), (7,)]


def test_a_view_that_projects_and_filters_is_pushed_to(project: PushedProject) -> None:
    rows = visits(("alma", NOON - MINUTE, 7, 0.9), ("alma", NOON, 8, 0.1), (None, NOON, 9, 0.9))
    with project.at(NOON) as opened:
        result = pushed(opened._wired, "happy", rows, "key")

        assert (result.rows, result.feature_rows, result.rejected) == (3, 1, 1)
        assert looked_up(opened, "happy:doubled") == (14,)


def test_rows_are_not_online_before_their_publish_delay(project: PushedProject) -> None:
    with project.at(NOON) as opened:
        result = pushed(opened._wired, "slow", visits(("alma", NOON, 7, 0.9)), "key")
        at_once = looked_up(opened, "slow:visitors")
    with project.at(NOON + HOUR) as opened:
        list(opened.run_due())

        assert (result.online, result.online_from) == (OnlineState.LATER, NOON + 10 * MINUTE)
        assert (at_once, looked_up(opened, "slow:visitors")) == ((1,), (7,))
        assert trained(opened, [NOON + 9 * MINUTE, NOON + 10 * MINUTE], "slow:visitors") == [(1,), (7,)]


def test_windows_count_pushed_rows_from_the_next_hop(project: PushedProject) -> None:
    with project.at(NOON + MINUTE) as opened:
        result = pushed(opened._wired, "hourly", visits(("alma", NOON, 7, 0.9)), "key")
        at_once = looked_up(opened, "hourly:sum_1d")
    with project.at(NOON + HOUR) as opened:
        list(opened.run_due())

        assert (result.online, result.online_from) == (OnlineState.LATER, NOON + HOUR)
        assert (at_once, looked_up(opened, "hourly:sum_1d")) == ((1,), (8,))
        assert trained(opened, [NOON + 59 * MINUTE, NOON + HOUR], "hourly:sum_1d") == [(1,), (8,)]
        assert opened.client.audit("hourly").differences == ()


def test_a_row_that_comes_late_says_when_it_was_known(project: PushedProject) -> None:
    rows = visits(("alma", NOON - 90 * MINUTE, 7, 0.9))
    with project.at(NOON) as opened:
        pushed(opened._wired, "latest", rows.append_column("seen", pa.array([NOON - 80 * MINUTE], MOMENT)), "late")

        assert looked_up(opened, "latest:visitors") == (7,)
        assert trained(opened, [NOON - 81 * MINUTE, NOON - 80 * MINUTE], "latest:visitors") == [(1,), (7,)]


def test_a_row_that_is_known_later_than_now_is_refused(project: PushedProject) -> None:
    rows = visits(("alma", NOON, 7, 0.9)).append_column("seen", pa.array([NOON + MINUTE], MOMENT))
    with project.at(NOON) as opened:
        with pytest.raises(InvalidRequest, match="known at 2024-03-10T12:01Z, and it is 2024-03-10T12:00Z"):
            pushed(opened._wired, "latest", rows, "key")

        assert looked_up(opened, "latest:visitors") == (1,)


def test_without_a_known_timestamp_what_has_been_answered_can_not_be_pushed(project: PushedProject) -> None:
    with project.at(NOON) as opened:
        with pytest.raises(InvalidRequest, match=r"1 rows happened before .* Declare known_at= on the source"):
            pushed(opened._wired, "called", visits(("alma", NOON - 2 * HOUR, 7, 0.9)), "past")
        result = pushed(opened._wired, "called", visits(("alma", NOON - MINUTE, 7, 0.9)), "now")

        assert (result.online, result.online_from) == (OnlineState.LATER, NOON + 4 * MINUTE)
        assert looked_up(opened, "called:visitors") == (1,)


@pytest.mark.parametrize("view", ["first_calls"])
def test_a_view_that_is_not_made_row_by_row_is_refused(project: PushedProject, view: str) -> None:
    with project.at(NOON) as opened, pytest.raises(InvalidRequest, match=r"project\.push\('calls', rows, key=…\)"):
        pushed(opened._wired, view, visits(("alma", NOON, 7, 0.9)), "key")


def test_of_rows_with_the_same_times_the_one_that_a_fill_keeps_is_online(project: PushedProject) -> None:
    with project.at(NOON) as opened:
        for key, visitors in (("greater", 9), ("less", 3), ("greatest", 11)):
            pushed(opened._wired, "latest", visits(("alma", NOON, visitors, 0.9)), key)
        at_once, before = looked_up(opened, "latest:visitors"), trained(opened, [NOON], "latest:visitors")
        list(opened.backfill(recompute=True))

        assert at_once == (11,)
        assert before == trained(opened, [NOON], "latest:visitors") == [(11,)]


def test_many_pushes_are_put_together_and_none_is_lost(project: PushedProject) -> None:
    with project.at(NOON) as opened:
        for number in range(40):
            pushed(opened._wired, "latest", visits((f"shop {number}", NOON, number, 0.5)), f"push {number}")
        features = opened._wired.features
        current = features.project.catalog.current()
        assert current is not None
        snapshot = features.offline.tables.snapshot(current.graph.view("latest").table)
        spine = pa.table(
            {
                "shop": [f"shop {number}" for number in range(40)],
                "event_timestamp": pa.array([NOON] * 40, MOMENT),
            }
        )

        assert len(snapshot.files.paths) < 20
        assert snapshot.rows == 41
        found = opened.client.training_set(spine, features=["latest:visitors"]).to_arrow()
        assert found["latest__visitors"].to_pylist() == list(range(40))
        assert opened.verify(deep=True).damages == ()


def test_a_fill_of_the_day_keeps_what_was_pushed_after_the_hour_it_reaches_to(project: PushedProject) -> None:
    with project.at(NOON + 10 * MINUTE) as opened:
        pushed(opened._wired, "latest", visits(("alma", NOON + 9 * MINUTE, 7, 0.5)), "now")
        late = visits(("alma", NOON - 3 * HOUR, 5, 0.5))
        opened.push("visits", late.append_column("seen", late["at"]), key="late")
        filled = [one.view for one in opened.backfill(views=["latest"])]
        values = trained(opened, [NOON - 3 * HOUR, NOON + 9 * MINUTE, NOON + 10 * MINUTE], "latest:visitors")

        assert filled == ["latest"]
        assert values == [(5,), (1,), (7,)]


def test_what_was_pushed_since_the_last_hour_survives_a_lost_store_and_a_copy_of_every_key(
    project: PushedProject,
) -> None:
    with project.at(NOON + 10 * MINUTE) as opened:
        pushed(opened._wired, "latest", visits(("alma", NOON + 9 * MINUTE, 7, 0.5)), "now")
        list(opened.materialize(views=["latest"], full=True))
        copied = looked_up(opened, "latest:visitors")
        features = opened._wired.features
        current = features.project.catalog.current()
        assert current is not None
        features.online.store.drop(OnlineTable.of(current.graph.view("latest")))
        list(opened.materialize(views=["latest"]))

        assert (copied, looked_up(opened, "latest:visitors")) == ((7,), (7,))


def test_what_is_published_later_is_online_with_the_next_run_after_that(project: PushedProject) -> None:
    with project.at(NOON) as opened:
        pushed(opened._wired, "slow", visits(("alma", NOON - MINUTE, 7, 0.9)), "key")
    with project.at(NOON + 9 * MINUTE) as opened:
        list(opened.run_due())
        before = looked_up(opened, "slow:visitors")
    with project.at(NOON + 11 * MINUTE) as opened:
        list(opened.run_due())

        assert (before, looked_up(opened, "slow:visitors")) == ((1,), (7,))


def test_a_replay_of_a_moment_before_a_push_is_refused(project: PushedProject) -> None:
    with project.at(NOON + 30 * MINUTE) as opened:
        pushed(opened._wired, "latest", visits(("alma", NOON + 20 * MINUTE, 7, 0.5)), "now")
        asked = {"features": ["latest:visitors"], "entities": [{"shop": "alma"}]}

        with pytest.raises(LookupInThePast, match="is online as of 2024-03-10T12:30Z"):
            opened.client.online(**asked, at=NOON + 29 * MINUTE)  # type: ignore[arg-type]
        assert opened.client.online(**asked, at=NOON + 30 * MINUTE).to_dicts() == [  # type: ignore[arg-type]
            {"latest__visitors": 7}
        ]


def test_rows_that_the_views_query_fails_on_are_refused_before_they_are_kept(project: PushedProject) -> None:
    with project.at(NOON) as opened:
        with pytest.raises(InvalidRequest, match="'strict' can not be computed from these rows"):
            pushed(opened._wired, "strict", visits(("alma", NOON, 7, 1e9)), "key")

        assert pushed(opened._wired, "strict", visits(("alma", NOON, 7, 9.0)), "key").is_new


def test_rows_that_are_none_of_the_view_are_kept_in_the_source_alone(project: PushedProject) -> None:
    with project.at(NOON) as opened:
        result = pushed(opened._wired, "happy", visits(("alma", NOON, 7, 0.1)), "key")

        assert (result.feature_rows, result.rejected, result.online) == (0, 0, OnlineState.NOW)
        assert looked_up(opened, "happy:doubled") == (2,)


def test_pushes_of_many_threads_at_once_all_get_their_turn(project: PushedProject) -> None:
    with project.at(NOON) as opened:

        def push(number: int) -> str:
            rows = visits((f"shop {number}", NOON, number, 0.5))
            return pushed(opened._wired, "latest", rows, f"push {number}").online.value

        with ThreadPoolExecutor(8) as threads:
            states = list(threads.map(push, range(24)))
        entities: list[dict[str, object]] = [{"shop": f"shop {number}"} for number in range(24)]
        found = opened.client.online(features=["latest:visitors"], entities=entities).to_dicts()

        assert states == ["now"] * 24
        assert [row["latest__visitors"] for row in found] == list(range(24))


def test_what_was_served_holds_no_pushed_row_before_it_was_published(project: PushedProject) -> None:
    rows = visits(("alma", NOON - 12 * MINUTE, 7, 0.1), ("alma", NOON - 2 * MINUTE, 8, 0.1))
    known = pa.array([NOON - 11 * MINUTE, NOON - MINUTE], MOMENT)
    with project.at(NOON) as opened:
        assert pushed(opened._wired, "slow", rows.append_column("seen", known), "two").online is OnlineState.LATER
    moments = [NOON, NOON + 5 * MINUTE]
    answered = []
    for now in moments:
        with project.at(now) as opened:
            answered.append(looked_up(opened, "slow:visitors"))

    with project.at(NOON + HOUR) as opened:
        spine = pa.table({"shop": ["alma"] * 2, "event_timestamp": pa.array(moments, MOMENT)})
        served = opened.client.training_set(spine, features=["slow:visitors"], as_served=True).to_arrow()

        assert answered == [(7,), (7,)]
        assert [(value,) for value in served["slow__visitors"].to_pylist()] == answered
