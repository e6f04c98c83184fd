"""A training set over three row-level views of ten features, TTL 7 days, against Polars `join_asof` on its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import polars as pl
import pyarrow as pa

from featurestore.compiler.point_in_time import SPINE, point_in_time, relation_of
from featurestore.graph.selection import referenced_features
from featurestore.operations.spine import spine_relation
from featurestore.ports.engine import Query
from registry.wiring import open_project as open_wired
from sdk import open_project
from tests.bench.history import NOW, Sizes, write_project

RUNS = 3


def measure_pull(folder: Path) -> None:
    for sizes in (Sizes(100_000, 10_000, 10_000), Sizes(1_000_000, 100_000, 100_000)):
        _measure(folder / str(sizes.rows), sizes)


def _measure(folder: Path, sizes: Sizes) -> None:
    spine = write_project(folder, sizes)
    with open_project(folder) as project:
        started = perf_counter()
        for _ in project.apply():
            pass
        print(f"\n{sizes.views} views of {sizes.rows:,} rows backfilled in {perf_counter() - started:.2f} s")
    wired = open_wired(folder)
    features = wired.features
    applied = features.project.catalog.current()
    assert applied is not None
    chosen = referenced_features(applied.graph, [f"view_{view}:*" for view in range(sizes.views)])

    ends = {view.name: NOW for view in chosen.views}

    def ours() -> pa.Table:
        relations = {relation_of(view): features.offline.tables.snapshot(view.table).files for view in chosen.views}
        rows = spine_relation(spine, chosen, timestamp="event_timestamp")
        query = Query(point_in_time(chosen, ends), {**relations, SPINE: rows})
        return features.offline.engine.stream(query).read_all()

    _compare(ours, lambda: _polars(folder / "data", spine, sizes), sizes)
    wired.close()


def _compare(ours: Callable[[], pa.Table], theirs: Callable[[], pa.Table], sizes: Sizes) -> None:
    if ours().num_rows != sizes.spine or theirs().num_rows != sizes.spine:
        raise AssertionError("a join lost rows")
    seconds: dict[str, list[float]] = {"Knownat": [], "Polars": []}
    for _ in range(RUNS):
        for name, run in (("Knownat", ours), ("Polars", theirs)):
            started = perf_counter()
            run()
            seconds[name].append(perf_counter() - started)
    mine, other = median(seconds["Knownat"]), median(seconds["Polars"])
    print(
        f"pull {sizes.spine:,} rows x {sizes.views * sizes.features} features: "
        f"Knownat {mine:.2f} s, Polars join_asof {other:.2f} s, ratio {mine / other:.2f}"
    )


def _polars(data: Path, spine: pa.Table, sizes: Sizes) -> pa.Table:
    left = pl.from_arrow(spine)
    assert isinstance(left, pl.DataFrame)
    joined = left.with_row_index("row").sort("event_timestamp")
    for view in range(sizes.views):
        right = pl.read_parquet(data / f"source_{view}.parquet").sort("happened")
        joined = joined.join_asof(
            right, left_on="event_timestamp", right_on="happened", by="user", tolerance="7d", suffix=f"_{view}",
            check_sortedness=False, coalesce=True,
        )  # fmt: skip
    return joined.sort("row").to_arrow()
