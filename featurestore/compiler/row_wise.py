"""Which views take each row of their one source by itself: pushed rows are then all that is needed to compute them."""

from __future__ import annotations

from functools import lru_cache

from sqlglot import exp

from featurestore.compiler.event_days import dated_sources
from featurestore.compiler.stored_rows import view_rows
from featurestore.graph.resolved import ResolvedView, SourceKind


@lru_cache(maxsize=1024)
def is_row_wise(view: ResolvedView) -> bool:
    """Whether the view is row-level, and its query projects and filters one source, with its own event timestamp."""
    return not view.is_windowed and takes_rows_alone(view)


@lru_cache(maxsize=1024)
def takes_rows_alone(view: ResolvedView) -> bool:
    """Whether the view's query projects and filters one source, with its own event timestamp: a row that comes changes
    no other."""
    if view.upstreams or len(view.sources) != 1:
        return False
    if dated_sources(view) != {view.sources[0].name}:
        return False
    tree = view_rows(view)
    return not any(tree.find_all(exp.Join)) and all(map(_feeds_a_select, tree.find_all(exp.Query)))


def takes_pushes(view: ResolvedView) -> bool:
    """Whether rows can be pushed to the view's table itself: it may then hold rows from after it was last filled."""
    return len(view.sources) == 1 and view.sources[0].kind is SourceKind.FRAME and is_row_wise(view)


def _feeds_a_select(query: exp.Query) -> bool:
    """Whether a query is the outermost one or what another one selects from, and not a value within it."""
    parent = query.parent
    return parent is None or isinstance(parent, exp.From | exp.CTE | exp.Subquery)
