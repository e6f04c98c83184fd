"""Pushed rows, before they are kept: given the source's types, and told when they were known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import EntityRowsError, InvalidRequest, suggestion
from featurestore.graph.arrow_types import arrow_schema, arrow_type
from featurestore.graph.resolved import Column
from featurestore.intervals import show_moment
from featurestore.operations.entity_rows import Row, typed_columns
from featurestore.operations.fitted_column import as_moments
from featurestore.operations.fitted_frame import fitted_frame
from featurestore.spec.dtypes import Kind
from featurestore.spec.source import FrameSource

MOST_ROWS = 100_000
"""In one push. It is held in memory, and others wait for it."""


@dataclass(frozen=True, slots=True)
class StampedRows:
    """Rows in exactly the source's columns. `stamp`: the known timestamp that all of them were given; None where they
    brought their own, or the source has none."""

    rows: pa.Table
    stamp: datetime | None


def rows_table(source: FrameSource, rows: Sequence[Row]) -> pa.Table:
    """Rows of plain values as a table of the source's columns; `known_at` may be left out of all of them.

    Raises EntityRowsError for a value of another type, a column that is missing, and one that is not declared.
    """
    declared = tuple(Column(name, dtype) for name, dtype in source.columns)
    for index, row in enumerate(rows):
        unknown = next((name for name in row if name not in dict(source.columns)), None)
        if unknown is not None:
            told = suggestion(unknown, [column.name for column in declared])
            raise EntityRowsError(f"Row {index} has '{unknown}', which source '{source.name}' does not declare. {told}")
    is_stamped = source.known_at is not None and not any(source.known_at in row for row in rows)
    columns = tuple(column for column in declared if not (is_stamped and column.name == source.known_at))
    return pa.table(dict(typed_columns(rows, columns)), schema=arrow_schema(columns))


def stamped_rows(source: FrameSource, frame: pa.Table, now: datetime) -> StampedRows:
    """The frame's rows, known `now` where the source wants to be told and they do not say it themselves.

    Raises InvalidRequest for rows that do not fit, and for those that say they are known later than now: nobody can
    promise that.
    """
    if not 1 <= frame.num_rows <= MOST_ROWS:
        raise InvalidRequest(
            f"A push has from 1 to {MOST_ROWS:,} rows, got {frame.num_rows:,}: push in parts, each under a key of its "
            "own."
        )
    stamp = now if source.known_at is not None and source.known_at not in frame.column_names else None
    if stamp is not None and source.known_at is not None:
        if dict(source.columns)[source.known_at].kind is not Kind.TIMESTAMP:
            raise InvalidRequest(
                f"'{source.known_at}' of source '{source.name}' is no Timestamp, so that rows have to bring it: a day "
                "does not say which moment they came at."
            )
        stamps = pa.repeat(pa.scalar(stamp, arrow_type(dict(source.columns)[source.known_at])), frame.num_rows)
        frame = frame.append_column(source.known_at, stamps)
    rows = fitted_frame(source, frame)
    if source.known_at is not None:
        last = pc.max(as_moments(rows[source.known_at])).as_py()
        if last > now:
            raise InvalidRequest(
                f"Rows say that they are known at {show_moment(last)}, and it is {show_moment(now)}: push them then. "
                f"Without '{source.known_at}' they are known as they arrive."
            )
    return StampedRows(rows, stamp)
