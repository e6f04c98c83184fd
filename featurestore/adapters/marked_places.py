"""Places that carry a project's identity: folders, the embedded online store, Redis."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from redis import Redis
from redis.crc import key_slot

from featurestore.adapters.durable import sync
from featurestore.adapters.redis_address import RedisAddress
from featurestore.adapters.redis_answers import translated_errors
from featurestore.adapters.redis_cluster_calls import Call, Command
from featurestore.adapters.redis_cluster_client import ClusterClient
from featurestore.adapters.redis_cluster_reading import result
from featurestore.adapters.redis_connections import thread_pool, within
from featurestore.errors import StoreUnavailable

_FILE = ".project"
_CREATE = "CREATE TABLE IF NOT EXISTS project (number INTEGER PRIMARY KEY CHECK (number = 1), id TEXT NOT NULL)"
_REDIS_SECONDS = 10.0


class MarkedFolder:
    """A folder of this machine, with a file in it that says whose it is."""

    def __init__(self, folder: Path, what: str, setting: str) -> None:
        self._folder = folder
        self._what = what
        self.setting = setting

    @property
    def name(self) -> str:
        return f"the folder {self._folder} ({self._what})"

    def owner(self) -> str | None:
        try:
            return (self._folder / _FILE).read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnavailable(f"{self._folder / _FILE} can not be read: {error.strerror}.") from error

    def claim(self, project: str) -> str:
        if (owner := self.owner()) is not None:
            return owner
        written = self._folder / f"{_FILE}-{uuid4().hex}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            written.write_text(f"{project}\n", encoding="utf-8")
            sync(written)
            with suppress(FileExistsError):
                os.link(written, self._folder / _FILE)  # whole or not at all, and never over another's
            sync(self._folder)
        except OSError as error:
            raise StoreUnavailable(f"{self._folder} can not be written: {error.strerror}.") from error
        finally:
            written.unlink(missing_ok=True)
        return self.owner() or project


class MarkedSqlite:
    """The file of an embedded online store."""

    setting = "[online] path"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = f"the online store {path}"

    def owner(self) -> str | None:
        if not self._path.exists():
            return None
        with self._opened() as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'project'").fetchone() is None:
                return None
            return _marked(connection)

    def claim(self, project: str) -> str:
        with self._opened() as connection:
            connection.execute(_CREATE)
            connection.execute("INSERT OR IGNORE INTO project VALUES (1, ?)", [project])
            return _marked(connection) or project

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise StoreUnavailable(f"The online store {self._path} does not answer: {error}.") from error


class MarkedRedis:
    """What one Redis holds under a project's name."""

    setting = "name"

    def __init__(self, address: RedisAddress, namespace: str) -> None:
        self._address = address.name
        self._namespace = namespace
        self._key = _redis_key(namespace)
        self._redis = Redis.from_pool(thread_pool(address, retries=1))
        self.name = f"what Redis at {self._address} holds under the name '{namespace}'"

    def owner(self) -> str | None:
        with translated_errors(self._address, self._namespace), within(_REDIS_SECONDS):
            return _text(self._redis.get(self._key))

    def claim(self, project: str) -> str:
        with translated_errors(self._address, self._namespace), within(_REDIS_SECONDS):
            return _text(self._redis.set(self._key, project, nx=True, get=True)) or project


class MarkedRedisCluster:
    """What a Redis Cluster holds under a project's name."""

    setting = "name"

    def __init__(self, address: RedisAddress, namespace: str) -> None:
        self._address = address.name
        self._namespace = namespace
        self._key = _redis_key(namespace)
        self._client = ClusterClient(address, {})
        self.name = f"what the Redis Cluster at {self._address} holds under the name '{namespace}'"

    def owner(self) -> str | None:
        return _text(self._asked(("GET", self._key)))

    def claim(self, project: str) -> str:
        return _text(self._asked(("SET", self._key, project, "NX", "GET"))) or project

    def _asked(self, command: Command) -> Any:
        call = Call(key_slot(self._key), command)
        with translated_errors(self._address, self._namespace), within(_REDIS_SECONDS):
            self._client.run([call])
            return result(call)


def _marked(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT id FROM project").fetchone()
    return None if row is None else str(row[0])


def _redis_key(namespace: str) -> bytes:
    return f"{namespace}:project".encode()


def _text(answer: Any) -> str | None:
    return None if answer is None else bytes(answer).decode()
