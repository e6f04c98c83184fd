"""What compiled expressions are made of: terms, the kernels of Arrow that they call, and what the engine has said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import ErrorLevel, exp

from featurestore.expressions.engine_types import arrow_type_named
from featurestore.graph.arrow_types import dtype_of
from featurestore.graph.sql_text import DIALECT
from featurestore.graph.sql_types import sql_type

Datum: TypeAlias = Any
"""An Arrow array, or a scalar that stands for as many equal values as are needed. pyarrow publishes no types."""

Evaluate: TypeAlias = Callable[[Mapping[str, Datum]], Datum]
"""From columns and constants, by their names. Raises pyarrow.ArrowInvalid where the engine has to decide: it has a
value of its own there, or an error."""


def _lone(kind: pa.DataType, *buffers: bytes) -> Datum:
    """A scalar made of bytes: pyarrow makes others through pandas, which takes 50 MB of a process that only serves."""
    return pa.Array.from_buffers(kind, 1, [None, *map(pa.py_buffer, buffers)])[0]


TRUE, FALSE = _lone(pa.bool_(), b"\x01"), _lone(pa.bool_(), b"\x00")
NEITHER = pa.nulls(1, pa.bool_())[0]
EMPTY_TEXT = _lone(pa.string(), bytes(8), b"")
TWELVE = _lone(pa.int64(), (12).to_bytes(8, "little"))


class LeftToEngine(Exception):
    """An expression that is not known to give the engine's values when Arrow evaluates it."""


@dataclass(frozen=True, slots=True)
class Term:
    """An expression with its type, ready to be evaluated."""

    type: pa.DataType
    evaluate: Evaluate
    is_number: bool = False
    """Whether it is a number that is written down, so neither null nor NaN."""
    folded: Callable[[pa.DataType], Evaluate] | None = None
    """Of an expression that reads no column: its value as any type, which the engine computes once."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression is compiled with: the types of columns, and of subexpressions as the engine tells them.

    `constants` gathers what the engine has to evaluate once, by the names under which terms read it.
    """

    columns: Mapping[str, pa.DataType]
    types: Mapping[str, str]
    constants: dict[str, exp.Expr] = field(default_factory=dict)

    def type_of(self, tree: exp.Expr) -> pa.DataType:
        """Raises LeftToEngine for a type that features can not have."""
        if isinstance(tree, exp.Column):
            return self.columns[tree.name]
        named = self.types.get(sql_of(tree))
        found = None if named is None else arrow_type_named(named)
        if found is None:
            raise LeftToEngine(f"{sql_of(tree)} is {named}")
        return found

    def constant(self, tree: exp.Expr, to: pa.DataType) -> Evaluate:
        """The value of an expression that reads no column, as the type: the engine computes it, once."""
        dtype = dtype_of(to)
        if dtype is None:
            raise LeftToEngine(f"{sql_of(tree)} as {to}")
        cast = exp.Cast(this=tree.copy(), to=sql_type(dtype))
        name = f"constant {sql_of(cast)}"
        self.constants[name] = cast
        return reading(name)


def reading(name: str) -> Evaluate:
    return lambda row: row[name]


def sql_of(tree: exp.Expr) -> str:
    # It is the dialect that it was written in, whatever sqlglot warns of.
    return tree.sql(dialect=DIALECT, unsupported_level=ErrorLevel.IGNORE, copy=False)


def is_constant(tree: exp.Expr) -> bool:
    return tree.find(exp.Column) is None


def kernel(name: str, options: Any = None) -> Callable[..., Datum]:
    """One of Arrow's functions, looked up once: it is called for every lookup."""
    call = pc.get_function(name).call
    return lambda *arguments: call(list(arguments), options)


def cast_kernel(to: pa.DataType, *, safe: bool = True) -> Callable[[Datum], Datum]:
    return kernel("cast", pc.CastOptions.safe(to) if safe else pc.CastOptions.unsafe(to))
