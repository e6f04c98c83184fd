"""The two sides of a feature store, as the ports that operations are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from featurestore.intervals import EPOCH
from featurestore.ports.commits import CommitState
from featurestore.ports.engine import Engine
from featurestore.ports.joins import PointInTimeJoin
from featurestore.ports.offline_store import OfflineStore
from featurestore.ports.online_store import OnlineStore
from featurestore.ports.publications import PublicationState
from featurestore.ports.source_reader import SourceReader
from featurestore.ports.state import CoverageState, MaterializationState
from featurestore.ports.table_files import TableFiles, TableLog


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the tables' logs and files are, and what state has recorded of them."""

    log: TableLog
    files: TableFiles
    commits: CommitState


@dataclass(frozen=True, slots=True)
class OfflineSide:
    """What backfills and training sets work with."""

    engine: Engine
    tables: OfflineStore
    sources: SourceReader
    coverage: CoverageState
    joins: PointInTimeJoin
    ledger: Ledger
    workers: int = 1
    """How many chunks of a backfill may be computed at once."""
    claim: Callable[[], None] = field(default=lambda: None)
    """Called before anything is written. Raises ProjectsMixed when the state or a folder is another project's."""
    clock: Callable[[], datetime] = field(default=lambda: EPOCH)
    """Read when sources have been read, and never believed to be before `now`, which is when the operation began."""


@dataclass(frozen=True, slots=True)
class OnlineSide:
    """One online store, how far it is filled, and when it was. `address` names it in state and never holds a secret."""

    store: OnlineStore
    progress: MaterializationState
    publications: PublicationState
    address: str
    clock: Callable[[], datetime]
    """Read when the store has been brought up to date: `now` is when the operation began."""
    claim: Callable[[], None] = field(default=lambda: None)
    """Called before rows are written. Raises ProjectsMixed when the store is another project's."""
    check: Callable[[], None] = field(default=lambda: None)
    """Called before something is said of what is there. Raises ProjectsMixed when any of it is another project's."""
