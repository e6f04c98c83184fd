"""The embedded online store: one SQLite file in WAL mode, shared by threads and processes.

A lookup is one read transaction of two prepared statements, however many views it asks. Rows are compared by their
leading bytes inside SQLite, so concurrent writers can not undo each other. Encoding is `row_codec`'s business.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep

import pyarrow as pa

from featurestore.adapters.row_codec import CodecCache, EarlierTable, EncodedRows, RowCodec
from featurestore.adapters.stored_moments import encode_moment, from_microseconds, to_microseconds
from featurestore.errors import ConcurrentChange, StoreCorrupted, StoreUnavailable
from featurestore.ports.online_store import (
    Fill,
    Filled,
    FillRequest,
    Key,
    OnlineTable,
    TableRead,
    TableRows,
    WriteCount,
)

_ROWS_PER_TRANSACTION = 10_000  # about 50 ms: other writers wait no longer than that
_ALWAYS = b"\xff" * 8

_CREATE = (
    # AUTOINCREMENT: the number of a dropped table is never given to another.
    """CREATE TABLE IF NOT EXISTS filled_table (
        id INTEGER PRIMARY KEY AUTOINCREMENT, identity BLOB NOT NULL UNIQUE,
        generation INTEGER NOT NULL DEFAULT 1, nonce BLOB NOT NULL, filled_to INTEGER)""",
    """CREATE TABLE IF NOT EXISTS stored_row (
        table_id INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (table_id, key)) WITHOUT ROWID""",
    # The layout of 0.1: nothing reads it any more, and the offline tables hold every row.
    "DROP TABLE IF EXISTS online_row",
    "DROP TABLE IF EXISTS online_table",
)
_READ_TABLE = "SELECT id, filled_to FROM filled_table WHERE identity = ?"
_READ_ROW = "SELECT value FROM stored_row WHERE table_id = ? AND key = ?"
_ADD_TABLE = "INSERT INTO filled_table (identity, nonce) VALUES (?, ?) ON CONFLICT DO NOTHING"
_NEXT_GENERATION = "UPDATE filled_table SET generation = generation + 1 WHERE identity = ?"
_TURN = "SELECT generation, nonce FROM filled_table WHERE identity = ?"
_TABLE_OF_TURN = "SELECT id FROM filled_table WHERE identity = ? AND generation = ? AND nonce = ?"
# Blobs compare byte by byte. A row begins with its generation (4 bytes) and its two timestamps (8 each), in that order;
# ?4 and ?5 are the generation of the fill and the moment up to which it speaks of all rows.
_WRITE = """
    INSERT INTO stored_row (table_id, key, value) VALUES (?1, ?2, ?3)
    ON CONFLICT (table_id, key) DO UPDATE SET value = excluded.value
    WHERE substr(excluded.value, 5, 16) >= substr(stored_row.value, 5, 16)
        OR (substr(stored_row.value, 1, 4) < ?4 AND substr(stored_row.value, 13, 8) <= ?5)"""
_SWEEP = "DELETE FROM stored_row WHERE table_id = ? AND substr(value, 1, 4) < ? AND substr(value, 13, 8) <= ?"
_MARK = "UPDATE filled_table SET filled_to = max(coalesce(filled_to, ?2), ?2) WHERE id = ?1"
_DROP_ROWS = "DELETE FROM stored_row WHERE table_id IN (SELECT id FROM filled_table WHERE identity = ?)"
_DROP_TABLE = "DELETE FROM filled_table WHERE identity = ?"
_STORED_KEYS = """
    SELECT key FROM stored_row WHERE table_id = (SELECT id FROM filled_table WHERE identity = ?) ORDER BY key"""

_NEXT_KEYS = """
    SELECT key FROM stored_row WHERE table_id = (SELECT id FROM filled_table WHERE identity = ?) AND key > ?
    ORDER BY key LIMIT ?"""
_KEYS_AT_ONCE = 1_000


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
        keys = [codec.encode_keys(read.keys) for codec, read in zip(codecs, reads, strict=True)]
        with self._transaction("BEGIN") as cursor:
            found = [_read_table(cursor, codec, wanted) for codec, wanted in zip(codecs, keys, strict=True)]
        return [
            codec.decode_rows(None if filled_to is None else Filled(from_microseconds(filled_to)), rows)
            for codec, (filled_to, rows) in zip(codecs, found, strict=True)
        ]

    def sample_keys(self, table: OnlineTable, count: int) -> list[Key]:
        codec = self._codecs.of(table)
        with self._transaction("BEGIN") as cursor:
            stored = [key for (key,) in cursor.execute(_STORED_KEYS, (codec.identity,))]
        wanted = min(count, len(stored))
        return [codec.decode_key(stored[position * len(stored) // wanted]) for position in range(wanted)]

    def all_keys(self, table: OnlineTable) -> Iterator[Sequence[Key]]:
        codec, last = self._codecs.of(table), b""
        while True:
            with self._transaction("BEGIN") as cursor:
                stored = [key for (key,) in cursor.execute(_NEXT_KEYS, (codec.identity, last, _KEYS_AT_ONCE))]
            if not stored:
                return
            yield [codec.decode_key(key) for key in stored]
            last = stored[-1]

    def begin(self, request: FillRequest) -> Fill:
        identity = self._codecs.of(request.table).identity
        with self._transaction("BEGIN IMMEDIATE") as cursor:
            cursor.execute(_ADD_TABLE, (identity, os.urandom(8)))
            if request.replaces:
                cursor.execute(_NEXT_GENERATION, (identity,))
            return Fill(request, *cursor.execute(_TURN, (identity,)).fetchone())

    def write(self, fill: Fill, rows: pa.RecordBatchReader) -> WriteCount:
        codec = self._codecs.of(fill.request.table)
        total = written = 0
        for batch in rows:
            for start in range(0, batch.num_rows, _ROWS_PER_TRANSACTION):
                encoded = codec.encode_rows(batch.slice(start, _ROWS_PER_TRANSACTION), fill.generation)
                total += len(encoded.keys)
                written += self._write(fill, encoded)
        return WriteCount(written, total - written)

    def finish(self, fill: Fill, filled_to: datetime) -> None:
        # FULL syncs the log at this commit, and with it every row committed before: the mark never outlives them.
        with self._synchronous_full(), self._transaction("BEGIN IMMEDIATE") as cursor:
            table_id = self._table_id(cursor, fill)
            if fill.request.replaces:
                cursor.execute(_SWEEP, (table_id, *_authority(fill)))
                _drop(cursor, self._codecs.of(fill.request.table).earlier)
            cursor.execute(_MARK, (table_id, to_microseconds(filled_to)))

    def drop(self, table: OnlineTable) -> None:
        codec = self._codecs.of(table)
        with self._transaction("BEGIN IMMEDIATE") as cursor:
            _drop(cursor, codec)
            _drop(cursor, codec.earlier)

    def close(self) -> None:
        """Close the calling thread's connection; those of other threads close when their threads end."""
        if (connection := getattr(self._local, "connection", None)) is not None:
            connection.close()
            del self._local.connection

    def _write(self, fill: Fill, encoded: EncodedRows) -> int:
        """Write the rows in one transaction; return how many were stored."""
        with self._transaction("BEGIN IMMEDIATE") as cursor:
            table_id, authority = self._table_id(cursor, fill), _authority(fill)
            before = cursor.connection.total_changes
            pairs = zip(encoded.keys, encoded.values, strict=True)
            cursor.executemany(_WRITE, [(table_id, key, row, *authority) for key, row in pairs])
            return cursor.connection.total_changes - before

    def _table_id(self, cursor: sqlite3.Cursor, fill: Fill) -> int:
        """Asked in each transaction: another process may have dropped the table, or begun to copy it anew."""
        identity = self._codecs.of(fill.request.table).identity
        found: tuple[int] | None = cursor.execute(_TABLE_OF_TURN, (identity, fill.generation, fill.nonce)).fetchone()
        if found is None:
            raise ConcurrentChange(
                f"While {fill.request.table.name} was being copied, it was dropped from the online store, or another "
                "process began to copy all of it. Run `knownat materialize` again."
            )
        return found[0]

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


def _drop(cursor: sqlite3.Cursor, table: RowCodec | EarlierTable) -> None:
    cursor.execute(_DROP_ROWS, (table.identity,))
    cursor.execute(_DROP_TABLE, (table.identity,))


def _authority(fill: Fill) -> tuple[bytes, bytes]:
    """Of which rows a replacing fill speaks: those of earlier generations that were known up to this moment."""
    known_to = fill.request.known_to
    return fill.generation.to_bytes(4), _ALWAYS if known_to is None else encode_moment(known_to)


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)  # missing where the module itself raises
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
