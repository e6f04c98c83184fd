"""The embedded online store: one SQLite file in WAL mode, shared by threads and processes.

A lookup is one read transaction of two prepared statements, however many views it asks. Rows are compared by their
leading time bytes inside SQLite, so concurrent writers can not undo each other. Encoding is `row_codec`'s business.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep

import pyarrow as pa

from featurestore.adapters.row_codec import CodecCache, RowCodec, from_microseconds, to_microseconds
from featurestore.errors import StoreCorrupted, StoreUnavailable
from featurestore.ports.online_store import Key, OnlineTable, TableRead, TableRows, WriteCount

_ROWS_PER_TRANSACTION = 10_000  # about 50 ms: other writers wait no longer than that

_CREATE = (
    # AUTOINCREMENT: the number of a dropped table is never given to another.
    """CREATE TABLE IF NOT EXISTS online_table (
        id INTEGER PRIMARY KEY AUTOINCREMENT, identity BLOB NOT NULL UNIQUE,
        generation INTEGER NOT NULL DEFAULT 0, filled_to INTEGER)""",
    """CREATE TABLE IF NOT EXISTS online_row (
        table_id INTEGER NOT NULL, key BLOB NOT NULL, generation INTEGER NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (table_id, key)) WITHOUT ROWID""",
)
_READ_TABLE = "SELECT id, filled_to FROM online_table WHERE identity = ?"
_READ_ROW = "SELECT value FROM online_row WHERE table_id = ? AND key = ?"
_ADD_TABLE = "INSERT INTO online_table (identity) VALUES (?) ON CONFLICT DO NOTHING"
_WRITE_TARGET = "SELECT id, generation FROM online_table WHERE identity = ?"
_NEXT_GENERATION = "UPDATE online_table SET generation = generation + 1 WHERE identity = ?"
_WRITE_ANY = """
    INSERT INTO online_row (table_id, generation, key, value) VALUES (?, ?, ?, ?)
    ON CONFLICT (table_id, key) DO UPDATE SET value = excluded.value, generation = excluded.generation"""
# Blobs compare byte by byte, and the first 16 bytes of a row are its two timestamps in that order.
_WRITE_NEWER = _WRITE_ANY + " WHERE substr(excluded.value, 1, 16) >= substr(online_row.value, 1, 16)"
_SWEEP = "DELETE FROM online_row WHERE table_id = ? AND generation < ?"
_MARK = "UPDATE online_table SET filled_to = max(coalesce(filled_to, ?2), ?2) WHERE identity = ?1"
_DROP_ROWS = "DELETE FROM online_row WHERE table_id IN (SELECT id FROM online_table WHERE identity = ?)"
_DROP_TABLE = "DELETE FROM online_table WHERE identity = ?"
_STORED_KEYS = """
    SELECT key FROM online_row WHERE table_id = (SELECT id FROM online_table WHERE identity = ?) ORDER BY key"""


class SqliteOnlineStore:
    """An OnlineStore in the file `path`, created with its folder when it is not there.

    Raises StoreUnavailable when the file can not be opened or stays locked for `busy_timeout_seconds`, and
    StoreCorrupted when it is not an intact SQLite database. A mark, and all rows written before it, survive a
    power failure.
    """

    def __init__(self, path: str | Path, *, busy_timeout_seconds: float = 10.0) -> None:
        self._path = Path(path)
        self._busy_timeout_seconds = busy_timeout_seconds
        self._codecs = CodecCache()
        self._local = threading.local()

    def read(self, reads: Sequence[TableRead]) -> list[TableRows]:
        # Encoded before and decoded after the transaction, which then holds nobody up.
        codecs = [self._codecs.of(read.table) for read in reads]
        keys = [[codec.encode_key(key) for key in read.keys] for codec, read in zip(codecs, reads, strict=True)]
        with self._transaction("BEGIN") as cursor:
            found = [_read_table(cursor, codec, wanted) for codec, wanted in zip(codecs, keys, strict=True)]
        return [
            TableRows(
                None if filled_to is None else from_microseconds(filled_to),
                [None if row is None else codec.decode_row(row) for row in rows],
            )
            for codec, (filled_to, rows) in zip(codecs, found, strict=True)
        ]

    def sample_keys(self, table: OnlineTable, count: int) -> list[Key]:
        codec = self._codecs.of(table)
        with self._transaction("BEGIN") as cursor:
            stored = [key for (key,) in cursor.execute(_STORED_KEYS, (codec.identity,))]
        wanted = min(count, len(stored))
        return [codec.decode_key(stored[position * len(stored) // wanted]) for position in range(wanted)]

    def write_newer(self, table: OnlineTable, rows: pa.RecordBatchReader) -> WriteCount:
        codec = self._codecs.of(table)
        total = written = 0
        for portion in _portions(codec, rows):
            total += len(portion)
            written += self._write(_WRITE_NEWER, codec, portion)
        return WriteCount(written, total - written)

    def replace(self, table: OnlineTable, rows: pa.RecordBatchReader) -> WriteCount:
        codec = self._codecs.of(table)
        with self._transaction("BEGIN IMMEDIATE") as cursor:
            cursor.execute(_ADD_TABLE, (codec.identity,))
            cursor.execute(_NEXT_GENERATION, (codec.identity,))
            table_id, generation = cursor.execute(_WRITE_TARGET, (codec.identity,)).fetchone()
        written = sum(self._write(_WRITE_ANY, codec, portion) for portion in _portions(codec, rows))
        with self._transaction("BEGIN IMMEDIATE") as cursor:
            cursor.execute(_SWEEP, (table_id, generation))
        return WriteCount(written, 0)

    def mark_filled(self, table: OnlineTable, filled_to: datetime) -> None:
        identity = self._codecs.of(table).identity
        # FULL syncs the log at this commit, and with it every row committed before: the mark never outlives them.
        with self._synchronous_full(), self._transaction("BEGIN IMMEDIATE") as cursor:
            cursor.execute(_ADD_TABLE, (identity,))
            cursor.execute(_MARK, (identity, to_microseconds(filled_to)))

    def drop(self, table: OnlineTable) -> None:
        identity = self._codecs.of(table).identity
        with self._transaction("BEGIN IMMEDIATE") as cursor:
            cursor.execute(_DROP_ROWS, (identity,))
            cursor.execute(_DROP_TABLE, (identity,))

    def close(self) -> None:
        """Close the calling thread's connection; those of other threads close when their threads end."""
        if (connection := getattr(self._local, "connection", None)) is not None:
            connection.close()
            del self._local.connection

    def _write(self, statement: str, codec: RowCodec, portion: list[tuple[bytes, bytes]]) -> int:
        """Write the portion in one transaction; return how many rows the statement stored."""
        with self._transaction("BEGIN IMMEDIATE") as cursor:
            cursor.execute(_ADD_TABLE, (codec.identity,))
            # Asked again each time: another process may have dropped the table between two portions.
            target = cursor.execute(_WRITE_TARGET, (codec.identity,)).fetchone()
            before = cursor.connection.total_changes
            cursor.executemany(statement, [(*target, key, row) for key, row in portion])
            return cursor.connection.total_changes - before

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Cursor]:
        with self._translated_errors():
            connection = self._connection()
            cursor = connection.execute(begin)
            try:
                yield cursor
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    @contextmanager
    def _synchronous_full(self) -> Iterator[None]:
        with self._translated_errors():
            connection = self._connection()
            connection.execute("PRAGMA synchronous = FULL")
            try:
                yield
            finally:
                connection.execute("PRAGMA synchronous = NORMAL")

    def _connection(self) -> sqlite3.Connection:
        """This thread's own connection: SQLite then runs the readers side by side."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._opened()
        return connection

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self._path,
            timeout=self._busy_timeout_seconds,
            isolation_level=None,
            check_same_thread=False,  # used by one thread, but closed by whichever drops the last reference
            factory=_Connection,
        )
        try:
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                _turn_on_wal(connection, self._busy_timeout_seconds)
            connection.execute("PRAGMA synchronous = NORMAL")
            for statement in _CREATE:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(f"The online store {self._path} can not be opened: {error}.") from error
        except sqlite3.Error as error:
            if _is_damage(error):
                raise StoreCorrupted(
                    f"The online store {self._path} is not an intact SQLite database: {error}. "
                    "Move it away and materialize again; nothing is lost, the offline tables hold every row."
                ) from error
            raise StoreUnavailable(
                f"The online store {self._path} does not answer: {error}. Check that the file can be read and "
                "written here, that the disk has room, and that no other process holds it locked."
            ) from error


class _Connection(sqlite3.Connection):
    """A connection that closes itself when its thread ends and the last reference goes."""

    def __del__(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # never opened
            self.close()


def _turn_on_wal(connection: sqlite3.Connection, patience_seconds: float) -> None:
    """SQLite does not apply its busy timeout to this change, and several processes may open a new file at once."""
    give_up = monotonic() + patience_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if monotonic() >= give_up:
                raise
            sleep(0.01)
        else:
            return


def _read_table(cursor: sqlite3.Cursor, codec: RowCodec, keys: list[bytes]) -> tuple[int | None, list[bytes | None]]:
    table: tuple[int, int | None] | None = cursor.execute(_READ_TABLE, (codec.identity,)).fetchone()
    if table is None:
        return None, [None] * len(keys)
    table_id, filled_to = table
    # One statement for each key, prepared once: 2.4 µs each, where IN lists of every length would fill the cache.
    found = (cursor.execute(_READ_ROW, (table_id, key)).fetchone() for key in keys)
    return filled_to, [None if row is None else row[0] for row in found]


def _portions(codec: RowCodec, rows: pa.RecordBatchReader) -> Iterator[list[tuple[bytes, bytes]]]:
    """The encoded rows, as many at a time as one transaction takes."""
    for batch in rows:
        for start in range(0, batch.num_rows, _ROWS_PER_TRANSACTION):
            yield list(codec.encode_rows(batch.slice(start, _ROWS_PER_TRANSACTION)))


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)  # missing where the module itself raises
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
