"""Whether the engine reads SQL as it is read here: as its author wrote it, it must give columns of the same types, and
need no column that lineage does not know of. So what nobody thought of is refused, and never stored. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
from sqlglot import exp
from sqlglot.optimizer.qualify_columns import quote_identifiers

from featurestore.errors import Problem
from featurestore.graph.draft import DraftView
from featurestore.graph.edges import Columns
from featurestore.graph.resolved import SourceColumn
from featurestore.graph.sql_text import DIALECT
from featurestore.graph.view_query import selected_from

Reads = Mapping[str, frozenset[str]]
"""The columns that the engine reads of each relation."""


def query_as_written(draft: DraftView) -> exp.Select | None:
    """The view's columns over its SQL as it was written; None where nothing in it could be read in two ways."""
    if draft.declaration.sql is None:
        return None
    return quote_identifiers(selected_from(draft.written, draft.written.as_written), dialect=DIALECT)


def other_types(draft: DraftView, found: pa.Schema, as_written: pa.Schema) -> Problem | None:
    """A column of the view's own query, of those `found`, that has another type in its SQL as it was written."""
    view = draft.declaration
    for field in as_written:
        if (ours := found.field(field.name).type) != field.type:
            what = f"the SQL of view '{view.name}' can be read in two ways: '{field.name}' is {ours} or {field.type}"
            return Problem(view.declared_at, what, "write t.a for a column a of a table t, and give aliases new names")
    return None


def beyond(reads: Reads, seen: Columns) -> frozenset[SourceColumn]:
    """What the engine reads beside the columns that are seen to be read, whatever their capital letters."""
    known = {SourceColumn(column.source.lower(), column.column.lower()) for column in seen}
    return frozenset(
        SourceColumn(relation, column)
        for relation, columns in reads.items()
        for column in columns
        if SourceColumn(relation.lower(), column.lower()) not in known
    )


def unseen(draft: DraftView, columns: Iterable[SourceColumn]) -> Problem | None:
    """The columns that would be read without being seen, as a problem, if there are any."""
    shown = ", ".join(f"'{column.column}' of '{column.source}'" for column in sorted(columns))
    if not shown:
        return None
    view = draft.declaration
    what = f"the engine reads column {shown} for the SQL of view '{view.name}', which does not name it"
    return Problem(view.declared_at, what, "name every column that the SQL uses, as t.a")
