"""What the online store really answered, whichever way rows came into it, is what an as-served training set holds.

A project lives through pushes at once and before their time, retried ones and such as the store did not take, streams,
runs of every kind, and is asked in between. All its answers are kept, and compared cell by cell at the end.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, assert_never

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.errors import InvalidRequest, NotApplied, NotMaterialized, StoreUnavailable
from featurestore.graph.declared_sources import declared_source
from featurestore.graph.resolved import FeatureSet, ResolvedView
from featurestore.graph.selection import service_features
from featurestore.operations.as_served import served_history
from featurestore.operations.lookup import Asked, lookup, prepare
from featurestore.operations.materialize import MaterializeRequest, materialize
from featurestore.operations.push import PushRequest, push
from featurestore.operations.rebuild import rebuild
from featurestore.operations.run_due import DueRequest, run_due
from featurestore.operations.sides import OnlineSide
from featurestore.operations.training_set import TrainingSetRequest, training_set
from featurestore.operations.view_outlet import AppliedView, ViewOutlet
from featurestore.ports.online_store import Fill, FillRequest
from featurestore.spec.source import FrameSource
from registry.wiring import WiredProject, open_project
from sdk.project import Project
from tests.property.examples import examples
from tests.property.oracle import same

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
MINUTE, TICK = timedelta(minutes=1), timedelta(microseconds=1)
MOMENT = pa.timestamp("us", tz="UTC")
SHOPS = ("a", "b")

DEFINITIONS = """\
import featurestore as fs

shop = fs.Entity("shop", join_keys={"shop": fs.String})
COLUMNS = {"shop": fs.String, "at": fs.Timestamp, "x": fs.Int64}
SEEN = {"event_timestamp": "at", "known_at": "seen"}
visits = fs.FrameSource("visits", columns={**COLUMNS, "seen": fs.Timestamp}, **SEEN)
told = fs.FrameSource("told", columns={**COLUMNS, "seen": fs.Timestamp}, **SEEN)
told_slow = fs.FrameSource("told_slow", columns={**COLUMNS, "seen": fs.Timestamp}, **SEEN)
calls = fs.FrameSource("calls", columns=COLUMNS, event_timestamp="at", delay="5m")
calls_slow = fs.FrameSource("calls_slow", columns=COLUMNS, event_timestamp="at")


def view(name, source, **more):
    return fs.FeatureView(name, entity=shop, source=source, features=["x"], **more)


prompt = view("prompt", visits)
brief = view("brief", visits, ttl="1h")
slow = view("slow", visits, publish_delay="10m")
told_once = view("told_once", told)
told_later = view("told_later", told_slow, publish_delay="10m")
called = view("called", calls)
called_later = view("called_later", calls_slow, publish_delay="20m", ttl="2h")
hourly = fs.FeatureView(
    "hourly", entity=shop, source=visits, every="30m", publish_delay="10m",
    features=[fs.Aggregate("*", fs.count, windows=["1h"], name="count"), fs.Aggregate("x", fs.max, windows=["2h"])],
)
everything = fs.FeatureService(
    "everything", features=[prompt, brief, slow, told_once, told_later, called, called_later, hourly]
)
"""
PUSHED = ("prompt", "brief", "slow", "told_once", "told_later", "called", "called_later", "hourly")
OWN = ("told_once", "told_later")
"""Views whose rows may bring a known timestamp from before they came. What comes by other ways than a push may not: as
served takes it to have been there in time, as every training set does."""


class Run(Enum):
    DUE = "run --due"
    COPY = "materialize"
    FULL = "materialize --full"
    BEHIND = "materialize --until, before now"
    AHEAD = "materialize --until, after now"


@dataclass(frozen=True)
class Pushing:
    """Rows for a view, each with its shop, and how long ago it happened and was known (None: it does not say)."""

    view: str
    rows: tuple[tuple[str, int, int | None], ...]
    is_away: bool = False
    """The store takes no writes."""
    is_stream: bool = False


@dataclass(frozen=True)
class Again:
    """One of the pushes before, once more."""

    number: int
    is_away: bool = False


Action = Pushing | Again | Run
Answer = tuple[datetime, dict[str, object], dict[str, Any]]
"""When somebody asked, for whom, and what was answered."""
_BOOLEANS = st.sampled_from([False, False, False, True])
_ROW = st.tuples(
    st.sampled_from(SHOPS), st.sampled_from([0, 1, 3, 10, 40, 90, -5]), st.sampled_from([None, None, 0, 1, 10, 70])
)
_PUSHES = st.builds(
    Pushing, st.sampled_from(PUSHED), st.lists(_ROW, min_size=1, max_size=3).map(tuple), _BOOLEANS, _BOOLEANS
)
_ACTIONS = st.one_of(
    _PUSHES, _PUSHES, _PUSHES, st.builds(Again, st.integers(0, 9), _BOOLEANS), st.sampled_from(list(Run))
)
# How long after the one before, and how long after it somebody asks.
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 5, 10, 13, 31]),
        _ACTIONS,
        st.lists(st.sampled_from([0, 2, 6, 11]), min_size=1, max_size=2, unique=True),
    ),
    min_size=14,
    max_size=30,
)


class Away:
    """A store that answers and takes nothing."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def begin(self, request: FillRequest) -> Fill:
        raise StoreUnavailable(f"The online store takes no rows of {request.table.name}.")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("applied") / "project"
    (folder / "definitions").mkdir(parents=True)
    (folder / "definitions" / "all.py").write_text(DEFINITIONS)
    (folder / "knownat.toml").write_text('name = "pushed"\n')
    with Project(open_project(folder, {"clock": NOON, "engine": {"threads": 1}})) as project:
        list(project.apply())
    return folder


