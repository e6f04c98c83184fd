"""Damage: what verifying finds, with what it touches."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class DamageKind(Enum):
    TABLE = "table"
    """A table, or a version of it, is not there or can not be opened."""
    LOG = "log"
    """An entry of a table's log."""
    FILE = "file"
    """A data file of a table."""
    OBJECT = "object"
    """A spine, a result or an artifact."""
    ONLINE = "online"
    """What the online store says of itself, and rows in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One thing that is not what it should be.

    `version` is the first version of the table that it touches; `datasets` are ids, `models` URNs.
    """

    kind: DamageKind
    what: str
    expected: str
    found: str
    remedy: str
    version: int | None = None
    path: str | None = None
    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was looked at, and what is wrong. `hashed_bytes` is 0 unless it was a deep look."""

    tables: int
    versions: int
    files: int
    objects: int
    hashed_bytes: int
    digests_taken: int
    """Files that had no digest, as they were written before digests were kept, and have one now."""
    damages: tuple[Damage, ...]
    online_rows: int = 0
    """Rows of the online store that were read; 0 unless it was a deep look."""
