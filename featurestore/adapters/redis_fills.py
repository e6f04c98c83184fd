"""What a fill into Redis is made of, whichever client carries it out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pyarrow as pa

from featurestore.adapters.row_codec import EncodedRows, RowCodec
from featurestore.adapters.stored_moments import to_microseconds
from featurestore.errors import ConcurrentChange
from featurestore.ports.online_store import Fill, FillRequest

_LEAST_KEPT = timedelta(days=1)
"""A row that is older than it must be kept is kept so long all the same, to be told as expired."""


def may_expire(request: FillRequest, policy: str) -> bool:
    """Whether rows get an expiry. Where keys with one may be evicted, they get none: what is old is removed by the
    next full copy."""
    return request.keeps is not None and policy == "noeviction"


def encoded_portions(
    codec: RowCodec, fill: Fill, rows: pa.RecordBatchReader, rows_per_call: int
) -> Iterator[EncodedRows]:
    """The encoded rows, as many at a time as one call takes."""
    for batch in rows:
        for start in range(0, batch.num_rows, rows_per_call):
            yield codec.encode_rows(batch.slice(start, rows_per_call), fill.generation)


def expiries(fill: Fill, encoded: EncodedRows) -> list[int]:
    """For how many milliseconds each row is kept, by the clock of whoever fills: that of a replay may be years ago."""
    if not fill.expires or fill.request.keeps is None:
        return []
    ends = encoded.event_timestamps + fill.request.keeps // timedelta(microseconds=1)
    left = (ends - to_microseconds(fill.request.now)) // 1_000
    kept: list[int] = np.maximum(left, _LEAST_KEPT // timedelta(milliseconds=1)).tolist()
    return kept


def turn_is_over(fill: Fill, written: int | None) -> ConcurrentChange:
    """`written`: how many rows were; None when it is about the mark."""
    told = "It was not marked as filled" if written is None else f"{written} rows were written"
    return ConcurrentChange(
        f"While {fill.request.table.name} was being copied, the online store was flushed, or another process began to "
        f"copy all of it. {told}; run `knownat materialize` again."
    )
