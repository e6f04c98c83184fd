"""The online store in Redis: one string per row, read with a single MGET over all tables of a request.

Keys are `namespace:` + table identity + `m` for the marker, or `r` + encoded key for a row. The identity is a msgpack
list, so no table's keys can be taken for another's, and an ACL can grant `~namespace:*`. Which row is newer is decided
by a script inside Redis, so concurrent writers can not undo each other. Encoding is `row_codec`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any

import pyarrow as pa
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, NoPermissionError, OutOfMemoryError, RedisError
from redis.retry import Retry

from featurestore.adapters.row_codec import CodecCache, RowCodec, decode_moment, encode_moment
from featurestore.errors import SettingsError, StoreCorrupted, StoreRefused, StoreUnavailable
from featurestore.ports.online_store import Key, OnlineTable, TableRead, TableRows, WriteCount

_ROWS_PER_CALL = 1_000  # one script call holds Redis for about 1 ms
_KEYS_PER_SCAN = 1_000

# Lua's own `<` on strings follows the server's locale (strcoll), which does not order bytes: compare numbers instead.
_IS_NEWER = """
local function is_newer(stored, given, bytes)
    for position = 1, bytes do
        local a, b = string.byte(stored, position), string.byte(given, position)
        if a ~= b then return a ~= nil and a > b end
    end
    return false
end
"""
_WRITE_NEWER = (
    _IS_NEWER
    + """
local written = 0
for i, key in ipairs(KEYS) do
    local stored = redis.call('GETRANGE', key, 0, 15)
    if stored == '' or not is_newer(stored, ARGV[i], 16) then
        redis.call('SET', key, ARGV[i])
        written = written + 1
    end
end
return written
"""
)
_MARK = (
    _IS_NEWER
    + """
