"""The batch engine in this process: DuckDB over Parquet files and Arrow tables.

DuckDB is loaded by what uses it: it takes 12 MB, and a process that only looks features up does without.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
from sqlglot import ErrorLevel, exp

from featurestore.adapters.addresses import engine_folder
from featurestore.adapters.duckdb_binder import DuckDBBinder
from featurestore.adapters.duckdb_views import view_of
from featurestore.adapters.duckdb_volatility import Volatility
from featurestore.adapters.patience import NeverEnded, is_anything_left_behind, within
from featurestore.adapters.repeated_scan import RepeatedScan, Scans, told_failure
from featurestore.errors import EngineTimeout, QueryError, ValueRefused
from featurestore.graph.arrow_types import dtype_of
from featurestore.graph.microseconds import floored_rows, floored_schema
from featurestore.graph.sql_text import DIALECT
from featurestore.graph.sql_types import sql_type
from featurestore.ports.engine import Binding, DataFile, FileGroups, Query, RowScan

if TYPE_CHECKING:
    import duckdb

_BATCH_ROWS = 65_536
_OFFSET_COLUMNS = 4
_TEXTS_KEPT = 256
_KEEP_ZEROS_SIGN: dict[str, str | int | float | list[str]] = {
    # DuckDB 2.0 turns "the first row of each key" and as-of joins of small spines into arg_max, which gives back
    # the REAL -0.0 as 0.0. Measured on five million rows, doing without costs nothing.
    "disabled_optimizers": "top_n_window_elimination",
    "asof_loop_join_threshold": 0,
}


class DuckDBEngine:
    """DuckDB with a bound on memory, spilling to `spill_folder`. Safe to use from several threads at once.

    It has `understanding_seconds` to understand a query before it is asked for rows.
    """

    def __init__(
        self, *, memory_limit: str, threads: int, spill_folder: Path, understanding_seconds: float = 60.0
    ) -> None:
        self._understanding_seconds = understanding_seconds
        self._texts: dict[int, tuple[exp.Query, str]] = {}
        self._lock = threading.Lock()
        self._binder = DuckDBBinder()
        self._database: duckdb.DuckDBPyConnection | None = None
        self._asking = threading.Lock()
        self._volatility: Volatility | None = None
        self._settings: dict[str, str | int | float | bool | list[str]] = {
            "memory_limit": memory_limit,
            "threads": threads,
            "temp_directory": engine_folder(spill_folder),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            **_KEEP_ZEROS_SIGN,
        }
        spill_folder.mkdir(parents=True, exist_ok=True)

    def schema(self, query: Query) -> pa.Schema:
        """DuckDB computes what is constant in a query to understand it, for as long as that takes, and does not always
        stop when it is told to."""
        cursor, scans = self._open(query)

        def understood() -> pa.Schema:
            with closing(cursor):
                return _schema(cursor, query.tree)

        try:
            return within(self._understanding_seconds, understood, lambda: _interrupt(cursor))
        except NeverEnded as error:
            raise EngineTimeout(self._understanding_seconds, goes_on=error.is_left_behind) from error
        except QueryError as error:
            raise told_failure(scans, error) from error

    def volatile_parts(self, tree: exp.Query) -> tuple[str, ...]:
        with self._asking:
            if self._volatility is None:
                self._volatility = Volatility(self._connection())
            return self._volatility.parts(self._text(tree))

    def failure_of(self, query: Query, *, seconds: float) -> str | None:
        import duckdb

        cursor, _ = self._open(query)

        def tried() -> str | None:
            with closing(cursor):
                try:
                    cursor.sql(self._text(query.tree)).to_arrow_table()
                except duckdb.OutOfMemoryException:
                    return None
                except duckdb.Error as error:
                    return _reason(error)
            return None

        try:
            return within(seconds, tried, lambda: _interrupt(cursor))
        except NeverEnded:
            return None

    def bind(self, query: Query) -> Binding:
        schemas = {name: floored_schema(relation.schema) for name, relation in query.relations.items()}
        return self._binder.bind(query.tree, schemas)

    def stream(self, query: Query) -> pa.RecordBatchReader:
        import duckdb

        cursor, scans = self._open(query)
        try:
            reader = _run(cursor, self._text(query.tree), query.parameters).to_arrow_reader(_BATCH_ROWS)
            schema = reader.schema
        except duckdb.Error as error:
            cursor.close()
            raise told_failure(scans, _refused(error)) from error
        except QueryError as error:
            cursor.close()
            raise told_failure(scans, error) from error
        return pa.RecordBatchReader.from_batches(schema, _batches(reader, cursor, scans))

    def write(self, query: Query, folder: str, *, partition_by: str) -> tuple[DataFile, ...]:
        """Files are named by a fresh unique name, so that a folder can hold the files of many commits."""
        import duckdb

        Path(folder).mkdir(parents=True, exist_ok=True)
        with self._cursor(query) as cursor:
            written_as = _with_lists(query.tree, _schema(cursor, query.tree))
            copy = exp.Copy(
                this=exp.Subquery(this=written_as),
                kind=False,
                files=[exp.Literal.string(engine_folder(Path(folder)))],
                params=[
                    _parameter("FORMAT", exp.var("PARQUET")),
                    _parameter("COMPRESSION", exp.var("LZ4_RAW")),
                    _parameter("PARTITION_BY", exp.Tuple(expressions=[exp.to_identifier(partition_by, quoted=True)])),
                    _parameter("FILENAME_PATTERN", exp.Literal.string(f"{uuid4().hex}_{{i}}")),
                    _parameter("OVERWRITE_OR_IGNORE", exp.true()),
                    _parameter("RETURN_STATS", exp.true()),
                ],
            )
            try:
                written = cursor.execute(copy.sql(dialect=DIALECT)).fetchall()
            except duckdb.Error as error:
                raise _refused(error) from error
        return tuple(_data_file(row, folder, partition_by) for row in written)

    def close(self) -> None:
        self._binder.close()
        with self._lock:
            if self._database is not None and not is_anything_left_behind():  # it would be waited for
                self._database.close()

    def _connection(self) -> duckdb.DuckDBPyConnection:
        """Opened when it is first used: it takes 30 MB more."""
        import duckdb

        with self._lock:
            if self._database is None:
                self._database = duckdb.connect(":memory:", config=self._settings)
            return self._database.cursor()

    def _text(self, tree: exp.Query) -> str:
        """The tree's text, kept while the tree is among those used lately: a tree that takes parameters comes again."""
        with self._lock:
            known = self._texts.pop(id(tree), None)
            if known is None or known[0] is not tree:
                known = (tree, _rendered(tree))
            self._texts[id(tree)] = known
            if len(self._texts) > _TEXTS_KEPT:
                del self._texts[next(iter(self._texts))]
            return known[1]

    def _open(self, query: Query) -> tuple[duckdb.DuckDBPyConnection, Scans]:
        """A connection that knows the query's relations, and those of them that an adapter reads."""
        import duckdb

        cursor = self._connection()
        scans: list[RepeatedScan] = []
        try:
            cursor.execute("SET TimeZone='UTC'")
            for name, relation in query.relations.items():
                if isinstance(relation, RowScan):
                    scans.append(RepeatedScan(relation, query.tree))
                    cursor.register(name, scans[-1])
                elif isinstance(relation, pa.Table):
                    cursor.register(name, floored_rows(relation))
                elif isinstance(relation, FileGroups) or relation.paths:
                    cursor.execute(view_of(name, relation))
                else:
                    cursor.register(name, floored_rows(relation.schema.empty_table()))
        except duckdb.Error as error:
            cursor.close()
            raise _refused(error) from error
        except QueryError:
            cursor.close()
            raise
        return cursor, tuple(scans)

    @contextmanager
    def _cursor(self, query: Query) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor, scans = self._open(query)
        try:
            yield cursor
        except QueryError as error:
            raise told_failure(scans, error) from error
        finally:
            cursor.close()


