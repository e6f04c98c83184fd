"""Rows that a table held and holds no more: what a copy of its newest rows can not see."""

from __future__ import annotations

from sqlglot import exp

from featurestore.compiler.tiles import EVENT_HOP, KNOWN_HOP
from featurestore.compiler.trees import columns, table
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT


def vanished_rows(view: ResolvedView, *, before: str, after: str) -> exp.Query:
    """One row if `before` has a row (a tile) of a key and time of which `after` has none, else none."""
    times = [EVENT_HOP, KNOWN_HOP] if view.is_windowed else [EVENT_TIMESTAMP, KNOWN_AT]
    names = [*(key.name for key in view.keys), *times]
    rows = [exp.select(*columns(names)).from_(table(relation)) for relation in (before, after)]
    return exp.Except(this=rows[0], expression=rows[1], distinct=True).limit(1)
