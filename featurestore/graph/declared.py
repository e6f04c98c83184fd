"""What a view is made from, as one key: two views with the same key resolve to equal records.

The key covers the whole declaration, and the declarations and columns of every source that the view can read, by way of
other views too. It is found without reading any SQL, so a source or view whose name merely appears in the view's text
counts as one it can read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from enum import Enum
from functools import cache

import pyarrow as pa

from featurestore.graph.chain_order import mentioned_views
from featurestore.graph.fingerprint import fingerprint
from featurestore.spec.declarations import Declarations
from featurestore.spec.dtypes import DType
from featurestore.spec.feature_view import FeatureView


def view_keys(declarations: Declarations, schemas: Mapping[str, pa.Schema]) -> dict[str, str]:
    """The key of each view, by name; views that can read a source without a schema are left out."""
    sources = {
        source.name: fingerprint(_plain(source), _columns(schemas[source.name])) if source.name in schemas else None
        for source in declarations.sources
    }
    alone: dict[str, str] = {}
    for view in declarations.views:
        read = [[name, key] for name, key in sources.items() if _can_read(view, name)]
        if all(key is not None for _, key in read):
            alone[view.name] = fingerprint("declared view", _plain(view), read)
    mentioned = mentioned_views(declarations)
    keys: dict[str, str] = {}
    for name, key in alone.items():
        upstreams = _reachable(name, mentioned)
        if all(upstream in alone for upstream in upstreams):
            keys[name] = fingerprint("chained view", key, [alone[one] for one in upstreams]) if upstreams else key
    return keys


def _reachable(view: str, mentioned: Mapping[str, frozenset[str]]) -> list[str]:
    """Every view that this one could read, directly or by way of others."""
    found: set[str] = set()
    waiting = [view]
    while waiting:
        new = mentioned[waiting.pop()] - found
        found |= new
        waiting += new
    return sorted(found - {view})


def _can_read(view: FeatureView, source: str) -> bool:
    """SQL can not name a source without spelling its name, in letters of either case."""
    return source == view.source.name if view.source else source.lower() in (view.sql or "").lower()


def _columns(schema: pa.Schema) -> list[object]:
    return [[field.name, str(field.type)] for field in schema]


def _plain(value: object) -> object:
    """A declaration as plain values. Where it stands in a file is no part of it, as in comparisons."""
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    if isinstance(value, DType):
        return ["type", value.value]
    if isinstance(value, Enum):
        return ["enum", type(value).__name__, _plain(value.value)]
    if isinstance(value, timedelta):
        return ["duration", value.days, value.seconds, value.microseconds]
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *(_plain(getattr(value, name)) for name in _compared(type(value)))]
    raise TypeError(f"{type(value).__name__} has no plain form: a declaration holds texts, numbers, enums and records")


@cache
def _compared(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.compare)
