"""Windowed aggregates of raw events written by hand in DuckDB, in three ways, and the plain GROUP BY of a backfill.

A value at *t* is the aggregate over `[T - window, T)`, T being the last full hour not after *t*; an empty window
counts 0 and is null otherwise.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.contender import Contender, Task
from tests.bench.history import WINDOWS

_SPINE = """
    SELECT row_number() OVER () AS number, user, time_bucket(INTERVAL 1 HOUR, event_timestamp) AS moment FROM spine
"""
_AGGREGATES = {"sum": "sum(amount)", "count": "count(amount)", "mean": "avg(amount)", "max": "max(amount)"}


def range_join(task: Task) -> Contender:
    """Each spine row with its events of 30 days, aggregated with a filter for each window."""
    values = ", ".join(
        f"{formula} FILTER (happened >= moment - INTERVAL {days} DAY) AS spending__amount_{kind}_{days}d"
        for kind, formula in _AGGREGATES.items()
        for days in WINDOWS
    )
    return _contender(
        task,
        f"""
        SELECT * EXCLUDE (number) FROM (
            SELECT number, {values} FROM ({_SPINE}) AS asked LEFT JOIN events ON events.user = asked.user
            AND happened < moment AND happened >= moment - INTERVAL {max(WINDOWS)} DAY GROUP BY number
        ) ORDER BY number
        """,
    )


def window_functions(task: Task) -> Contender:
    """Spine rows among the events, and window functions over both."""
    values = ", ".join(
        f"{formula} OVER w{days} AS spending__amount_{kind}_{days}d"
        for kind, formula in _AGGREGATES.items()
        for days in WINDOWS
    )
    windows = ", ".join(
        # The spine's rows stand a microsecond before their hour, for the hour's own event is not in the window.
        f"w{days} AS (PARTITION BY user ORDER BY moment RANGE BETWEEN "
        f"INTERVAL {days * 86_400 * 1_000_000 - 1} MICROSECONDS PRECEDING AND CURRENT ROW)"
        for days in WINDOWS
    )
    return _contender(
        task,
        f"""
        SELECT * EXCLUDE (number) FROM (
            SELECT number, {values} FROM (
                SELECT NULL AS number, user, happened AS moment, amount FROM events
                UNION ALL BY NAME
                SELECT number, user, moment - INTERVAL 1 MICROSECOND AS moment, NULL AS amount FROM ({_SPINE})
            ) WINDOW {windows} QUALIFY number IS NOT NULL
        ) ORDER BY number
        """,
    )


def prefix_sums(task: Task) -> Contender:
    """Differences of running sums, found by as-of joins. There is no running maximum that could be subtracted."""
    spans = (0, *WINDOWS)
    joins = " ".join(
        f"ASOF LEFT JOIN running AS at_{days} ON at_{days}.user = asked.user"
        f" AND at_{days}.happened < asked.moment - INTERVAL {days} DAY"
        for days in spans
    )
    values: list[str] = []
    for days in WINDOWS:
        count = f"coalesce(at_0.count, 0) - coalesce(at_{days}.count, 0)"
        total = f"coalesce(at_0.sum, 0) - coalesce(at_{days}.sum, 0)"
        values += [
            f"CASE WHEN {count} > 0 THEN {total} END AS spending__amount_sum_{days}d",
            f"{count} AS spending__amount_count_{days}d",
            f"CASE WHEN {count} > 0 THEN ({total}) / ({count}) END AS spending__amount_mean_{days}d",
        ]
    return _contender(
        task,
        f"""
        WITH running AS MATERIALIZED (
            SELECT user, happened, sum(amount) OVER past AS sum, count(amount) OVER past AS count
            FROM events WINDOW past AS (PARTITION BY user ORDER BY happened)
        )
        SELECT {", ".join(values)} FROM ({_SPINE}) AS asked {joins} ORDER BY asked.number
        """,
    )


def group_by(task: Task) -> Contender:
    """What a backfill can not do without: the events by user and hour, written to Parquet."""
    written = task.folder / "hours.parquet"
    query = f"""
        COPY (
            SELECT user, time_bucket(INTERVAL 1 HOUR, happened) AS hour, sum(amount), count(amount), max(amount)
            FROM read_parquet('{task.folder}/data/events/*.parquet') GROUP BY ALL
        ) TO '{written}' (FORMAT PARQUET, COMPRESSION ZSTD)
    """

    def run() -> pa.Table:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(query)
        return pa.table({})

    return Contender(run, notes=lambda: {"MB written": written.stat().st_size / 1e6})


def _contender(task: Task, query: str) -> Contender:
    spine = pq.read_table(task.spine)

    def run() -> pa.Table:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("spine", spine)
            connection.execute(f"CREATE VIEW events AS FROM read_parquet('{task.folder}/data/events/*.parquet')")
            return connection.sql(query).to_arrow_table()

    return Contender(run)