@dataclass
class Life:
    """A project at work, and what it answered."""

    wired: WiredProject
    features: FeatureSet
    pushes: list[tuple[Pushing, datetime]] = field(default_factory=list)
    answered: list[Answer] = field(default_factory=list)

    @property
    def views(self) -> tuple[ResolvedView, ...]:
        return self.features.views

    def online(self, *moments: datetime) -> OnlineSide:
        looks = iter(moments)
        last = moments[-1]
        return replace(self.wired.features.online, clock=lambda: next(looks, last))

    def does(self, action: Action, now: datetime) -> None:
        match action:
            case Pushing():
                self.pushes.append((action, now))
                self.push(len(self.pushes) - 1, now, is_away=action.is_away)
            case Again():
                if self.pushes:
                    self.push(action.number % len(self.pushes), now, is_away=action.is_away)
            case Run():
                self.run(action, now)
            case _:
                assert_never(action)

    def push(self, number: int, now: datetime, *, is_away: bool) -> None:
        pushing, first_at = self.pushes[number]
        view = next(view for view in self.views if view.name == pushing.view)
        source = declared_source(view.sources[0])
        assert isinstance(source, FrameSource)
        rows, features = _frame(pushing, source, first_at), self.wired.features
        online = self.online(now)
        if is_away:
            online = replace(online, store=Away(online.store))
        with suppress(InvalidRequest, StoreUnavailable):  # late, where rows do not say when they were known
            if not pushing.is_stream:
                push(PushRequest(view, rows, f"push {number}", now), features.frames, features.offline, online)
                return
            if source.known_at is not None and source.known_at not in rows.column_names:
                rows = rows.append_column(source.known_at, pa.array([first_at] * len(rows), MOMENT))
            features.frames.append(source, rows, f"stream {number}")
            outlet = ViewOutlet(
                source,
                AppliedView(features.project.catalog, view.name),
                features.offline,
                online,
                lambda: now + (3 * TICK if now == first_at else TICK),
            )
            outlet.show(rows, first_at if now == first_at else None)

    def run(self, run: Run, now: datetime) -> None:
        features, online = self.wired.features, self.online(now, now + TICK)
        if run is Run.DUE:
            for _ in run_due(DueRequest(self.views, now), features.offline, online, features.locks):
                pass
            return
        until = now + {Run.BEHIND: -30 * MINUTE, Run.AHEAD: 45 * MINUTE}.get(run, 0 * MINUTE)
        for view in self.views:
            with suppress(NotApplied):
                request = MaterializeRequest(view, until, run is Run.FULL)
                materialize(request, features.offline, self.online(now, now + TICK), now=now)

    def ask(self, at: datetime) -> None:
        for view in self.views:
            features = _of_view(self.features, view.name)
            entities = [{"shop": shop} for shop in SHOPS]
            try:
                found = lookup(
                    prepare(features, self.wired.features.offline.engine),
                    entities,
                    Asked(at),
                    self.wired.features.online.store,
                )
            except NotMaterialized:
                continue
            columns = {column.column.name: column.values for column in found.columns}
            for row, entity in enumerate(entities):
                self.answered.append((at, dict(entity), {name: values[row] for name, values in columns.items()}))


