"""A frame in exactly the columns and types that a frame source declares, and whether two frames hold the same rows.

A table would cast what is nearly right (2.7 into an integer column becomes 2), so that is refused here: what fits a
column is decided by `fitted_column`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import InvalidRequest
from featurestore.operations.fitted_column import as_moments, converted, misfit
from featurestore.spec.source import FrameSource

EARLIEST, LATEST = datetime(1678, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)
"""A row happens between them. Tables are asked for days in nanoseconds, which no other moment has a number of: one row
beyond would keep all that come after it from being read."""


def fitted_frame(source: FrameSource, frame: pa.Table) -> pa.Table:
    """The frame in exactly the source's columns and types. Raises InvalidRequest with all that does not fit."""
    if problems := list(_problems(source, frame)):
        listing = "\n".join(f"  {problem}" for problem in problems)
        raise InvalidRequest(f"The rows do not fit source '{source.name}':\n{listing}")
    return _fitted(source, frame)


def check_same_rows(source: FrameSource, frame: pa.Table, kept: pa.Table, key: str) -> None:
    """Raises InvalidRequest where the rows that come under a key are not those that were kept under it. A known
    timestamp that they do not bring says nothing."""
    if source.known_at is not None and source.known_at not in frame.column_names:
        frame = frame.append_column(source.known_at, kept[source.known_at]) if len(frame) == len(kept) else frame
    differing = list(_differing(source, frame, kept))
    if differing:
        raise InvalidRequest(
            f"The key '{key}' was pushed to '{source.name}' before, with other rows ({', '.join(differing)}). A key "
            "names one piece of data: push corrections under another key."
        )


def _differing(source: FrameSource, frame: pa.Table, kept: pa.Table) -> Iterator[str]:
    if len(frame) != len(kept):
        yield f"{len(kept):,} rows then, {len(frame):,} now"
        return
    rows = fitted_frame(source, frame)
    for name in kept.column_names:
        if not _is_same(rows[name].combine_chunks(), kept[name].combine_chunks()):
            yield f"another '{name}'"


def _is_same(left: pa.Array, right: pa.Array) -> bool:
    """To the bit: NaN is NaN, and 0.0 is not -0.0."""
    if isinstance(left, pa.ChunkedArray) or isinstance(right, pa.ChunkedArray):  # of no rows, or too large for one
        left, right = pa.concat_arrays(left.chunks), pa.concat_arrays(right.chunks)
    if pa.types.is_list(left.type) or pa.types.is_fixed_size_list(left.type):
        lengths = pc.list_value_length(left).equals(pc.list_value_length(right))
        return lengths and _is_same(left.flatten(), right.flatten())
    if pa.types.is_floating(left.type):
        bits = pa.int64() if left.type == pa.float64() else pa.int32()
        left, right = (pc.if_else(pc.is_null(one), None, one.view(bits)) for one in (left, right))
    return bool(left.equals(right))


def _problems(source: FrameSource, frame: pa.Table) -> Iterator[str]:
    declared = dict(source.columns)
    for name in frame.column_names:
        if name not in declared:
            yield f"column '{name}' is not declared; drop it, or declare it"
        elif frame.column_names.count(name) > 1:
            yield f"column '{name}' is there twice"
    for name, dtype in source.columns:
        if name not in frame.column_names:
            yield f"column '{name}' ({dtype.value}) is missing"
        elif frame.column_names.count(name) == 1:
            unfit = misfit(frame[name], dtype)
            if unfit is not None:
                yield f"column '{name}' {unfit.told}"
            else:
                yield from _time_problems(source, name, frame[name])


def _time_problems(source: FrameSource, name: str, values: pa.ChunkedArray) -> Iterator[str]:
    if name in (source.event_timestamp, source.known_at) and values.null_count:
        yield f"{values.null_count} rows have no '{name}', and could never be a value: leave them out"
    elif name == source.event_timestamp and (beyond := _beyond(values)):
        yield f"{beyond} rows have a '{name}' before the year {EARLIEST.year} or after {LATEST.year - 1}"


def _beyond(events: pa.ChunkedArray) -> int:
    moments = as_moments(events)
    edges = [pa.scalar(edge, moments.type) for edge in (EARLIEST, LATEST)]
    outside = pc.or_(pc.less(moments, edges[0]), pc.greater_equal(moments, edges[1]))
    return int(pc.sum(outside).as_py() or 0)


def _fitted(source: FrameSource, frame: pa.Table) -> pa.Table:
    return pa.table({name: converted(frame[name], dtype) for name, dtype in source.columns})
