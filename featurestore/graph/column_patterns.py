"""Patterns of columns, `COLUMNS('…')` and `* LIKE '…'`, as the columns that they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import find_all_in_scope

from featurestore.graph.qualified import Schemas, qualified, shown
from featurestore.graph.sql_text import UnreadableSql

_PATTERN = re.compile(r"(\(\?i\))?(?:\\[dDwWsS]|(?!\(\?)[A-Za-z0-9_ .*+?|()\[\]^$\-{},])*")
"""The patterns that mean the same to the engine and to Python."""
_SPREADING = (exp.Array, exp.Greatest, exp.Least, exp.Coalesce, exp.Concat, exp.Anonymous, exp.Tuple, exp.In)
"""What takes any number of values, so that several columns can stand where one did."""


def is_pattern(node: exp.Expr) -> bool:
    """Whether a star or COLUMNS stands where sqlglot does not expand it."""
    if isinstance(node, exp.Columns):
        return True
    holder = node.parent if isinstance(node.parent, exp.Column) else node
    return not isinstance(holder.parent, exp.Select | exp.Columns) and not (
        isinstance(holder.parent, exp.Count) and holder is node
    )


def expand_patterns(select: exp.Select, schemas: Schemas, spelling: Mapping[str, set[str]]) -> None:
    """Its patterns as the columns they stand for. Those of queries within it have been expanded before."""

    def matched(pattern: exp.Expr) -> list[tuple[str, exp.Expr]]:
        return _matched(select, pattern, schemas, spelling)

    for spread in [node for node in find_all_in_scope(select, exp.Columns) if _spreading(node) is not None]:
        _spread(_spreading(spread) or spread, [column for _, column in matched(spread)])
    written: list[exp.Expr] = []
    for item in select.expressions:
        found = find_all_in_scope(item, exp.Columns, exp.Like, exp.ILike, exp.SimilarTo)
        patterns = [node for node in found if isinstance(node, exp.Columns) or _filtered_star(node) is not None]
        written += _repeated(item, patterns, matched(patterns[0])) if patterns else [item]
    select.set("expressions", written)
    for node in find_all_in_scope(select, exp.Columns, exp.Star):
        if is_pattern(node):
            pattern = shown(node.parent if isinstance(node.parent, exp.Column) else node)
            raise UnreadableSql(f"{pattern} reads columns without naming them: name the columns in its place")


def _spreading(columns: exp.Columns) -> exp.Expr | None:
    """What stands for several values among others: `*COLUMNS(…)` or `UNPACK(COLUMNS(…))`."""
    above = columns.parent
    if isinstance(above, exp.Anonymous) and above.name.upper() == "UNPACK" and len(above.expressions) == 1:
        return above
    return columns if columns.args.get("unpack") else None


def _spread(place: exp.Expr, columns: Sequence[exp.Expr]) -> None:
    above = place.parent
    if not isinstance(above, _SPREADING):
        raise UnreadableSql(f"{shown(place)} reads columns without naming them: name the columns in its place")
    position = -1 if place.arg_key == "this" else above.expressions.index(place)
    others = [*above.expressions[: max(position, 0)], *columns, *above.expressions[position + 1 :]]
    if position < 0:
        above.set("this", others.pop(0))
    above.set("expressions", others)


def _repeated(
    item: exp.Expr, patterns: Sequence[exp.Expr], columns: Sequence[tuple[str, exp.Expr]]
) -> Iterator[exp.Expr]:
    """The selected item once for each column, named as the engine names them: by the column."""
    if any(pattern != patterns[0] for pattern in patterns):
        raise UnreadableSql(f"{shown(item)} has two patterns of columns in one: name the columns")
    if isinstance(item, exp.Alias) and (len(columns) > 1 or "\\" in item.alias):
        raise UnreadableSql(
            f"{shown(item)} gives {len(columns)} columns the name '{item.alias}': leave AS out, so that each has the "
            "name of its column, or put them into one value with *COLUMNS(…)"
        )
    marked = [pattern.meta.setdefault("pattern", True) for pattern in patterns]
    for name, column in columns:
        copied = item.copy()
        for node in [node for node in copied.walk() if node.meta.get("pattern")][: len(marked)]:
            if node is copied:
                copied = column.copy()
            else:
                node.replace(column.copy())
        is_named = isinstance(copied, exp.Alias) or (isinstance(copied, exp.Column) and copied.name == name)
        yield copied if is_named else exp.alias_(copied, name, quoted=True)


def _filtered_star(node: exp.Expr) -> exp.Expr | None:
    """The star that a `* LIKE '…'` picks columns of."""
    star = node.this
    return star if isinstance(star, exp.Star) or (isinstance(star, exp.Column) and star.is_star) else None


def _matched(
    select: exp.Select, pattern: exp.Expr, schemas: Schemas, spelling: Mapping[str, set[str]]
) -> list[tuple[str, exp.Expr]]:
    """The columns that the pattern stands for, in the order of a star, each with its name as it is spelled."""
    star, accepts = _star_and_filter(pattern)
    found = []
    for name, column in _star_columns(select, star, schemas):
        answers = {accepts(spelled) for spelled in spelling.get(name, {name})}
        if len(answers) > 1:
            raise UnreadableSql(f"{shown(pattern)} depends on capital letters of '{name}': name the columns")
        if answers == {True}:
            found.append((min(spelling.get(name, {name})), column))
    if not found:
        raise UnreadableSql(f"{shown(pattern)} matches no column")
    return found


def _star_and_filter(pattern: exp.Expr) -> tuple[exp.Expr, Callable[[str], bool]]:
    inner = pattern.this
    if isinstance(pattern, exp.Columns) and isinstance(inner, exp.Literal) and inner.is_string:
        if not _PATTERN.fullmatch(inner.name):
            raise UnreadableSql(f"{shown(pattern)} is a pattern too special to be read here: name the columns")
        try:
            compiled = re.compile(inner.name, re.ASCII)
        except re.error as error:
            raise UnreadableSql(f"{shown(pattern)}: {error}") from error
        return exp.Star(), lambda name: compiled.search(name) is not None
    if isinstance(pattern, exp.Columns) and inner.is_star:
        return inner, lambda _: True
    star = _filtered_star(pattern)
    text = pattern.args.get("expression")
    if star is not None and isinstance(text, exp.Literal) and text.is_string:
        negated = bool(pattern.args.get("negate"))
        if isinstance(pattern, exp.Like | exp.ILike):
            parts = {"%": ".*", "_": "."}
            like = re.compile(
                "".join(parts.get(one) or re.escape(one) for one in text.name),
                re.IGNORECASE if isinstance(pattern, exp.ILike) else 0,
            )
            return star, lambda name: (like.fullmatch(name) is not None) != negated
        if isinstance(pattern, exp.SimilarTo) and _PATTERN.fullmatch(text.name):
            similar = re.compile(text.name, re.ASCII)
            return star, lambda name: (similar.fullmatch(name) is not None) != negated
    raise UnreadableSql(f"{shown(pattern)} reads columns without naming them: name the columns in its place")


def _star_columns(select: exp.Select, star: exp.Expr, schemas: Schemas) -> list[tuple[str, exp.Expr]]:
    """What `SELECT star` would give in the place of the select."""
    probe = exp.Select(expressions=[star.copy()])
    for name in ("from_", "joins", "laterals"):
        part = select.args.get(name)
        probe.set(name, [one.copy() for one in part] if isinstance(part, list) else part and part.copy())
    for cte in reversed(list(_ctes_before(select))):
        probe = probe.with_(cte.args["alias"].copy(), as_=cte.this.copy(), append=True)
    try:
        probed = qualified(probe, schemas)
    except SqlglotError as error:
        raise UnreadableSql(str(error).splitlines()[0]) from error
    if any(column.is_star for column in probed.selects):
        raise UnreadableSql(f"{shown(star)} is of a table whose columns are not known: name the columns")
    return [(column.alias_or_name, column.unalias()) for column in probed.selects]


def _ctes_before(select: exp.Select) -> Iterator[exp.CTE]:
    """The CTEs that the select can read, the nearest first."""
    within: exp.Expr = select
    node: exp.Expr | None = select
    while node is not None:
        with_ = node.args.get("with_")
        if with_ is not None and within is not with_:
            yield from reversed(with_.expressions)
        elif isinstance(node, exp.With):
            ctes = node.expressions
            yield from reversed(ctes[: next(i for i, cte in enumerate(ctes) if cte is within)])
        within, node = node, node.parent
