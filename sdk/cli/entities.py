"""Entities of an online lookup as they are written on the command line, and as they are asked for.

`--entity tailnum=N123,origin=JFK` gives texts; what type each is, the feature set says. A comma or a backslash that
belongs to a value has a backslash before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, assert_never

import typer

from featurestore.spec.dtypes import DType, Kind
from sdk.cli.json_text import exact_float, parsed_json

_PART = re.compile(r"((?:[^\\,]|\\.)*)(,|$)", re.DOTALL)


def parse_entity(text: str) -> dict[str, str]:
    r"""The columns and texts of one `--entity`. Raises BadParameter.

    >>> parse_entity(r"name=Smith\, Ann,city=Rome")
    {'name': 'Smith, Ann', 'city': 'Rome'}
    """
    entity: dict[str, str] = {}
    for part in _parts(text):
        column, separator, value = part.partition("=")
        column = column.strip()
        if not separator or not column:
            raise typer.BadParameter(f"{part!r} is not column=value", param_hint="--entity")
        if column in entity:
            raise typer.BadParameter(f"{column!r} is given twice", param_hint="--entity")
        entity[column] = value
    return entity


def column_types(catalog: Mapping[str, Any], service: str | None) -> dict[str, DType]:
    """The types of the columns that a lookup may bring: what the service asks for, and else what any view is keyed by
    or any on-demand feature reads."""
    everywhere = [key for view in catalog["views"] for key in view["keys"]]
    everywhere += [column for feature in catalog["on_demand"] for column in feature["inputs"]]
    everywhere += [column for one in catalog["services"] for column in one["inputs"]]
    asked = [column for one in catalog["services"] if one["name"] == service for column in one["inputs"]]
    return {column["name"]: DType.parse(column["dtype"]) for column in (*everywhere, *asked)}


def typed_entity(texts: Mapping[str, str], types: Mapping[str, DType]) -> dict[str, object]:
    """The texts as values of their columns' types. A column without a type stays text: whoever is asked ignores it or
    says what is wrong. Raises BadParameter.

    >>> typed_entity({"customer": "7"}, {"customer": DType.INT64})
    {'customer': 7}
    """
    return {column: typed_value(column, text, types.get(column, DType.STRING)) for column, text in texts.items()}


def typed_value(column: str, text: str, dtype: DType) -> object:
    """Nothing after the `=` is null, but for strings, which may be empty. Raises BadParameter."""
    if text == "" and dtype != DType.STRING:
        return None
    try:
        match dtype.kind:
            case Kind.BOOL:
                return {"true": True, "false": False}[text.lower()]
            case Kind.INT8 | Kind.INT16 | Kind.INT32 | Kind.INT64:
                return int(text)
            case Kind.FLOAT32 | Kind.FLOAT64:
                return _number(text)
            case Kind.STRING | Kind.DATE | Kind.TIMESTAMP | Kind.DECIMAL:
                return text  # dates, moments and decimals are read from their text by whoever is asked
            case Kind.LIST | Kind.EMBEDDING:
                return _listed(text)
            case _:
                assert_never(dtype.kind)
    except (ValueError, KeyError) as error:
        raise typer.BadParameter(f"{column}={text} is no {dtype.value}", param_hint="--entity") from error


def read_entities(file: Path) -> list[dict[str, Any]]:
    """The entities of a JSON file: a list of objects, or one object. Raises BadParameter."""
    try:
        content = parsed_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{file} is not readable JSON: {error}", param_hint="--entities") from error
    entities = [content] if isinstance(content, dict) else content
    if not isinstance(entities, Sequence) or not all(isinstance(entity, dict) for entity in entities):
        raise typer.BadParameter(f"{file} is not a list of objects", param_hint="--entities")
    return list(entities)


def _number(text: str) -> int | float:
    """Whole numbers as they are: whether one is a float, is told by whoever is asked."""
    try:
        return int(text)
    except ValueError:
        return exact_float(text)


def _listed(text: str) -> list[Any]:
    """A list as JSON; the commas between its items have a backslash before them, as any comma of a value."""
    match parsed_json(text):
        case list() as listed:
            return listed
        case _:
            raise ValueError(f"{text} is no list")


def _parts(text: str) -> list[str]:
    parts, position = [], 0
    while position <= len(text):
        match = _PART.match(text, position)
        if match is None:
            raise typer.BadParameter(f"{text!r} ends with a lone backslash", param_hint="--entity")
        parts.append(re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL))
        if not match[2]:
            break
        position = match.end()
    return parts
