"""State in a SQL database: the applied graph, what is filled and materialized, and the manifests of datasets.

One class for each port of `ports/state.py`. Whoever opens the database upgrades it with `STATE_MIGRATIONS` first.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, select, update

from featurestore.adapters import sql_tables as tables
from featurestore.adapters.dataset_ids import choose_dataset
from featurestore.adapters.sql_database import Database, reconnecting
from featurestore.graph.resolved import Graph
from featurestore.intervals import Interval
from featurestore.ports.state import (
    AppliedGraph,
    Coverage,
    FilledInterval,
    Manifest,
    Materialization,
    check_replaced,
)


@reconnecting
class SqlCatalog:
    """Every graph that was ever applied is kept; readers see the last."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self) -> AppliedGraph | None:
        newest = select(tables.applied_graph).order_by(tables.applied_graph.c.serial.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(newest).first()
        return None if row is None else AppliedGraph(row.serial, row.graph, row.applied_at)

    def serial(self) -> int | None:
        newest = select(func.max(tables.applied_graph.c.serial))
        with self._database.read() as connection:
            serial: int | None = connection.execute(newest).scalar_one()
        return serial

    def promote(self, graph: Graph, applied_at: datetime, *, replacing: int | None) -> AppliedGraph:
        newest = select(func.max(tables.applied_graph.c.serial))
        with self._database.write("catalog") as connection:
            found: int | None = connection.execute(newest).scalar_one()
            check_replaced(found, replacing)
            applied = AppliedGraph((found or 0) + 1, graph, applied_at)
            connection.execute(
                insert(tables.applied_graph).values(serial=applied.serial, graph=graph, applied_at=applied_at),
            )
        return applied

    def history(self) -> tuple[AppliedGraph, ...]:
        oldest_first = select(tables.applied_graph).order_by(tables.applied_graph.c.serial)
        with self._database.read() as connection:
            return tuple(
                AppliedGraph(row.serial, row.graph, row.applied_at) for row in connection.execute(oldest_first)
            )


@reconnecting
class SqlCoverage:
    def __init__(self, database: Database) -> None:
        self._database = database

    def coverage(self, table: str) -> Coverage:
        newest_first = (
            select(tables.filled_interval)
            .where(tables.filled_interval.c.table_name == table)
            .order_by(tables.filled_interval.c.number.desc())
        )
        with self._database.read() as connection:
            rows = connection.execute(newest_first).all()
        return Coverage(table, tuple(_fill(row) for row in rows))

    def record(self, table: str, fill: FilledInterval) -> None:
        contained = (
            (tables.filled_interval.c.table_name == table)
            & (tables.filled_interval.c.start_at >= fill.interval.start)
            & (tables.filled_interval.c.end_at <= fill.interval.end)
            & (tables.filled_interval.c.version <= fill.version)
        )
        with self._database.write(f"coverage:{table}") as connection:
            connection.execute(delete(tables.filled_interval).where(contained))
            others = (tables.filled_interval.c.table_name == table) & tables.filled_interval.c.settled.is_not(None)
            connection.execute(update(tables.filled_interval).where(others).values(settled=None))
            connection.execute(insert(tables.filled_interval).values(table_name=table, **_fill_values(fill)))

    def replace(self, table: str, fill: FilledInterval, by: FilledInterval) -> bool:
        recorded = tables.filled_interval.c
        same = (
            (recorded.table_name == table)
            & (recorded.start_at == fill.interval.start)
            & (recorded.end_at == fill.interval.end)
            & (recorded.version == fill.version)
        )
        with self._database.write(f"coverage:{table}") as connection:
            found = [
                row for row in connection.execute(select(tables.filled_interval).where(same)) if _fill(row) == fill
            ]
            if not found:
                return False
            number = recorded.number == found[-1].number
            connection.execute(update(tables.filled_interval).where(number).values(**_fill_values(by)))
        return True

    def cut(self, table: str, end: datetime, at: datetime) -> None:
        filled = tables.filled_interval
        of_table = filled.c.table_name == table
        with self._database.write(f"coverage:{table}") as connection:
            connection.execute(delete(filled).where(of_table & (filled.c.start_at >= end)))
            connection.execute(update(filled).where(of_table & (filled.c.end_at > end)).values(end_at=end))
            connection.execute(update(filled).where(of_table & (filled.c.filled_at > at)).values(filled_at=at))
            connection.execute(update(filled).where(of_table).values(settled=None))

    def forget(self, table: str) -> None:
        with self._database.write(f"coverage:{table}") as connection:
            connection.execute(delete(tables.filled_interval).where(tables.filled_interval.c.table_name == table))


@reconnecting
class SqlMaterializations:
    def __init__(self, database: Database) -> None:
        self._database = database

    def last(self, store: str, table: str) -> Materialization | None:
        with self._database.read() as connection:
            return _materialization(connection.execute(_of_table(store, table)).first())

    def record(self, store: str, materialization: Materialization, *, after: Materialization | None) -> None:
        table = materialization.table
        with self._database.write(f"materialization:{store}:{table}") as connection:
            undisturbed = _materialization(connection.execute(_of_table(store, table)).first()) == after
            connection.execute(
                delete(tables.materialization).where(
                    (tables.materialization.c.store == store) & (tables.materialization.c.table_name == table)
                )
            )
            if undisturbed:
                connection.execute(
                    insert(tables.materialization).values(
                        store=store,
                        table_name=table,
                        filled_to=materialization.filled_to,
                        version=materialization.version,
                        row_count=materialization.rows,
                        materialized_at=materialization.materialized_at,
                        unchanging=materialization.unchanging,
                        is_dated_by_data=materialization.is_dated_by_data,
                    )
                )

    def all(self, store: str) -> tuple[Materialization, ...]:
        of_store = select(tables.materialization).where(tables.materialization.c.store == store)
        with self._database.read() as connection:
            found = [_materialization(row) for row in connection.execute(of_store)]
        return tuple(sorted((one for one in found if one is not None), key=lambda one: one.table))

    def forget(self, store: str, table: str) -> None:
        copied = (tables.materialization.c.store == store) & (tables.materialization.c.table_name == table)
        with self._database.write(f"materialization:{store}:{table}") as connection:
            connection.execute(delete(tables.materialization).where(copied))


@reconnecting
class SqlDatasets:
    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, manifest: Manifest) -> Manifest:
        with self._database.write(f"dataset:{manifest.id}") as connection:
            row = connection.execute(_by_id(manifest.id)).first()
            if row is not None:
                return _manifest(row)
            connection.execute(
                insert(tables.dataset).values(id=manifest.id, manifest=manifest, created_at=manifest.created_at)
            )
        return manifest

    def get(self, dataset: str) -> Manifest:
        with self._database.read() as connection:
            row = connection.execute(_by_id(dataset)).first()
            if row is None:
                ids = connection.execute(select(tables.dataset.c.id)).scalars()
                row = connection.execute(_by_id(choose_dataset(dataset, ids))).one()
        return _manifest(row)

    def all(self) -> tuple[Manifest, ...]:
        oldest_first = select(tables.dataset.c.manifest).order_by(tables.dataset.c.created_at, tables.dataset.c.id)
        with self._database.read() as connection:
            return tuple(_manifest(row) for row in connection.execute(oldest_first))

    def delete(self, dataset: str) -> None:
        with self._database.write(f"dataset:{dataset}") as connection:
            connection.execute(delete(tables.dataset).where(tables.dataset.c.id == dataset))


