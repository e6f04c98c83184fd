"""Where pushed rows are kept: appended for good, once for each key, or once for each entry of a stream."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from featurestore.ports.entries import EntryId, EntrySpans
from featurestore.spec.source import FrameSource


@dataclass(frozen=True, slots=True)
class Pushed:
    """Rows that are durable now, and the version of the source that holds them."""

    source: str
    key: str
    rows: int
    version: str
    is_new: bool
    """False where the key had been pushed before, and nothing was to be done."""


class FrameStore(Protocol):
    def append(self, source: FrameSource, rows: pa.Table, key: str) -> Pushed:
        """Keep rows that have exactly the source's columns. The same key again changes nothing; with another number of
        rows, it raises InvalidRequest."""
        ...

    def kept(self, source: FrameSource, key: str) -> pa.Table | None:
        """The rows that are kept under the key, in the source's columns and their order; None where there are none."""
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """Which entries of a stream a source has taken, as of one of its versions."""

    stream: str
    entries: EntrySpans
    version: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of entries that are taken together; `entries` are those and no others."""

    rows: pa.Table
    entries: EntrySpans


class StreamedFrames(Protocol):
    """Where the rows of streams are kept, with what was taken of each stream."""

    def taken(self, source: FrameSource, stream: str) -> Taken:
        """Which entries have been taken by now. Raises InvalidRequest where the rows that are kept have other columns
        than the source declares."""
        ...

    def take(self, source: FrameSource, batch: Batch, taken: Taken) -> int | None:
        """Keep the batch's rows, and that `taken.entries` have been taken, both or neither; gives the version that
        holds them.

        None, and nothing is kept, where the source has changed since `taken.version`: whoever did it may have taken the
        same entries, so ask again which there are.
        """
        ...

    def kept_of(self, source: FrameSource, stream: str, entries: Iterable[EntryId]) -> pa.Table:
        """The rows of all batches with one of these entries, of the batches that were taken lately: what was taken long
        ago is left out."""
        ...


class Frames(FrameStore, StreamedFrames, Protocol):
    """Both."""
