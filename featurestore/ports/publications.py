"""Publications: from when on an online store answered up to which moment, kept for whoever asks what it really said.

`MaterializationState` knows how far a store is filled now, and is about going on from there. This is about the past.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Publication:
    """One run that brought an online table up to date: from `published_at` on the table answered as of `filled_to`."""

    filled_to: datetime
    began_at: datetime
    """When it began to write: until `published_at`, a key may have answered either way."""
    published_at: datetime
    """Read from the clock after the store's marker was set."""
    version: int
    """Of the offline table that was copied."""
    rows: int
    is_full: bool
    """Every key was copied, not only those that had changed."""

    @property
    def changed_nothing(self) -> bool:
        """Whether every answer stayed what it was."""
        return not self.rows and not self.is_full


@dataclass(frozen=True, slots=True)
class PushSpan:
    """Between these moments rows were pushed straight into an online table, each once it was visible."""

    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Published:
    """The history of one online table: its runs, in the order in which they were recorded, and its pushes."""

    runs: tuple[Publication, ...] = ()
    pushed: PushSpan | None = None


def stands_in_place(run: Publication, *, of: Publication) -> bool:
    """Whether every keeper of publications forgets the run before this one."""
    return run.changed_nothing and of.changed_nothing and run.filled_to >= of.filled_to


class PublicationState(Protocol):
    """Kept for each online store, named by its address, and each of its tables."""

    def record(self, store: str, table: str, run: Publication) -> None:
        """Remember a run that is complete. Of runs in a row that changed nothing, the last alone is kept: the answers
        between them are those of the run before them."""
        ...

    def record_push(self, store: str, table: str, pushed_at: datetime) -> None:
        """Remember that rows known at `pushed_at` have just been pushed into the table. Only the first and the last
        such moment are kept, in whichever order they come."""
        ...

    def published(self, store: str, table: str, *, newest: int | None = None) -> Published:
        """The history of a table: all of it, or of its runs the `newest` ones."""
        ...

    def forget(self, store: str, table: str) -> None:
        """The table is dropped from the store for good."""
        ...
