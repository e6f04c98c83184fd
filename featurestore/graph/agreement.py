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

_PLAIN_CLAUSES = {"expressions", "from_", "where", "kind"}
_EXPANDED = (exp.Star, exp.Columns, exp.Query, exp.UDTF, exp.Dot, exp.Lambda, exp.Window, exp.Pivot, exp.Anonymous)
"""What may read columns that it does not name, or name what is no column."""
Reads = Mapping[str, frozenset[str]]
"""The columns that the engine reads of each relation."""


def query_as_written(draft: DraftView) -> exp.Select | None:
    """The view's columns over its SQL as it was written; None where nothing in it could be read in two ways."""
    if draft.declaration.sql is None or _is_plain(draft.written.as_written, draft.written.base):
        return None
    return quote_identifiers(selected_from(draft.written, draft.written.as_written), dialect=DIALECT)


def _is_plain(as_written: exp.Query, spelled_out: exp.Query) -> bool:
    """Whether each name in the SQL is that of a column of its only table, which it has in so many words."""
    if not isinstance(as_written, exp.Select) or set(filter(as_written.args.get, as_written.args)) - _PLAIN_CLAUSES:
        return False
    nodes = [node for node in as_written.walk() if node is not as_written]
    if sum(isinstance(node, exp.Table) for node in nodes) != 1 or any(isinstance(node, _EXPANDED) for node in nodes):
        return False
    aliases = {item.alias.lower() for item in as_written.selects if isinstance(item, exp.Alias)}
    aliases |= {table.alias_or_name.lower() for table in spelled_out.find_all(exp.Table)}
    columns = [node for node in nodes if isinstance(node, exp.Column)]
    return all(not column.table and column.name.lower() not in aliases for column in columns)


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
