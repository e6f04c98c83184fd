"""Which views read which, and an order in which every view comes after those that it reads. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from featurestore.errors import Problem
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.sql_text import UnreadableSql, parse_query
from featurestore.graph.written import tables
from featurestore.spec.declarations import Declarations
from featurestore.spec.feature_view import FeatureView

Levels = tuple[tuple[FeatureView, ...], ...]

_WORD = re.compile(r"\w+")


def mentioned_views(declarations: Declarations) -> dict[str, frozenset[str]]:
    """For each view the views it could read: those whose names are words of its SQL. A name that a source has, too,
    stands for the source. Finds them without reading any SQL."""
    sources = {source.name for source in declarations.sources}
    names = {view.name.lower(): view.name for view in declarations.views if view.name not in sources}
    return {
        view.name: frozenset(names[word] for word in set(_WORD.findall((view.sql or "").lower())) & names.keys())
        for view in declarations.views
    }


def in_levels(declarations: Declarations, known: Mapping[str, ResolvedView]) -> tuple[Levels, list[Problem]]:
    """The views, each level reading only views of earlier ones; and every circle. Views in a circle, and those that
    read them, are in no level. `known` are views that are resolved already."""
    mentioned = mentioned_views(declarations)
    reads = {
        view.name: frozenset(one.name for one in known[view.name].upstreams)
        if view.name in known
        else _reads(view, mentioned[view.name])
        for view in declarations.views
    }
    waiting = list(declarations.views)
    done: set[str] = set()
    levels: list[tuple[FeatureView, ...]] = []
    while level := tuple(view for view in waiting if reads[view.name] <= done):
        levels.append(level)
        done |= {view.name for view in level}
        waiting = [view for view in waiting if view.name not in done]
    return tuple(levels), list(_circles(waiting, reads))


def upstream_first(views: Iterable[ResolvedView]) -> tuple[ResolvedView, ...]:
    """The views in their order, but each after those of them that it reads."""
    listed = {view.table: view for view in views}
    ordered: dict[str, ResolvedView] = {}

    def place(view: ResolvedView) -> None:
        for upstream in view.upstreams:
            place(upstream)
        if view.table in listed:
            ordered.setdefault(view.table, listed[view.table])

    for view in listed.values():
        place(view)
    return tuple(ordered.values())


def with_upstreams(views: Iterable[ResolvedView]) -> tuple[ResolvedView, ...]:
    """The views and all that they read, however far, each table once."""
    found: dict[str, ResolvedView] = {}
    waiting = list(views)
    for view in waiting:  # which grows
        if found.setdefault(view.table, view) is view:
            waiting += view.upstreams
    return tuple(found.values())


def _reads(view: FeatureView, mentioned: frozenset[str]) -> frozenset[str]:
    if not mentioned:
        return frozenset()
    try:
        return mentioned & set(tables(parse_query(view.sql or "")))
    except UnreadableSql:  # which is told when the view is drafted
        return frozenset()


def _circles(views: Iterable[FeatureView], reads: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    """One problem for each circle, at the first of its views."""
    told: set[str] = set()
    for view in views:
        circle = None if view.name in told else _way_back(view.name, reads)
        if circle:
            told |= set(circle)
            way = " → ".join([*circle, view.name])
            yield Problem(view.declared_at, f"view '{view.name}' reads itself: {way}", "let one of them read a source")


def _way_back(start: str, reads: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """The shortest way from a view along what it reads back to itself; empty where there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    for way in ways:  # which grows
        for name in sorted(reads[way[-1]]):
            if name == start:
                return way
            if name not in seen:
                seen.add(name)
                ways.append((*way, name))
    return ()
