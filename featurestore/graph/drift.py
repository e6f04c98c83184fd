"""Drift: where a source is no longer what a view over it was resolved with, and which features that breaks. Pure.

Only columns that the view reads count. Ways of writing the same values are no difference (`arrow_types.same_values`):
text as `large_string` or in a dictionary, a timestamp in other units (stored ones are microseconds, all of them), what
the items of a list are called and whether they may be null.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from featurestore.errors import SourceDrift
from featurestore.graph.edges import columns_read
from featurestore.graph.resolved import ResolvedSource, ResolvedView, SourceColumn, SourceField

Fields = tuple[SourceField, ...]

_SAME = (
    (r"extension<arrow\.fixed_shape_tensor\[value_type=(\w+), shape=\[(\d+)\]\]>", r"fixed_size_list<\1>[\2]"),
    (r"dictionary<values=(.+?), indices=\w+, ordered=\d>", r"\1"),
    (r"run_end_encoded<run_ends: \w+, values: (.+?)>", r"\1"),
    (r"timestamp\[(?:s|ms|us|ns)\]", "timestamp"),
    (r"timestamp\[(?:s|ms|us|ns), tz=[^\]]+\]", "timestamp with a zone"),
    (r"\b(?:large_string|string_view)\b", "string"),
    (r"\b(?:large_binary|binary_view)\b", "binary"),
    (r"\b(?:large_)?list<[^:<>]*: ", "list<"),
    (r"\bfixed_size_list<[^:<>]*: ", "fixed_size_list<"),
    (r"\bdecimal(?:32|64|256)\(", "decimal128("),
    (r" \('[^']*'\)(?=>)| not null", ""),
)
_PATTERNS = tuple((re.compile(pattern), same) for pattern, same in _SAME)
"""In a type's name, at any depth, ways of writing that `arrow_types.same_values` takes for one."""


def drifts(view: ResolvedView, present: Mapping[str, Fields]) -> tuple[SourceDrift, ...]:
    """What differs between the columns the view was resolved with and those its sources have now."""
    return tuple(
        drift
        for source in view.sources
        if source.name in present and present[source.name] != source.fields
        for drift in _drifts(view, source, present[source.name])
    )


def _drifts(view: ResolvedView, source: ResolvedSource, present: Fields) -> Iterator[SourceDrift]:
    now = {field.name.lower(): field.type for field in present}
    changed = [
        field
        for field in source.fields
        if field.name.lower() not in now or _plain(now[field.name.lower()]) != _plain(field.type)
    ]
    read = columns_read(view.query) if changed else frozenset()
    for field in changed:
        column = SourceColumn(source.name.lower(), field.name.lower())
        if column in read:
            found = now.get(field.name.lower())
            renamed = None if found else _only_new(field, source.fields, present)
            yield SourceDrift(source.name, field.name, field.type, found, renamed, _broken(view, column))


def _plain(type_name: str) -> str:
    """The name of the type without what makes no difference to its values."""
    for pattern, same in _PATTERNS:
        type_name = pattern.sub(same, type_name)
    return type_name


def _broken(view: ResolvedView, column: SourceColumn) -> tuple[str, ...]:
    """The features whose values depend on the column; all, where it only decides which rows there are."""
    features = [
        feature.name
        for feature in view.features
        if any(SourceColumn(e.column.source.lower(), e.column.column.lower()) == column for e in feature.edges)
    ]
    return tuple(f"{view.name}:{name}" for name in features or [feature.name for feature in view.features])


def _only_new(gone: SourceField, before: Fields, present: Iterable[SourceField]) -> str | None:
    known = {field.name.lower() for field in before}
    new = [f.name for f in present if f.name.lower() not in known and _plain(f.type) == _plain(gone.type)]
    return new[0] if len(new) == 1 else None