def _interrupt(cursor: duckdb.DuckDBPyConnection) -> None:
    import duckdb

    with suppress(duckdb.Error):  # it has just been closed
        cursor.interrupt()


def _run(
    cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, int | str] | None = None
) -> duckdb.DuckDBPyRelation:
    import duckdb

    try:
        return cursor.sql(sql, params=dict(parameters)) if parameters else cursor.sql(sql)
    except duckdb.Error as error:
        raise _refused(error) from error


def _schema(cursor: duckdb.DuckDBPyConnection, tree: exp.Query) -> pa.Schema:
    import duckdb

    empty = exp.select("*").from_(tree.copy().subquery("asked")).limit(0)
    try:
        return _run(cursor, _rendered(empty)).to_arrow_table().schema
    except duckdb.Error as error:  # a constant that can not be computed
        raise _refused(error) from error


def _with_lists(tree: exp.Query, schema: pa.Schema) -> exp.Query:
    """The query with lists where it gives lists of one size: DuckDB 2.0 writes a null one as if it had items, and no
    other reader can make sense of such a file."""
    tree = tree.copy()
    sized = {field.name for field in schema if pa.types.is_fixed_size_list(field.type)}
    if not sized:
        return tree
    if not isinstance(tree, exp.Select) or tree.is_star:
        tree = exp.select(*(exp.column(name, quoted=True) for name in schema.names)).from_(tree.subquery("written"))
    for select, field in zip(tree.selects, schema, strict=True):
        if field.name in sized:
            item = dtype_of(field.type.value_type)
            if item is None:
                raise QueryError(f"The column '{field.name}' is {field.type}, which can not be written.")
            listed = exp.DataType(this=exp.DType.ARRAY, expressions=[sql_type(item)], nested=True)
            value = exp.Cast(this=select.unalias().copy(), to=listed)
            select.replace(exp.alias_(value, field.name, quoted=True))
    return tree


