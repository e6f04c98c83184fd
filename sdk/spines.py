"""Spines as people have them: Arrow, pandas, Polars, or a Parquet file. Each becomes an Arrow table.

The caller's data is never changed. Nothing is loaded that the caller did not load: a pandas frame comes with pandas.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import InvalidRequest, SpineError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Spine: TypeAlias = Union[pa.Table, pa.RecordBatchReader, "pd.DataFrame", "pl.DataFrame", str, Path]


def spine_table(spine: Spine) -> pa.Table:
    """The spine as one table. Raises SpineError for what is none."""
    match spine:
        case pa.Table():
            return spine
        case pa.RecordBatch():
            return pa.Table.from_batches([spine])
        case pa.RecordBatchReader():
            return spine.read_all()
        case str() | Path():
            return _read_parquet(Path(spine))
        case _:
            return _from_frame(spine)


def frame_table(frame: Spine) -> pa.Table:
    """A frame that is pushed, as one table. Raises InvalidRequest for what is none."""
    try:
        return spine_table(frame)
    except SpineError as error:
        told = error.message.replace("The spine", "The frame").replace("A spine", "A frame")
        raise InvalidRequest(told) from error


def _from_frame(spine: Any) -> pa.Table:
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    try:
        if pandas is not None and isinstance(spine, pandas.DataFrame):
            return _plain(_of_pandas(spine))
        if polars is not None and isinstance(spine, polars.DataFrame):
            _check_no_objects(spine, polars.Object)
            return _plain(spine.to_arrow())
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise SpineError(f"The spine can not be read as a table: {error}") from error
    hint = " Collect it first." if polars is not None and isinstance(spine, polars.LazyFrame) else ""
    raise SpineError(
        "A spine is an Arrow table, a pandas or Polars DataFrame, or the path of a Parquet file, "
        f"got {type(spine).__module__}.{type(spine).__name__}.{hint}"
    )


def _of_pandas(frame: pd.DataFrame) -> pa.Table:
    """Arrow takes true in a column of Python's own values for 1.0 where the others are floats."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for position, field in enumerate(table.schema):
        column = frame.iloc[:, position]
        if pa.types.is_floating(field.type) and column.dtype == object and any(isinstance(one, bool) for one in column):
            raise SpineError(f"The spine's column '{field.name}' has both numbers and true or false: convert it")
    return table


def _check_no_objects(frame: pl.DataFrame, kind: type[pl.DataType]) -> None:
    """Of Python's objects Polars gives the addresses, as bytes."""
    for name, dtype in frame.schema.items():
        if dtype == kind:
            raise SpineError(f"The spine's column '{name}' holds objects of Python: convert it, or leave it out")


def _read_parquet(path: Path) -> pa.Table:
    if not path.exists():
        raise SpineError(f"The spine {path} is not there: name a Parquet file.")
    try:
        table = pq.read_table(path)
        table.validate(full=True)  # damaged pages may be read as texts that are none
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SpineError(f"The spine {path} is not a readable Parquet file: {error}") from error
    return table


def _plain(table: pa.Table) -> pa.Table:
    """Texts in Arrow's plain type, so that the same rows from pandas, Polars or Arrow are the same spine."""
    fields = [
        field.with_type(pa.string())
        if pa.types.is_large_string(field.type) or pa.types.is_string_view(field.type)
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