def _fill(row: Row[Any]) -> FilledInterval:
    interval, told = Interval(row.start_at, row.end_at), (row.parts, row.day_rows, row.held or (), row.settled)
    return FilledInterval(interval, row.version, row.row_count, row.source_versions, row.filled_at, *told)


def _fill_values(fill: FilledInterval) -> dict[str, Any]:
    return {
        "start_at": fill.interval.start,
        "end_at": fill.interval.end,
        "version": fill.version,
        "row_count": fill.rows,
        "source_versions": fill.source_versions,
        "filled_at": fill.filled_at,
        "parts": fill.parts,
        "day_rows": fill.day_rows,
        "held": fill.held,
        "settled": fill.settled,
    }


def _by_id(dataset: str) -> Select[Any]:
    return select(tables.dataset.c.manifest).where(tables.dataset.c.id == dataset)


def _manifest(row: Row[Any]) -> Manifest:
    manifest: Manifest = row.manifest
    return manifest


def _of_table(store: str, table: str) -> Select[Any]:
    wanted = (tables.materialization.c.store == store) & (tables.materialization.c.table_name == table)
    return select(tables.materialization).where(wanted)


def _materialization(row: Row[Any] | None) -> Materialization | None:
    if row is None:
        return None
    copied = (row.table_name, row.filled_to, row.version, row.row_count, row.materialized_at)
    return Materialization(*copied, row.is_dated_by_data, row.unchanging)
