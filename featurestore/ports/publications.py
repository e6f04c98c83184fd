"""Publications: from when on an online store answered up to which moment, kept for whoever asks what it really said.

`MaterializationState` knows how far a store is filled now, and is about going on from there. This is about the past.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pyarrow as pa


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
    copied_to: datetime | None = None
    """Rows that are visible by then were copied. Those that were pushed may lie beyond `filled_to`. None: a release
    before recorded the run, and `filled_to` is all that is known."""
    copied_from: datetime | None = None
    """Rows that had been visible before were not looked at. None: every row was, or nobody knows."""
    filled_at: datetime | None = None
    """When the offline table was last filled: of what has become known since, it has what was pushed to the view. None:
    nothing is pushed to it, or nobody knows."""

    @property
    def as_of(self) -> datetime:
        """The moment whose answers the table gave."""
        return self.filled_to if self.copied_to is None else self.copied_to

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
class Push:
    """Rows that came into a table `at` a moment, and, if `is_online`, were then online as far as they were visible.

    Rows that were stamped as they arrived are named by that known timestamp, since nothing else was stamped so:
    `stamps`. Others are named one by one, by their keys, `event_timestamp` and `known_at`: `rows`. All of these were
    visible if `is_online`.
    """

    at: datetime
    stamps: tuple[datetime, ...] = ()
    rows: pa.Table | None = None
    is_online: bool = True
    is_repeated: bool = False
    """They had come before, nobody knows when."""


@dataclass(frozen=True, slots=True)
class Published:
    """The history of one online table: its runs and its pushes, in the order in which they were recorded."""

    runs: tuple[Publication, ...] = ()
    pushed: PushSpan | None = None
    """Pushes of which a release before recorded no more."""
    pushes: tuple[Push, ...] = ()

    @property
    def push_span(self) -> PushSpan | None:
        """Between which moments there were pushes; None where there were none."""
        moments = [push.at for push in self.pushes if push.is_online]
        if self.pushed is not None:
            moments += (self.pushed.first_at, self.pushed.last_at)
        return PushSpan(min(moments), max(moments)) if moments else None


def first_and_last(span: PushSpan | None) -> tuple[Push, ...]:
    """A span, told as two pushes of which nothing else is said."""
    return () if span is None else (Push(span.first_at), Push(span.last_at))


def stands_in_place(run: Publication, *, of: Publication) -> bool:
    """Whether every keeper of publications forgets the run before this one."""
    return run.changed_nothing and of.changed_nothing and run.filled_to >= of.filled_to


class PublicationState(Protocol):
    """Kept for each online store, named by its address, and each of its tables."""

    def record(self, store: str, table: str, run: Publication) -> None:
        """Remember a run that is complete. Of runs in a row that changed nothing, the last alone is kept: the answers
        between them are those of the run before them."""
        ...

    def record_push(self, store: str, table: str, push: Push) -> None:
        """Remember a push: that its rows have just been written into the table, or that they could not be."""
        ...

    def published(self, store: str, table: str, *, newest: int | None = None) -> Published:
        """The history of a table: all of it, or of its runs the `newest` ones and of its pushes the first and the last
        that came online, without their rows."""
        ...

    def forget_after(self, store: str, table: str, moment: datetime) -> None:
        """What is said to have been published after the moment was told by a clock that was ahead."""
        ...

    def forget(self, store: str, table: str) -> None:
        """The table is dropped from the store for good."""
        ...
