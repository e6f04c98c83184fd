"""Point-in-time joins written by hand in the best way each library offers, over the raw Parquet files.

Each returns the features of every view, in the spine's order, and null where nothing is younger than seven days.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.contender import Contender, Task


def polars(task: Task) -> Contender:
    """`join_asof` finds row numbers, and only the rows found are gathered: sorting ten columns would cost more."""
    spine = pl.from_arrow(pq.read_table(task.spine))
    assert isinstance(spine, pl.DataFrame)

    def run() -> pa.Table:
        left = spine.with_row_index("row").sort("event_timestamp")
        parts = [_polars_view(left, name, source) for name, source in _sources(task.folder)]
        return pl.concat(parts, how="horizontal").to_arrow()

    return Contender(run)


def _polars_view(left: pl.DataFrame, view: str, source: Path) -> pl.DataFrame:
    right = pl.read_parquet(source / "*.parquet")
    order = right.select("user", "happened").with_row_index("found").sort("happened")
    joined = left.join_asof(
        order, left_on="event_timestamp", right_on="happened", by="user", tolerance="7d", check_sortedness=False,
    )  # fmt: skip
    found = joined.select("row", "found").sort("row")["found"]
    return right.select(pl.exclude("user", "happened").name.prefix(f"{view}__")).select(pl.all().gather(found))


def polars_plain(task: Task) -> Contender:
    """`join_asof` as its documentation has it, all columns carried along."""
    spine = pl.from_arrow(pq.read_table(task.spine))
    assert isinstance(spine, pl.DataFrame)

    def run() -> pa.Table:
        joined = spine.with_row_index("row").sort("event_timestamp")
        for view, source in _sources(task.folder):
            values = pl.exclude("user", "happened").name.prefix(f"{view}__")
            right = pl.read_parquet(source / "*.parquet").sort("happened").select("user", "happened", values)
            joined = joined.join_asof(
                right, left_on="event_timestamp", right_on="happened", by="user", tolerance="7d",
                check_sortedness=False,
            ).drop("happened", strict=False)  # fmt: skip
        return joined.sort("row").drop("row", "user", "event_timestamp").to_arrow()

    return Contender(run)


def duckdb_asof(task: Task) -> Contender:
    spine = pq.read_table(task.spine)
    selected: list[str] = []
    joins: list[str] = []
    for view, source in _sources(task.folder):
        values = [name for name in pq.read_schema(source / "0000.parquet").names if name.startswith("value")]
        young = f"{view}.happened > asked.event_timestamp - INTERVAL 7 DAY"
        selected += [f'CASE WHEN {young} THEN {view}.{value} END AS "{view}__{value}"' for value in values]
        joins.append(
            f"ASOF LEFT JOIN read_parquet('{source}/*.parquet') AS {view}"
            f" ON {view}.user = asked.user AND asked.event_timestamp >= {view}.happened"
        )
    query = (
        f"SELECT {', '.join(selected)} FROM (SELECT *, row_number() OVER () AS number FROM spine) AS asked"
        f" {' '.join(joins)} ORDER BY asked.number"
    )

    def run() -> pa.Table:
        with duckdb.connect() as connection:
            connection.register("spine", spine)
            return connection.sql(query).to_arrow_table()

    return Contender(run)


def pandas(task: Task) -> Contender:
    spine = pd.read_parquet(task.spine)

    def run() -> pa.Table:
        joined = spine.assign(row=range(len(spine))).sort_values("event_timestamp")
        for view, source in _sources(task.folder):
            right = pd.read_parquet(source).sort_values("happened")
            right.columns = [f"{view}__{name}" if name.startswith("value") else name for name in right.columns]
            joined = pd.merge_asof(
                joined, right, left_on="event_timestamp", right_on="happened", by="user", tolerance=pd.Timedelta("7d")
            ).drop(columns="happened")
        values = joined.sort_values("row").drop(columns=["row", "user", "event_timestamp"])
        return pa.Table.from_pandas(values, preserve_index=False)

    return Contender(run)


def _sources(folder: Path) -> Iterator[tuple[str, Path]]:
    for source in sorted((folder / "data").iterdir()):
        yield source.name.replace("source", "view"), source
