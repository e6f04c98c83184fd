"""PostgreSQL under state and registry: bounded waiting, who makes others wait, and what a lost connection means.

Time-outs are set for each transaction, not for each connection: behind a pooler that hands connections from one
transaction to the next, nothing else is ours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, bindparam, func, select, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

APPLICATION_NAME = "knownat"
LOCK_NOT_AVAILABLE = "55P03"
STATEMENT_CANCELED = "57014"
_CONNECTION_LOST = ("08", "57P0")
"""Connection exceptions, and what a server says that is stopped or started."""

_HOLDERS = text(
    """
    SELECT a.pid, a.usename, a.application_name, a.client_addr::text AS address, a.xact_start
    FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
    WHERE l.granted AND a.pid <> pg_backend_pid() AND a.datname = current_database()
      AND (
        (l.locktype = 'advisory' AND l.classid::bigint = :high AND l.objid::bigint = :low)
        OR (
          l.locktype = 'relation' AND l.mode <> 'AccessShareLock' AND EXISTS (
            SELECT FROM pg_class AS c
            WHERE c.oid = l.relation AND c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
          )
        )
      )
    ORDER BY a.xact_start LIMIT 1
    """
).bindparams(bindparam("high"), bindparam("low"))


@dataclass(frozen=True, slots=True)
class Waits:
    """How long, in seconds, a transaction waits for a lock that somebody else holds; how long one statement may take;
    and for how long what was cut off before it changed anything is tried again."""

    lock: float = 30.0
    statement: float = 120.0
    retry: float = 15.0


def connect_arguments() -> dict[str, object]:
    """For the driver: a server that has vanished from the network is noticed in bounded time."""
    return {
        "connect_timeout": 10,
        "fallback_application_name": APPLICATION_NAME,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }


def bound_waits(connection: Connection, waits: Waits) -> None:
    """For the transaction that the connection is in."""
    timeouts = {"lock_timeout": waits.lock, "statement_timeout": waits.statement}
    settings = (func.set_config(name, f"{round(seconds * 1000)}ms", True) for name, seconds in timeouts.items())
    connection.execute(select(*settings))


def take_turn(connection: Connection, subject: str) -> None:
    """Transactions on one subject follow one another."""
    connection.execute(select(func.pg_advisory_xact_lock(_lock_number(subject))))


def holder(engine: Engine, subject: str) -> str:
    """Who holds what others wait for, as far as the server says so; empty where it does not."""
    number = _lock_number(subject) % 2**64
    try:
        with engine.connect() as connection:
            bound_waits(connection, Waits(lock=1, statement=2))
            found = connection.execute(_HOLDERS, {"high": number >> 32, "low": number % 2**32}).first()
    except DBAPIError:
        return ""
    if found is None:
        return ""
    program = f" with {found.application_name}" if found.application_name else ""
    place = f" from {found.address}" if found.address else ""
    since = f", in a transaction since {found.xact_start:%Y-%m-%d %H:%M:%S %Z}" if found.xact_start else ""
    return (
        f" It is held by process {found.pid} of user {found.usename}{program}{place}{since}: end that transaction, or "
        f"that process with SELECT pg_terminate_backend({found.pid})."
    )


def is_connection_lost(error: DBAPIError) -> bool:
    """Whether the server was not there, or went away: then it has undone what was not committed."""
    code = sqlstate(error)
    if code is not None:
        return code.startswith(_CONNECTION_LOST)
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def sqlstate(error: DBAPIError) -> str | None:
    found: str | None = getattr(error.orig, "sqlstate", None)
    return found


def _lock_number(subject: str) -> int:
    """Advisory locks are named by a signed 64-bit integer."""
    return int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], signed=True)
