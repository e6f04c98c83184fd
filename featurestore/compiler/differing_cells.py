"""Two answers side by side: in how many cells they differ."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from featurestore.compiler.trees import column, function, named, table


def differing_cells(names: Iterable[str], *, left: str, right: str, row: str) -> exp.Select:
    """For each column, in how many rows the two relations differ: nulls equal nulls, NaN equals NaN."""
    counted = [
        named(function("COUNT_IF", exp.NullSafeNEQ(this=column(name, left), expression=column(name, right))), name)
        for name in names
    ]
    return exp.select(*counted).from_(table(left)).join(table(right), on=column(row, left).eq(column(row, right)))
