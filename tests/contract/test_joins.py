"""What a point-in-time join promises: a row for each row of the spine, with what was known, from tables as they lie."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.adapters.merge_join import MergeJoin
from featurestore.compiler.hops import HOP
from featurestore.compiler.tiles import EVENT_HOP, KNOWN_HOP
from featurestore.errors import DatasetGone
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.joins import JoinRequest, Knowledge, NamedRows, PointInTimeJoin, ServedRun, ServedView
from featurestore.ports.publications import PushSpan
from featurestore.spec.aggregate import Function
from featurestore.spec.dtypes import DType
from tests.property.oracle import Row, newest, same
from tests.stored_tables import NOTHING, feature_set, row_level_view, spine_of, stored
from tests.unit.merging.tiles_by_hand import drawn_events, tile_table, view_of

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
TICK = timedelta(microseconds=1)
LEAP_DAY = datetime(2024, 2, 28, tzinfo=UTC)
BEFORE_1970 = datetime(1969, 12, 30, tzinfo=UTC)
KEYS: dict[str, dict[str, tuple[DType, tuple[Any, ...]]]] = {
    "none": {},
    "dense": {"n": (DType.INT64, tuple(range(-2, 5)))},
    "extreme": {"n": (DType.INT64, (-(2**63), 2**63 - 1, 0, -1))},
    "text": {"s": (DType.STRING, ("", "a", "é", "e\u0301", "\U0001f6eb"))},
    "several": {
        "n": (DType.INT32, (-7, 0, 2**31 - 1)),
        "s": (DType.STRING, ("a", "b")),
        "d": (DType.DATE, (date(1969, 12, 31), date(2024, 2, 29))),
        "b": (DType.BOOL, (True, False)),
    },
}
FEATURES = {"x": DType.FLOAT64, "t": DType.STRING}


@pytest.fixture(params=[1, 3], ids=["one thread", "three threads"])
def joins(request: pytest.FixtureRequest) -> Iterator[PointInTimeJoin]:
    joins = MergeJoin(threads=request.param)
    yield joins
    joins.close()


def drawn_moment(chance: random.Random, origin: datetime) -> datetime:
    return origin + chance.randrange(72) * HOUR + chance.choice((NOTHING, NOTHING, TICK, -TICK, 10 * MINUTE))


def drawn_key(chance: random.Random, kind: str, *, nulls: bool = False) -> tuple[Any, ...]:
    return tuple(chance.choice((*values, *([None] if nulls else []))) for _, values in KEYS[kind].values())


def drawn_rows(chance: random.Random, view: ResolvedView, kind: str, origin: datetime, count: int) -> list[Row]:
    """Rows, one for each key, event and known timestamp. Where rows say it themselves, some were known late."""
    rows = {}
    for number in range(count):
        key, event = drawn_key(chance, kind), drawn_moment(chance, origin)
        late = chance.choice((NOTHING, NOTHING, 30 * HOUR, -HOUR)) if view.delay is None else view.delay
        values: dict[str, object] = {
            "x": chance.choice((float(number), -0.0, None)),
            "t": chance.choice((str(number), None)),
        }
        rows[key, event, late] = Row(key, event, event + late, values)
    return list(rows.values())


def written(view: ResolvedView, rows: list[Row], folder: Path, chance: random.Random) -> ParquetFiles:
    names = [key.name for key in view.keys]
    stored_rows = [
        {**dict(zip(names, row.key, strict=True)), EVENT_TIMESTAMP: row.event, KNOWN_AT: row.known, **row.values}
        for row in rows
    ]
    return stored(view, stored_rows, folder, chance)


def joined(
    joins: PointInTimeJoin, view: ResolvedView, spine: pa.Table, files: ParquetFiles, knowledge: Knowledge
) -> list[dict[str, Any]]:
    request = JoinRequest(feature_set(view), spine, {view.name: files}, {}, knowledge)
    rows: list[dict[str, Any]] = joins.join(request).to_pylist()
    return rows


@pytest.mark.parametrize("origin", [LEAP_DAY, BEFORE_1970])
@pytest.mark.parametrize("delay", [NOTHING, HOUR, 2 * DAY, None])
@pytest.mark.parametrize("kind", KEYS)
def test_each_row_of_the_spine_gets_the_newest_row_that_was_known(
    joins: PointInTimeJoin, kind: str, delay: timedelta | None, origin: datetime, tmp_path: Path
) -> None:
    chance = random.Random(f"{kind} {delay} {origin}")
    for number in range(5):
        view = row_level_view(
            {name: dtype for name, (dtype, _) in KEYS[kind].items()}, FEATURES, delay=delay,
            ttl=chance.choice((None, HOUR, 26 * HOUR)), publish_delay=chance.choice((NOTHING, 10 * MINUTE)),
        )  # fmt: skip
        rows = drawn_rows(chance, view, kind, origin, chance.choice((0, 1, 80)))
        files = written(view, rows, tmp_path / str(number), chance)
        asked = [(drawn_key(chance, kind, nulls=True), drawn_moment(chance, origin)) for _ in range(60)]

        found = joined(joins, view, spine_of(view, asked), files, Knowledge.KNOWN)
        leaking = joined(joins, view, spine_of(view, asked), files, Knowledge.EVENT_TIME_ONLY)

        for answers, known in ((found, True), (leaking, False)):
            seen = rows if known else [Row(row.key, row.event, row.event, row.values) for row in rows]
            for (key, moment), answer in zip(asked, answers, strict=True):
                published = view.publish_delay if known else NOTHING
                row = _last_known(rows, seen, key, moment, view.ttl, published)
                for name in FEATURES:
                    assert same(answer[f"rows__{name}"], None if row is None else row.values[name]), (key, moment)


def _last_known(
    rows: list[Row], seen: list[Row], key: tuple[Any, ...], moment: datetime, ttl: timedelta | None, delay: timedelta
) -> Row | None:
    """The newest row; where two happened at once, the one with the greater known timestamp, also if all are seen."""
    known = {id(as_seen): row for as_seen, row in zip(seen, rows, strict=True)}
    visible = [row for row in seen if newest([row], key, moment, ttl=ttl, publish_delay=delay)]
    return max((known[id(row)] for row in visible), key=lambda row: (row.event, row.known), default=None)


@pytest.mark.parametrize("has_pushes", [False, True])
@pytest.mark.parametrize("delay", [NOTHING, HOUR, None])
@pytest.mark.parametrize("kind", KEYS)
def test_a_row_that_asks_as_served_gets_what_the_store_was_filled_with(
    joins: PointInTimeJoin, kind: str, delay: timedelta | None, has_pushes: bool, tmp_path: Path
) -> None:
    chance = random.Random(f"{kind} {delay} {has_pushes}")
    for number in range(5):
        view = row_level_view(
            {name: dtype for name, (dtype, _) in KEYS[kind].items()}, FEATURES, delay=delay,
            ttl=chance.choice((None, HOUR, 26 * HOUR)), publish_delay=chance.choice((NOTHING, 10 * MINUTE)),
        )  # fmt: skip
        rows = drawn_rows(chance, view, kind, LEAP_DAY, 80)
        files = written(view, rows, tmp_path / str(number), chance)
        asked = [(drawn_key(chance, kind, nulls=True), drawn_moment(chance, LEAP_DAY)) for _ in range(60)]
        served = drawn_history(chance, has_pushes=has_pushes)

        request = JoinRequest(
            feature_set(view), spine_of(view, asked), {view.name: files}, {}, served={view.name: served}
        )
        found = joins.join(request).to_pylist()

        for (key, moment), answer in zip(asked, found, strict=True):
            row = _last_served(rows, key, moment, view, served)
            for name in FEATURES:
                assert same(answer[f"rows__{name}"], None if row is None else row.values[name]), (key, moment)


def drawn_history(chance: random.Random, *, has_pushes: bool) -> ServedView:
    """A few runs, in any order, some of them a long time after what they were filled to."""
    published = [drawn_moment(chance, LEAP_DAY) for _ in range(chance.randrange(5))]
    runs = tuple(ServedRun(moment, moment - chance.choice((NOTHING, TICK, 5 * HOUR))) for moment in published)
    first = drawn_moment(chance, LEAP_DAY)
    return ServedView(runs, PushSpan(first, first + chance.choice((NOTHING, 20 * HOUR))) if has_pushes else None)


def _last_served(
    rows: list[Row], key: tuple[Any, ...], moment: datetime, view: ResolvedView, served: ServedView
) -> Row | None:
    reached = [run.as_of for run in served.runs if run.published_at <= moment]
    if not reached:
        return None
    if served.pushed is not None and moment >= served.pushed.first_at:
        reached.append(min(moment, served.pushed.last_at))
    row = newest(rows, key, max(reached), publish_delay=view.publish_delay)
    return None if row is None or (view.ttl is not None and row.event <= moment - view.ttl) else row


@pytest.mark.parametrize("delay", [NOTHING, HOUR, None])
@pytest.mark.parametrize("kind", KEYS)
def test_a_row_that_was_pushed_counts_as_served_from_when_on_it_was_online(
    joins: PointInTimeJoin, kind: str, delay: timedelta | None, tmp_path: Path
) -> None:
    chance = random.Random(f"{kind} {delay}")
    for number in range(5):
        view = row_level_view(
            {name: dtype for name, (dtype, _) in KEYS[kind].items()}, FEATURES, delay=delay,
            ttl=chance.choice((None, 26 * HOUR)), publish_delay=chance.choice((NOTHING, 10 * MINUTE)),
        )  # fmt: skip
        rows = drawn_rows(chance, view, kind, LEAP_DAY, 80)
        files = written(view, rows, tmp_path / str(number), chance)
        asked = [(drawn_key(chance, kind, nulls=True), drawn_moment(chance, LEAP_DAY)) for _ in range(60)]
        served = drawn_pushes(chance, rows)

        request = JoinRequest(
            feature_set(view), spine_of(view, asked), {view.name: files}, {}, served={view.name: served}
        )
        found = joins.join(request).to_pylist()

        for (key, moment), answer in zip(asked, found, strict=True):
            row = _last_online(rows, key, moment, view, served)
            for name in FEATURES:
                assert same(answer[f"rows__{name}"], None if row is None else row.values[name]), (key, moment)


def drawn_pushes(chance: random.Random, rows: list[Row]) -> ServedView:
    """Runs that follow each other, some of which brought the store no further, and pushes of all kinds."""
    runs: list[ServedRun] = []
    filled, taken = LEAP_DAY, chance.choice((NOTHING, 7 * MINUTE))
    for began in sorted(drawn_moment(chance, LEAP_DAY) for _ in range(chance.randrange(1, 6))):
        filled = max(filled, began - chance.choice((NOTHING, HOUR, 30 * HOUR)))
        as_of = began + chance.choice((NOTHING, NOTHING, HOUR, -20 * HOUR))
        copied_from = chance.choice((None, as_of - 5 * HOUR))
        runs.append(ServedRun(began + taken, as_of, began, copied_from, filled))
    stamped: set[tuple[datetime, datetime | None]] = set()
    named: dict[tuple[Any, ...], tuple[datetime | None, datetime | None]] = {}
    for row in chance.sample(rows, 50):
        came = max(row.known, row.event) + chance.choice((NOTHING, 10 * MINUTE, 3 * HOUR, 20 * HOUR))
        if chance.random() < 0.5:
            stamped |= {(row.known, shown) for shown in chance.sample((came, came + HOUR, None), 2)}
        else:
            arrived, shown = chance.choice(((came, came), (came, came + HOUR), (came, None), (None, came)))
            named[(*map(_text, row.key), row.event, row.known)] = (arrived, shown)
    *keys, events, known = zip(*named, strict=True)
    arrivals, shows = zip(*named.values(), strict=True)
    first = drawn_moment(chance, LEAP_DAY)
    span = chance.choice((None, PushSpan(first, first + 5 * HOUR)))
    return ServedView(tuple(runs), span, tuple(stamped), NamedRows(tuple(keys), events, known, arrivals, shows))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _last_online(
    rows: list[Row], key: tuple[Any, ...], moment: datetime, view: ResolvedView, served: ServedView
) -> Row | None:
    if all(run.published_at > moment for run in served.runs):
        return None
    online = [row for row in rows if row.key == key and moment in _online(row, view.publish_delay, served, moment)]
    row = max(online, key=lambda row: (row.event, row.known), default=None)
    return None if row is None or (view.ttl is not None and row.event <= moment - view.ttl) else row


def _online(row: Row, delay: timedelta, served: ServedView, moment: datetime) -> Iterator[datetime]:
    """The moment, if the row was online by then in one way or another: `ServedView`, read aloud."""
    visible = max(row.event, row.known + delay)
    runs = sorted(served.runs, key=lambda run: run.published_at)
    further = [run for place, run in enumerate(runs) if all(run.as_of >= one.as_of for one in runs[:place])]
    stamps = {stamp for stamp, _ in served.stamped}
    assert served.named is not None
    *keys, events, known, arrivals, shows = (
        *served.named.keys, served.named.event_timestamp, served.named.known_at,
        served.named.arrived_at, served.named.shown_at,
    )  # fmt: skip
    for *name, arrived, shown in zip(*keys, events, known, arrivals, shows, strict=True):
        if name == [*map(_text, row.key), row.event, row.known]:
            brought = [
                run.published_at
                for run in runs
                if arrived is not None
                and (run.began_at or LEAP_DAY) >= arrived
                and (run.copied_from is None or run.copied_from <= visible)
                and visible <= run.as_of
            ]
            if min([*brought, *([] if shown is None else [shown])], default=moment + TICK) <= moment:
                yield moment
            if arrived is not None:
                return
    if any(
        run.published_at <= moment
        and run.as_of >= visible
        and (row.known in stamps or (run in further and (run.filled_at or LEAP_DAY) >= row.known))
        for run in runs
    ):
        yield moment
    if any(stamp == row.known and shown is not None and visible <= shown <= moment for stamp, shown in served.stamped):
        yield moment
    if served.pushed is not None and visible <= min(moment, served.pushed.last_at) and moment >= served.pushed.first_at:
        yield moment


@pytest.mark.parametrize("kind", ["none", "text"])
def test_an_empty_spine_and_a_table_without_files_give_no_answers(
    joins: PointInTimeJoin, kind: str, tmp_path: Path
) -> None:
    chance = random.Random(0)
    view = row_level_view({name: dtype for name, (dtype, _) in KEYS[kind].items()}, FEATURES)
    nothing = written(view, [], tmp_path / "nothing", chance)
    something = written(view, drawn_rows(chance, view, kind, LEAP_DAY, 9), tmp_path / "something", chance)
    asked = [(drawn_key(chance, kind), LEAP_DAY + 3 * DAY)]

    assert joined(joins, view, spine_of(view, []), nothing, Knowledge.KNOWN) == []
    assert joined(joins, view, spine_of(view, []), something, Knowledge.KNOWN) == []
    assert joined(joins, view, spine_of(view, asked), nothing, Knowledge.KNOWN) == [{"rows__x": None, "rows__t": None}]


@pytest.mark.parametrize("delay", [NOTHING, None])
def test_a_spine_of_null_keys_gets_nulls(joins: PointInTimeJoin, delay: timedelta | None, tmp_path: Path) -> None:
    chance = random.Random(0)
    view = row_level_view({"s": DType.STRING}, FEATURES, delay=delay)
    files = written(view, drawn_rows(chance, view, "text", LEAP_DAY, 9), tmp_path / "files", chance)

    found = joined(joins, view, spine_of(view, [((None,), LEAP_DAY)] * 2), files, Knowledge.KNOWN)

    assert found == [{"rows__x": None, "rows__t": None}] * 2


def test_a_file_that_is_gone_is_told(joins: PointInTimeJoin, tmp_path: Path) -> None:
    chance = random.Random(0)
    view = row_level_view({}, FEATURES)
    files = written(view, drawn_rows(chance, view, "none", LEAP_DAY, 9), tmp_path / "files", chance)
    Path(files.paths[0]).unlink()

    with pytest.raises(DatasetGone, match=files.paths[0]):
        joined(joins, view, spine_of(view, [((), LEAP_DAY + 9 * DAY)]), files, Knowledge.KNOWN)


def test_window_values_answer_at_the_hops_that_points_name(joins: PointInTimeJoin, tmp_path: Path) -> None:
    events = [event for event in drawn_events(random.Random(3), (1, 2, 3, None), 60, -6) if event.key == 0]
    view = view_of(DType.INT64, [(Function.SUM, None), (Function.COUNT, None)])
    table = tile_table(view, events).drop_columns("key").rename_columns(
        {"hop": EVENT_HOP, "known_hop": KNOWN_HOP}
    )  # fmt: skip
    pq.write_table(table, tmp_path / "tiles.parquet")
    files = ParquetFiles((str(tmp_path / "tiles.parquet"),), table.schema)
    points = pa.table({HOP: pa.array([3, -50, 3, 40, 0])})

    found = joins.window_values(view, view.features, points, files).to_pylist()

    for hop, row in zip([3, -50, 3, 40, 0], found, strict=True):
        inside = [e for e in events if hop - 4 <= e.hop < hop and e.known_hop <= hop and e.value is not None]
        assert row["count_None_4"] == len(inside)
        assert row["sum_None_4"] == (sum(event.value for event in inside) if inside else None)
