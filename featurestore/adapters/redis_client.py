"""Connections to Redis that notice an outage in time, and its errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, NoPermissionError, OutOfMemoryError, RedisError
from redis.retry import Retry

from featurestore.errors import SettingsError, StoreCorrupted, StoreRefused, StoreUnavailable

# One retry replaces a pooled connection that a restart broke. Timeouts are not retried: one wait is enough.
_BROKEN = (RedisConnectionError,)


def connect(url: str, timeout_seconds: float) -> Redis:
    """Connects when first used. Raises SettingsError when the URL is not one."""
    with _told_without_secrets():
        return Redis.from_url(url, retry=Retry(NoBackoff(), 1, supported_errors=_BROKEN), **_options(timeout_seconds))


def connect_async(url: str, timeout_seconds: float) -> AsyncRedis:
    """As `connect`, for one event loop."""
    with _told_without_secrets():
        retry = AsyncRetry(NoBackoff(), 1, supported_errors=_BROKEN)
        return AsyncRedis.from_url(url, retry=retry, **_options(timeout_seconds))


def address_of(client: Redis) -> str:
    """Where the server is, for messages: without user and password."""
    options = client.connection_pool.connection_kwargs
    return (
        str(options["path"]) if "path" in options else f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
    )


@contextmanager
def translated_errors(address: str, namespace: str, written: int = 0) -> Iterator[None]:
    """`written`: how many rows this write has stored before; each call stores all its rows or none."""
    try:
        yield
    except OutOfMemoryError as error:
        raise StoreRefused(
            f"Redis at {address} is full (maxmemory): {written} rows were written, then it refused the "
            "next. Raise maxmemory or remove other keys, then run the same command again."
        ) from error
    except NoPermissionError as error:
        raise StoreRefused(
            f"Redis at {address} does not permit a command that Knownat needs, after {written} rows were "
            f"written: {error}. Grant this user +@read +@write +@scripting +info on ~{namespace}:*."
        ) from error
    except InvalidResponse as error:
        raise StoreCorrupted(f"What answers at {address} does not speak Redis's protocol.") from error
    except (RedisError, OSError) as error:
        raise StoreUnavailable(
            f"Redis at {address} does not answer: {_reason(error)}. Check that it runs, that the address "
            "and password are right, and that it is not overloaded."
        ) from error


def refuse_eviction(address: str, policy: str) -> None:
    """A server that evicts keys acknowledges every row and keeps some of them."""
    if policy != "noeviction" and not policy.startswith("volatile-"):
        raise StoreRefused(
            f"Redis at {address} has the maxmemory-policy '{policy}', which may silently drop rows when its "
            "memory is full: expected noeviction or volatile-*. Nothing was written. Set it with "
            "`CONFIG SET maxmemory-policy noeviction` and in redis.conf, or give Knownat a server of its own."
        )


def _options(timeout_seconds: float) -> dict[str, Any]:
    """redis-py's own defaults take seconds to notice an outage; these fail in time."""
    return {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "protocol": 2,  # RESP3 adds round trips to every new connection and nothing we use
    }


@contextmanager
def _told_without_secrets() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, RedisError):
        # Without the cause: the parser's messages quote parts of the URL, where the password may be.
        raise SettingsError(
            "The Redis URL can not be read. Expected redis://, rediss:// or unix://, for instance "
            "redis://user:password@host:6379/0, with special characters of the password percent-encoded."
        ) from None


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
