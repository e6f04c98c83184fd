"""Spines: checked, and brought into the shape that the point-in-time query reads. The caller's table stays as it is."""

from __future__ import annotations

import pyarrow as pa

from featurestore.errors import SpineError, suggestion
from featurestore.graph.arrow_types import arrow_type, is_moment
from featurestore.graph.resolved import Column, FeatureSet
from featurestore.operations.fitted_column import as_moments, converted, misfit, moment_misfit
from featurestore.ports.joins import MOMENT
from featurestore.spec.dtypes import DType, Kind


def check_spine(spine: pa.Table, features: FeatureSet, *, timestamp: str, label: str | None) -> None:
    """Raise SpineError, with everything that is wrong, for a spine these features can not be joined to."""
    names = spine.column_names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SpineError(f"The spine has two columns named '{twice[0]}'. Rename one.")
    problems = _timestamp_problems(spine, timestamp)
    if label is not None and label not in names:
        problems.append(f"it has no label column '{label}'. {suggestion(label, names)}")
    for kind, columns in (("join key", features.join_columns), ("request input", features.request_inputs)):
        problems += [problem for column in columns for problem in _column_problems(spine, column, kind)]
    problems += [
        f"its column '{output.name}' has the name of the feature {output.reference}: rename it"
        for output in features.outputs
        if output.name in names
    ]
    if problems:
        listing = "\n".join(f"  {problem}" for problem in problems)
        raise SpineError(f"The spine can not be used:\n{listing}")


def as_kept(spine: pa.Table) -> pa.Table:
    """The spine with the types that its kept file gives back: Parquet has no seconds, and its own names within lists.
    What is pulled from it now is then what is pulled from the file when the dataset is rebuilt."""
    import pyarrow.parquet as pq  # 4 MB, which a process that only looks features up never needs

    file = pa.BufferOutputStream()
    try:
        pq.write_table(spine.schema.empty_table(), file)
        return spine.cast(pq.read_schema(pa.BufferReader(file.getvalue())).remove_metadata())
    except (pa.ArrowException, ValueError, OSError) as error:  # Parquet and casts tell it in several ways
        raise SpineError(f"The spine can not be kept as Parquet, leave that column out: {error}") from error


def spine_relation(spine: pa.Table, features: FeatureSet, *, timestamp: str) -> pa.Table:
    """What joins and on-demand features read of a spine: the moment in UTC, join keys, request inputs."""
    needed = {column.name: column for column in (*features.join_columns, *features.request_inputs)}
    arrays = [
        as_moments(spine[timestamp]),
        *(_read(spine[column.name], column.dtype) for column in needed.values()),
    ]
    return pa.table(arrays, names=[MOMENT, *needed])


def _read(values: pa.ChunkedArray, dtype: DType) -> pa.ChunkedArray:
    """The values in our type. A spine that an earlier release kept may hold what is refused by now, such as a moment
    for a day: it is read as it was then, so that its datasets can be rebuilt."""
    try:
        return converted(values, dtype)
    except pa.ArrowException:
        return as_moments(values) if dtype.kind is Kind.TIMESTAMP else values.cast(arrow_type(dtype), safe=True)


def _timestamp_problems(spine: pa.Table, timestamp: str) -> list[str]:
    if timestamp not in spine.column_names:
        offered = suggestion(timestamp, spine.column_names)
        return [f"it has no timestamp column '{timestamp}', which says when each row asks (timestamp=). {offered}"]
    if not is_moment(spine.schema.field(timestamp).type):
        return [f"its timestamp column '{timestamp}' is {spine.schema.field(timestamp).type}, not a timestamp"]
    if missing := spine[timestamp].null_count:
        return [f"{missing} rows have no '{timestamp}'"]
    unfit = moment_misfit(spine[timestamp])
    return [] if unfit is None else [f"its timestamp column '{timestamp}' {unfit.told}"]


def _column_problems(spine: pa.Table, column: Column, kind: str) -> list[str]:
    if column.name not in spine.column_names:
        return [
            f"it has no {kind} '{column.name}' ({column.dtype.value}). {suggestion(column.name, spine.column_names)}"
        ]
    unfit = misfit(spine[column.name], column.dtype)
    return [] if unfit is None else [f"its {kind} '{column.name}' {unfit.told}"]
