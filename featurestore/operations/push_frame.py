"""Push: append a frame's rows to a frame source, once for each key, with exactly the columns that it declares.

A table would cast what is nearly right (2.7 into an integer column becomes 2), so that is refused here. Only what
changes no value is let through: another way of packing text, other units of a timestamp, a column of nulls alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from featurestore.errors import InvalidRequest
from featurestore.graph.arrow_types import arrow_type
from featurestore.ports.frames import FrameStore, Pushed
from featurestore.spec.source import FrameSource


def push_frame(source: FrameSource, frame: pa.Table, key: str, frames: FrameStore) -> Pushed:
    """Append the frame's rows unless `key` was pushed before. Raises InvalidRequest with all that does not fit."""
    if not isinstance(key, str) or not key:
        raise InvalidRequest(
            f"A push to '{source.name}' needs a key, a text that names this piece of data and no other, such as a day: "
            "pushed again, it changes nothing."
        )
    if problems := list(_problems(source, frame)):
        listing = "\n".join(f"  {problem}" for problem in problems)
        raise InvalidRequest(f"The frame does not fit source '{source.name}' ({source.declared_at}):\n{listing}")
    return frames.append(source, _fitted(source, frame), key)


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
            found = frame.schema.field(name).type
            if not _holds_the_same(found, arrow_type(dtype)):
                yield f"column '{name}' is {found} and is declared as {dtype.value}; convert it before it is pushed"
            elif not _fits(frame[name], arrow_type(dtype)):
                yield f"column '{name}' has values finer than microseconds; round them before they are pushed"
            elif name in (source.event_timestamp, source.known_at) and frame[name].null_count:
                yield f"{frame[name].null_count} rows have no '{name}', and could never be a value: leave them out"


def _holds_the_same(found: pa.DataType, declared: pa.DataType) -> bool:
    """Whether every value of one type is the same value of the other."""
    if pa.types.is_dictionary(found):
        return _holds_the_same(found.value_type, declared)
    if pa.types.is_null(found) or found == declared:
        return True
    if pa.types.is_string(declared):
        return bool(pa.types.is_large_string(found) or pa.types.is_string_view(found))
    return bool(pa.types.is_timestamp(declared) and pa.types.is_timestamp(found))


def _fitted(source: FrameSource, frame: pa.Table) -> pa.Table:
    columns = {name: _cast(frame[name], arrow_type(dtype)) for name, dtype in source.columns}
    return pa.table(columns)


def _fits(column: pa.ChunkedArray, kind: pa.DataType) -> bool:
    try:
        _cast(column, kind)
    except pa.ArrowInvalid:
        return False
    return True


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """A timestamp without a zone is read as UTC."""
    return column.cast(kind, safe=True)