def _of_view(features: FeatureSet, view: str) -> FeatureSet:
    return FeatureSet(
        None,
        tuple(one for one in features.views if one.name == view),
        tuple(use for use in features.uses if use.view == view),
        (),
        tuple(output for output in features.outputs if output.reference.startswith(f"{view}:")),
    )


def _frame(pushing: Pushing, source: FrameSource, now: datetime) -> pa.Table:
    """Equal rows at equal times: what is corrected without another known timestamp was always so, as served."""
    shops = [shop for shop, _, _ in pushing.rows]
    happened = [now - ago * MINUTE for _, ago, _ in pushing.rows]
    columns: dict[str, Any] = {"shop": pa.array(shops), "at": pa.array(happened, MOMENT)}
    stamp = [0] * len(shops)
    if source.known_at is not None and pushing.view in OWN:
        known = [ago for _, _, ago in pushing.rows]
        if None not in known:
            columns["seen"] = pa.array([now - ago * MINUTE for ago in known if ago is not None], MOMENT)
            stamp = [ago for ago in known if ago is not None]
    values = [hash((shop, at, ago)) % 10_007 for shop, at, ago in zip(shops, happened, stamp, strict=True)]
    return pa.table({**columns, "x": pa.array(values, pa.int64())})


@examples(4)
@given(STEPS)
def test_as_served_holds_what_was_online_however_it_came_there(
    applied: Path, steps: list[tuple[int, Action, list[int]]]
) -> None:
    with TemporaryDirectory(prefix="knownat-property-") as parent:
        folder = shutil.copytree(applied, Path(parent) / "project")
        wired = open_project(folder, {"clock": NOON, "engine": {"threads": 1}})
        try:
            assert list(_lived(wired, steps)) == []
        finally:
            wired.close()


def _lived(wired: WiredProject, steps: list[tuple[int, Action, list[int]]]) -> Iterator[str]:
    current = wired.features.project.catalog.current()
    assert current is not None
    life, now = Life(wired, service_features(current.graph, "everything")), NOON + MINUTE
    for view in PUSHED:
        life.does(Pushing(view, (("a", 1, None),)), now)
    life.does(Run.COPY, now + 3 * TICK)
    for pause, action, asked in steps:
        now += pause * MINUTE + 7 * TICK
        life.does(action, now)
        for later in asked:
            life.ask(now + 5 * TICK + later * MINUTE)
        now += max(asked) * MINUTE + 5 * TICK
    life.run(Run.DUE, now + 300 * MINUTE)
    yield from _differences(life, now + 300 * MINUTE)


def _differences(life: Life, now: datetime) -> Iterator[str]:
    """Every cell in which a training set differs from what was answered online: of all that was asked, and of parts of
    it, for which another part of the history is kept."""
    third = len(life.answered) // 3
    for part in (life.answered, life.answered[third:], life.answered[third : 2 * third]):
        yield from _differing_in(part, life, now)


def _differing_in(part: Sequence[Answer], life: Life, now: datetime) -> Iterator[str]:
    features, wired = life.features, life.wired.features
    asked: Sequence[dict[str, object]] = [{"at": at, **entity} for at, entity, _ in part]
    schema = pa.schema([("at", MOMENT), ("shop", pa.string())])
    history = served_history(features, wired.online)
    request = TrainingSetRequest(pa.Table.from_pylist(list(asked), schema=schema), features, "at", served=history)
    manifest = training_set(request, wired.offline, wired.archive, now=now)
    assert rebuild(manifest.id, wired.offline, wired.archive).result == manifest.result
    rows = pq.read_table(pa.py_buffer(b"".join(wired.archive.objects.read(manifest.result)))).to_pylist()
    for spine, row, (_, _, online) in zip(asked, rows, part, strict=True):
        for name, value in online.items():
            if not same(row[name], value):
                yield f"{spine} {name}: online {value!r}, as served {row[name]!r}"