def _batches(reader: pa.RecordBatchReader, cursor: duckdb.DuckDBPyConnection, scans: Scans) -> Iterator[pa.RecordBatch]:
    """The reader's batches, keeping the cursor open until the last one."""
    import duckdb

    try:
        yield from reader
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise told_failure(scans, _refused(error)) from error
    finally:
        cursor.close()


def _rendered(tree: exp.Query) -> str:
    # What sqlglot calls unsupported was written for this engine, which says itself what it can not do.
    return tree.sql(dialect=DIALECT, unsupported_level=ErrorLevel.IGNORE)


def _parameter(name: str, value: exp.Expr) -> exp.CopyParameter:
    return exp.CopyParameter(this=exp.var(name), expression=value)


def _data_file(row: tuple[object, ...], folder: str, partition_by: str) -> DataFile:
    """A row of COPY … RETURN_STATS: path, rows, size, footer size, column statistics, partition values."""
    path, rows, size = str(row[0]), int(str(row[1])), int(str(row[2]))
    partitions = row[_OFFSET_COLUMNS + 1]
    assert isinstance(partitions, Mapping)  # noqa: S101 - the shape DuckDB documents for partitioned copies
    values = {str(key).strip('"'): value for key, value in partitions.items()}
    return DataFile(str(Path(path).relative_to(folder)), rows, size, str(values[partition_by]))


def _refused(error: Exception) -> QueryError:
    import duckdb

    reason = _reason(error)
    if isinstance(error, duckdb.InvalidInputException | duckdb.ConversionException | duckdb.OutOfRangeException):
        return ValueRefused(f"The engine refused a value: {reason.partition(' Error: ')[2] or reason}")
    return QueryError(f"The engine refused a query: {reason}")


def _reason(error: Exception) -> str:
    """DuckDB's message without the text of the compiled query behind it."""
    return str(error).split("\n\nLINE ", 1)[0].split("\nLINE ", 1)[0]
