"""The bytes of an online store's rows, read and changed behind the store's back: in the embedded one, or in Redis."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from redis import Redis

from featurestore.adapters.row_codec import RowCodec
from featurestore.ports.online_store import Key, OnlineRow, OnlineTable
from tests.online_rows import rows_found, rows_of

_GENERATION = 1


class Bytes(Protocol):
    """The rows of one store by table and key, as bytes."""

    def get(self, table: OnlineTable, key: Key) -> bytes: ...

    def put(self, table: OnlineTable, key: Key, row: bytes) -> None: ...

    def remove(self, table: OnlineTable, key: Key) -> None: ...

    def put_under(self, table: OnlineTable, key: bytes, row: bytes) -> None:
        """Put a row under the bytes of a key, whatever they are."""
        ...


_OF_TABLE = "table_id = (SELECT id FROM filled_table WHERE identity = ?1) AND key = ?2"
_PUT = """
    INSERT INTO stored_row (table_id, key, value) SELECT id, ?2, ?3 FROM filled_table WHERE identity = ?1
    ON CONFLICT (table_id, key) DO UPDATE SET value = excluded.value"""


@dataclass(frozen=True)
class SqliteBytes:
    path: Path

    def get(self, table: OnlineTable, key: Key) -> bytes:
        with closing(sqlite3.connect(self.path)) as connection:
            statement = f"SELECT value FROM stored_row WHERE {_OF_TABLE}"
            [[value]] = connection.execute(statement, _place(table, key)).fetchall()
        return bytes(value)

    def put(self, table: OnlineTable, key: Key, row: bytes) -> None:
        self.put_under(table, RowCodec(table).encode_key(key), row)

    def put_under(self, table: OnlineTable, key: bytes, row: bytes) -> None:
        self._change(_PUT, (RowCodec(table).identity, key, row))

    def remove(self, table: OnlineTable, key: Key) -> None:
        self._change(f"DELETE FROM stored_row WHERE {_OF_TABLE}", _place(table, key))

    def _change(self, statement: str, parameters: tuple[bytes, ...]) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            assert connection.execute(statement, parameters).rowcount == 1


def _place(table: OnlineTable, key: Key) -> tuple[bytes, bytes]:
    codec = RowCodec(table)
    return codec.identity, codec.encode_key(key)


@dataclass(frozen=True)
class RedisBytes:
    client: Redis
    namespace: str

    def get(self, table: OnlineTable, key: Key) -> bytes:
        value = self.client.get(self._place(table, key))
        assert isinstance(value, bytes)
        return value

    def put(self, table: OnlineTable, key: Key, row: bytes) -> None:
        self.client.set(self._place(table, key), row)

    def put_under(self, table: OnlineTable, key: bytes, row: bytes) -> None:
        self.client.set(self._under(table, key), row)

    def remove(self, table: OnlineTable, key: Key) -> None:
        assert self.client.delete(self._place(table, key)) == 1

    def dump(self) -> dict[bytes, bytes]:
        """All that the project has there, to be restored later."""
        names = list(self.client.scan_iter(match=f"{self.namespace}:*"))
        return {name: value for name in names if isinstance(value := self.client.get(name), bytes)}

    def restore(self, content: dict[bytes, bytes]) -> None:
        self.client.delete(*self.client.scan_iter(match=f"{self.namespace}:*"))
        self.client.mset(content)

    def _place(self, table: OnlineTable, key: Key) -> bytes:
        return self._under(table, RowCodec(table).encode_key(key))

    def _under(self, table: OnlineTable, key: bytes) -> bytes:
        return self.namespace.encode() + b":{" + key + b"}" + RowCodec(table).digest


def sealed(table: OnlineTable, row: bytes) -> bytes:
    """The bytes of a row with the check that belongs to them."""
    [whole] = RowCodec(table)._layout.sealed([row])
    return whole


def encoded(table: OnlineTable, key: Key, row: OnlineRow) -> bytes:
    """A row as the adapters write it."""
    [batch] = rows_of(table, [(*key, row.event_timestamp, row.known_at, *row.values)])
    [value] = RowCodec(table).encode_rows(batch, _GENERATION).values
    return value


def decoded(table: OnlineTable, row: bytes) -> OnlineRow:
    [found] = rows_found(RowCodec(table).decode_rows(None, [row]))
    assert found is not None
    return found
