"""Read the serving log: in pieces of which one fits in memory, and as a spine that training sets can be pulled with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pyarrow as pa

from featurestore.errors import InvalidRequest, NothingLogged
from featurestore.graph.arrow_types import arrow_schema
from featurestore.ports.serving_log import REQUESTED_AT, Log, LogQuery, LogShelf, log_inputs

ROWS_AT_ONCE = 500_000
"""So many are held in memory, beside what they are compared with."""
SPINE_TIMESTAMP = "requested_at"


def logged_pieces(log: Log, query: LogQuery, shelf: LogShelf, *, rows: int = ROWS_AT_ONCE) -> Iterator[pa.Table]:
    """The log's rows, about so many at once: a log is many small files."""
    held: list[pa.Table] = []
    count = 0
    for table in shelf.rows(log, query):
        if table.num_rows:
            held.append(table)
            count += table.num_rows
        if count >= rows:
            yield pa.concat_tables(held)
            held, count = [], 0
    if held:
        yield pa.concat_tables(held)


def write_spine(query: LogQuery, shelf: LogShelf, path: Path) -> int:
    """Write the moments, keys and request inputs of what was asked as Parquet: a spine, without the features, which
    whoever pulls with it asks for anew. Gives the number of rows. Raises NothingLogged, InvalidRequest.

    The moment is the column `requested_at`, unless a key or an input is called so: then it is `__requested_at`.
    """
    import pyarrow.parquet as pq  # 4 MB, which a process that only looks features up never needs

    filled: list[tuple[Log, Iterator[pa.Table]]] = []
    for log in shelf.logs():
        tables = (table for table in shelf.rows(log, query, _read(log)) if table.num_rows)
        if (first := next(tables, None)) is not None:
            filled.append((log, chain([first], tables)))
    if not filled:
        raise NothingLogged(nothing_logged(query))
    inputs = _inputs_of([log for log, _ in filled])
    written = 0
    with pq.ParquetWriter(path, pa.schema([_timestamp(inputs), *inputs]), compression="zstd") as writer:
        for table in chain.from_iterable(tables for _, tables in filled):
            writer.write_table(_as_spine(table, inputs))
            written += table.num_rows
    return written


def nothing_logged(query: LogQuery) -> str:
    """Why there is nothing, as a sentence and what to do about it."""
    asked = [f"{what} '{name}'" for what, name in (("service", query.service), ("model", query.model)) if name]
    since = [] if query.since is None else [f"since {query.since.isoformat()}"]
    told = " ".join(["No answer is logged", *(["for"] if asked else []), *asked, *since])
    return (
        f"{told}. `[serving_log] sample` in knownat.toml says which share of the lookups is logged; what was served is "
        "written within `flush_seconds`."
    )


def _read(log: Log) -> tuple[str, ...]:
    return (REQUESTED_AT, *(column.name for column in log_inputs(log.features)))


def _inputs_of(logs: list[Log]) -> pa.Schema:
    """The keys and inputs of all the logs: a service may have asked for other ones before it was changed."""
    fields: dict[str, pa.Field] = {}
    for log in logs:
        for found in arrow_schema(log_inputs(log.features)):
            known = fields.setdefault(found.name, found)
            if known.type != found.type:
                raise InvalidRequest(
                    f"'{found.name}' was logged as {known.type} and as {found.type}: no spine has both. Choose the "
                    "answers of one service or model, or those since it was changed."
                )
    return pa.schema(fields.values())


def _timestamp(inputs: pa.Schema) -> pa.Field:
    name = REQUESTED_AT if SPINE_TIMESTAMP in inputs.names else SPINE_TIMESTAMP
    return pa.field(name, pa.timestamp("us", tz="UTC"))


def _as_spine(table: pa.Table, inputs: pa.Schema) -> pa.Table:
    arrays = [
        table[field.name] if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in inputs
    ]
    return pa.table([table[REQUESTED_AT], *arrays], schema=pa.schema([_timestamp(inputs), *inputs]))
