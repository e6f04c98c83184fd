"""Where pushed rows are kept: appended for good, once for each key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

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
