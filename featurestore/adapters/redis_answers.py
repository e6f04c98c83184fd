"""Redis's errors as ours, and what a server must be set up like to be written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import InvalidResponse, NoPermissionError, OutOfMemoryError, RedisError

from featurestore.errors import StoreCorrupted, StoreRefused, StoreUnavailable


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
            f"written: {error}. Grant this user +@read +@write +@scripting +info on ~{namespace}:*, and in a "
            "cluster +cluster|slots +wait +asking."
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


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
