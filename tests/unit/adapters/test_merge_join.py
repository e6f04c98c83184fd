"""Passes, batches, pieces and kept features change what is in memory, never an answer; files that no row can come from
are not opened."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.adapters import merge_join
from featurestore.adapters.merge_join import MergeJoin
from featurestore.adapters.table_files import FileReader, TableFile
from featurestore.compiler.hops import HOP
from featurestore.compiler.tiles import EVENT_HOP, KNOWN_HOP
from featurestore.graph.resolved import Column, ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.joins import JoinRequest
from featurestore.spec.aggregate import Function
from featurestore.spec.dtypes import DType
from tests.stored_tables import NOTHING, feature_set, row_level_view, spine_of, stored
from tests.unit.merging.tiles_by_hand import drawn_events, tile_table, view_of

START = datetime(2023, 12, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIMITS = {"_PASS_ROWS": 7, "_BATCH_ROWS": 3, "_LEAST_BATCHES": 9, "_KEPT_VALUES": 0, "_BLOCK_ROWS": 4}


@pytest.fixture
def joins() -> Iterator[MergeJoin]:
    joins = MergeJoin(threads=2)
    yield joins
    joins.close()


def request(delay: timedelta | None, folder: Path, ttl: timedelta | None = None) -> JoinRequest:
    chance = random.Random(5)
    view = row_level_view({"n": DType.INT64, "s": DType.STRING}, {"x": DType.INT64}, delay=delay, ttl=ttl)
    rows = {
        (n, s, hour): {
            "n": n,
            "s": s,
            EVENT_TIMESTAMP: START + hour * HOUR,
            KNOWN_AT: START + (hour + (chance.choice((0, 0, 40)) if delay is None else 0)) * HOUR,
            "x": number,
        }
        for number in range(150)
        for n, s, hour in [(chance.randrange(5), chance.choice("ab"), chance.randrange(96))]
    }
    asked = [
        ((chance.choice((None, *range(6))), chance.choice("abc")), START + chance.randrange(120) * HOUR)
        for _ in range(200)
    ]
    files = stored(view, list(rows.values()), folder, chance)
    return JoinRequest(feature_set(view), spine_of(view, asked), {"rows": files}, {})


@pytest.mark.parametrize("limits", [{name: value} for name, value in LIMITS.items()] + [LIMITS])
@pytest.mark.parametrize("delay", [NOTHING, 5 * HOUR, None])
def test_bounds_on_memory_do_not_change_an_answer(
    joins: MergeJoin, delay: timedelta | None, limits: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(delay, tmp_path / "rows")
    whole = joins.join(asked)
    for name, value in limits.items():
        monkeypatch.setattr(merge_join, name, value)

    assert joins.join(asked).equals(whole)
    assert whole["rows__x"].null_count < len(whole) * 2 // 3


@pytest.mark.parametrize("delay", [NOTHING, None])
@pytest.mark.parametrize("rows", [1, 7, 64])
def test_a_spine_in_pieces_gets_the_answers_of_the_whole(
    joins: MergeJoin, rows: int, delay: timedelta | None, tmp_path: Path
) -> None:
    asked = request(delay, tmp_path / "rows", ttl=20 * HOUR)
    pieces = [
        joins.join(JoinRequest(asked.features, asked.spine.slice(start, rows), asked.tables, {}))
        for start in range(0, asked.spine.num_rows, rows)
    ]

    assert pa.concat_tables(pieces).combine_chunks().equals(joins.join(asked).combine_chunks())


@pytest.mark.parametrize(
    "limits", [{"_PASS_ROWS": 5}, {"_BLOCK_ROWS": 4}, {"_BATCH_ROWS": 1, "_LEAST_BATCHES": 50}, LIMITS]
)
def test_windows_are_merged_in_passes_with_the_same_outcome(
    joins: MergeJoin, limits: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, points, tiles = windows(tmp_path)
    whole = joins.window_values(view, view.features, points, tiles)
    for name, value in limits.items():
        monkeypatch.setattr(merge_join, name, value)

    assert joins.window_values(view, view.features, points, tiles).equals(whole)


def windows(folder: Path) -> tuple[ResolvedView, pa.Table, ParquetFiles]:
    """A view of the key `key`, points that ask for it, and its tiles in six files."""
    functions = [(Function.SUM, None), (Function.LAST, None), (Function.PERCENTILE, 50.0)]
    keyless = view_of(DType.INT64, functions)
    view = ResolvedView(**{name: getattr(keyless, name) for name in keyless.__slots__} | {"keys": (_KEY,)})
    table = tile_table(view, drawn_events(random.Random(3), (1, -5, 2**40, None), 80, -6))
    table = table.rename_columns({"hop": EVENT_HOP, "known_hop": KNOWN_HOP})
    size = table.num_rows // 6 + 1
    for number in range(6):
        pq.write_table(table.slice(number * size, size), folder / f"{number}.parquet")
    asked = [(key, hop) for key in (0, 1, 2, 9, None) for hop in range(-8, 20, 3)]
    points = pa.table({"key": pa.array([key for key, _ in asked], pa.int64()), HOP: [hop for _, hop in asked]})
    return view, points, ParquetFiles(tuple(str(path) for path in sorted(folder.iterdir())), table.schema)


_KEY = Column("key", DType.INT64)


def test_days_that_are_too_old_or_too_late_for_every_moment_are_not_opened(
    joins: MergeJoin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(NOTHING, tmp_path / "rows", ttl=HOUR)
    noon = START + DAY + 12 * HOUR
    one = JoinRequest(asked.features, spine_of(asked.features.views[0], [((1, "a"), noon)]), asked.tables, {})
    opened: list[str] = []
    read = FileReader.read

    def noted(reader: FileReader, file: TableFile, columns: list[str]) -> pa.Table:
        opened.append(file.path)
        return read(reader, file, columns)

    monkeypatch.setattr(FileReader, "read", noted)
    joins.join(one)

    table = asked.tables["rows"]
    days = {day for path, day in zip(table.paths, table.partitions, strict=True) if path in opened}
    assert days == {"2023-12-31"}