local stored = redis.call('GET', KEYS[1])
if not stored or is_newer(ARGV[1], stored, 8) then redis.call('SET', KEYS[1], ARGV[1]) end
return 1
"""
)


class RedisOnlineStore:
    """An OnlineStore in the Redis at `url`, under keys that begin with `namespace:`.

    A read fails with StoreUnavailable at once when the connection is refused, and after `timeout_seconds` when the
    server hangs; a pooled connection that turns out broken is replaced once. Writes wait `write_timeout_seconds`
    for each answer. Raises SettingsError when the URL is not one.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "knownat",
        timeout_seconds: float = 0.5,
        write_timeout_seconds: float = 10.0,
    ) -> None:
        self._namespace = namespace.encode() + b":"
        self._codecs = CodecCache()
        self._reads = _client(url, timeout_seconds)
        self._writes = _client(url, write_timeout_seconds)
        self._address = _address(self._reads)
        self._write_newer = self._writes.register_script(_WRITE_NEWER)
        self._mark = self._writes.register_script(_MARK)

    @property
    def address(self) -> str:
        """Where the server is, without user or password: how errors and state name it."""
        return self._address

    def read(self, reads: Sequence[TableRead]) -> list[TableRows]:
        codecs = [self._codecs.of(read.table) for read in reads]
        wanted: list[bytes] = []
        for codec, read in zip(codecs, reads, strict=True):
            prefix = self._row_prefix(codec)
            wanted.append(self._marker(codec))
            wanted.extend([prefix + codec.encode_key(key) for key in read.keys])
        if not wanted:
            return []
        with self._translated_errors():
            found: list[Any] = self._reads.mget(wanted)
        values = iter(found)
        return [_table_rows(codec, values, len(read.keys)) for codec, read in zip(codecs, reads, strict=True)]

    def sample_keys(self, table: OnlineTable, count: int) -> list[Key]:
        codec = self._codecs.of(table)
        prefix = self._row_prefix(codec)
        sample: dict[bytes, None] = {}
        # Redis scans in the order of its hash table, which is a spread over the keys already.
        for keys in self._scan(prefix):
            sample.update(dict.fromkeys(keys))
            if len(sample) >= count:
                break
        return [codec.decode_key(key[len(prefix) :]) for key in list(sample)[:count]]

    def write_newer(self, table: OnlineTable, rows: pa.RecordBatchReader) -> WriteCount:
        codec = self._codecs.of(table)
        self._refuse_eviction()
        written = kept = 0
        for keys, values in self._portions(codec, rows):
            with self._translated_errors(written):
                stored = int(self._write_newer(keys=keys, args=values))
            written += stored
            kept += len(keys) - stored
        return WriteCount(written, kept)

    def replace(self, table: OnlineTable, rows: pa.RecordBatchReader) -> WriteCount:
        codec = self._codecs.of(table)
        self._refuse_eviction()
        written = 0
        current: set[bytes] = set()
        for keys, values in self._portions(codec, rows):
            with self._translated_errors(written):
                self._writes.mset(dict(zip(keys, values, strict=True)))
            written += len(keys)
            current.update(keys)
        for found in self._scan(self._row_prefix(codec)):
            self._delete([key for key in found if key not in current])
        return WriteCount(written, 0)

    def mark_filled(self, table: OnlineTable, filled_to: datetime) -> None:
        with self._translated_errors():
            self._mark(keys=[self._marker(self._codecs.of(table))], args=[encode_moment(filled_to)])

    def drop(self, table: OnlineTable) -> None:
        codec = self._codecs.of(table)
        self._delete([self._marker(codec)])
        for found in self._scan(self._row_prefix(codec)):
            self._delete(found)

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._reads.close()
        self._writes.close()

    def _marker(self, codec: RowCodec) -> bytes:
        return self._namespace + codec.identity + b"m"

    def _row_prefix(self, codec: RowCodec) -> bytes:
        return self._namespace + codec.identity + b"r"

    def _portions(self, codec: RowCodec, rows: pa.RecordBatchReader) -> Iterator[tuple[list[bytes], list[bytes]]]:
        """Keys and values of the rows, as many at a time as one call takes."""
        prefix = self._row_prefix(codec)
        for batch in rows:
            for start in range(0, batch.num_rows, _ROWS_PER_CALL):
                encoded = list(codec.encode_rows(batch.slice(start, _ROWS_PER_CALL)))
                yield [prefix + key for key, _ in encoded], [value for _, value in encoded]

    def _scan(self, prefix: bytes) -> Iterator[list[bytes]]:
        cursor = 0
        pattern = _literal_pattern(prefix) + b"*"
        while True:
            with self._translated_errors():
                answer: tuple[int, list[Any]] = self._writes.scan(cursor, match=pattern, count=_KEYS_PER_SCAN)
            cursor, keys = answer
            yield keys
            if cursor == 0:
                return

    def _delete(self, keys: list[bytes]) -> None:
        if keys:
            with self._translated_errors():
                self._writes.unlink(*keys)

    def _refuse_eviction(self) -> None:
        """A server that evicts keys acknowledges every row and keeps some of them. INFO, because ACLs and hosted
        servers often forbid CONFIG."""
        with self._translated_errors():
            policy = str(self._writes.info("memory").get("maxmemory_policy", "unknown"))
        if policy != "noeviction" and not policy.startswith("volatile-"):
            raise StoreRefused(
                f"Redis at {self._address} has the maxmemory-policy '{policy}', which may silently drop rows when its "
                "memory is full: expected noeviction or volatile-*. Nothing was written. Set it with "
                "`CONFIG SET maxmemory-policy noeviction` and in redis.conf, or give Knownat a server of its own."
            )

    @contextmanager
    def _translated_errors(self, written: int = 0) -> Iterator[None]:
        """`written`: how many rows this write has stored before; each call stores all its rows or none."""
        try:
            yield
        except OutOfMemoryError as error:
            raise StoreRefused(
                f"Redis at {self._address} is full (maxmemory): {written} rows were written, then it refused the "
                "next. Raise maxmemory or remove other keys, then run the same command again."
            ) from error
        except NoPermissionError as error:
            raise StoreRefused(
                f"Redis at {self._address} does not permit a command that Knownat needs, after {written} rows were "
                f"written: {error}. Grant this user +@read +@write +@scripting +info on "
                f"~{self._namespace.decode()}*."
            ) from error
        except InvalidResponse as error:
            raise StoreCorrupted(f"What answers at {self._address} does not speak Redis's protocol.") from error
        except (RedisError, OSError) as error:
            raise StoreUnavailable(
                f"Redis at {self._address} does not answer: {_reason(error)}. Check that it runs, that the address "
                "and password are right, and that it is not overloaded."
            ) from error


def _client(url: str, timeout_seconds: float) -> Redis:
    """Connects when first used. redis-py's own defaults take seconds to notice an outage; these fail in time."""
    try:
        return Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            # One retry replaces a pooled connection that a restart broke. Timeouts are not retried: one wait is enough.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
            protocol=2,  # RESP3 adds round trips to every new connection and nothing we use
        )
    except (ValueError, TypeError, RedisError):
        # Without the cause: the parser's messages quote parts of the URL, where the password may be.
        raise SettingsError(
            "The Redis URL can not be read. Expected redis://, rediss:// or unix://, for instance "
            "redis://user:password@host:6379/0, with special characters of the password percent-encoded."
        ) from None


def _address(client: Redis) -> str:
    """Where the server is, for messages: without user and password."""
    options = client.connection_pool.connection_kwargs
    return (
        str(options["path"]) if "path" in options else f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
    )


def _table_rows(codec: RowCodec, values: Iterator[bytes | None], count: int) -> TableRows:
    """Take one table's marker and rows from the values of the round trip."""
    marker = next(values)
    rows = [None if value is None else codec.decode_row(value) for value in islice(values, count)]
    return TableRows(None if marker is None else decode_moment(marker), rows)


def _literal_pattern(text: bytes) -> bytes:
    """A SCAN pattern that matches just this text."""
    return re.sub(rb"([*?\[\\])", rb"\\\1", text)


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
