"""Random tables for random SQL. Names are few: columns, tables, aliases and fields of structs often share one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import pyarrow as pa

MOMENT = pa.timestamp("us", tz="UTC")
_STRUCT = pa.struct([("a", pa.int64()), ("deep", pa.struct([("b", pa.int64()), ("g", pa.string())]))])
_TYPES = {"int": pa.int64(), "text": pa.string(), "list": pa.list_(pa.int64()), "struct": _STRUCT}
_NAMES = {
    "int": ("a", "b", "c", "amount", "Fee", "rates", "p"),
    "text": ("g", "kind", "ev", "name"),
    "list": ("tags", "l"),
    "struct": ("p", "payload", "s"),
}


@dataclass(frozen=True)
class Columns:
    """The columns of a query or table by name, each with its kind; `id` and `seen` are there, and not among them."""

    kinds: dict[str, str]

    def of(self, *kinds: str) -> list[str]:
        return [name for name, kind in self.kinds.items() if kind in kinds]


@dataclass(frozen=True)
class Tables:
    """Two tables of random columns, `ev` and `rates`."""

    columns: dict[str, Columns]

    def schema(self, name: str) -> pa.Schema:
        kinds = self.columns[name].kinds.items()
        return pa.schema([("id", pa.int64()), ("seen", MOMENT), *((column, _TYPES[kind]) for column, kind in kinds)])

    def rows(self, random: Random, name: str) -> pa.Table:
        schema = self.schema(name)
        count = random.randint(6, 12)
        return pa.table([_values(random, column, count) for column in schema], schema=schema)

    def changed(self, random: Random, rows: pa.Table, column: str) -> pa.Table:
        """The rows with other values in one column."""
        position = rows.schema.get_field_index(column)
        return rows.set_column(
            position, rows.schema.field(column), _values(random, rows.schema.field(column), len(rows))
        )


@dataclass
class Source:
    """Something in FROM: its alias, and its columns. `has_id`: whether `id` and `seen` are among them."""

    alias: str
    columns: Columns
    has_id: bool = True


def random_tables(random: Random) -> Tables:
    return Tables({name: _random_columns(random) for name in ("ev", "rates")})


def _random_columns(random: Random) -> Columns:
    kinds: dict[str, str] = {}
    for kind in ("int", "int", "text", "struct", "list", random.choice(("int", "text", "struct"))):
        name = random.choice(_NAMES[kind])
        if name.lower() not in map(str.lower, kinds):
            kinds[name] = kind
    return Columns(kinds)


def _values(random: Random, column: pa.Field, count: int) -> pa.Array:
    return pa.array([_value(random, column.type, column.name) for _ in range(count)], column.type)


def _value(random: Random, dtype: pa.DataType, name: str = "") -> object:
    if pa.types.is_timestamp(dtype):
        return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=random.randint(0, 20))
    if name != "id" and random.random() < 0.1:
        return None
    if pa.types.is_struct(dtype):
        return {field.name: _value(random, field.type) for field in dtype}
    if pa.types.is_list(dtype):
        return [_value(random, dtype.value_type) for _ in range(random.randint(0, 3))]
    return random.choice("xyz") if pa.types.is_string(dtype) else random.randint(0, 3)


def columns_of(tables: Tables) -> Iterator[tuple[str, str]]:
    """Every column of the tables."""
    for name in tables.columns:
        for column in tables.schema(name).names:
            yield name, column


def quoted(name: str) -> str:
    return f'"{name}"' if name != name.lower() else name
