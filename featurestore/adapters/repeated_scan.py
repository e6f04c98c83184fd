"""Rows that an adapter reads, as an engine in this process takes them: an Arrow stream that can be opened again.

A query may scan a relation more than once, and each scan must begin anew: a stream that was read to its end would be
an empty table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
from sqlglot import exp

from featurestore.errors import KnownatError
from featurestore.graph.microseconds import floored_rows, floored_schema
from featurestore.ports.engine import RowScan


class RepeatedScan:
    """A scan of the columns that `tree` may need, which keeps what went wrong while rows were read: an engine tells it
    in words of its own."""

    def __init__(self, scan: RowScan, tree: exp.Expr) -> None:
        self._scan = scan
        self._columns = _columns_needed(scan.schema, tree)
        self._schema = floored_schema(pa.schema([scan.schema.field(name) for name in self._columns]))
        self.failure: KnownatError | None = None

    def __arrow_c_schema__(self) -> object:
        return self._schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return pa.RecordBatchReader.from_batches(self._schema, self._batches()).__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from map(floored_rows, self._scan.open(self._columns))
        except KnownatError as error:
            self.failure = error
            raise


Scans = Sequence[RepeatedScan]


def told_failure(scans: Scans, refused: KnownatError) -> KnownatError:
    """What a source failed with, if one did; otherwise the engine's own refusal."""
    return next((scan.failure for scan in scans if scan.failure is not None), refused)


def _columns_needed(schema: pa.Schema, tree: exp.Expr) -> tuple[str, ...]:
    """The columns whose names occur anywhere in the tree: more than are read, perhaps, and never fewer."""
    stars = (star for star in tree.find_all(exp.Star) if not isinstance(star.parent, exp.Count))
    if next(stars, None) is not None:
        return tuple(schema.names)
    mentioned = {column.name.lower() for column in tree.find_all(exp.Column)}
    return tuple(name for name in schema.names if name.lower() in mentioned) or tuple(schema.names[:1])
