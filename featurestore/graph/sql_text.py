"""SQL that people wrote, read into trees: one statement, of bounded depth, with feature references as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from sqlglot import ErrorLevel, exp, parse, parse_one
from sqlglot.dialects import DuckDB
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.scope import traverse_scope
from sqlglot.tokenizer_core import Token, TokenType

DIALECT = "duckdb"
_TABLE_AND_COLUMN = 2
_MAX_DEPTH = 100
_MAX_NESTING = 150
"""Of nodes in a tree: recursion over one must end before Python's does."""
_FLAT = (exp.Connector, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.DPipe)
"""Chains of these are as deep as they are long, and read without recursion."""
_MAX_LENGTH = 100_000
_NO_VALUES = (exp.Distinct, exp.Order)
_SCHEMAS = {"main", "system", "pg_catalog"}
"""Of the engine's own functions, which can be called by them: `main.abs(x)`."""
_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE}
_QUOTED = {TokenType.IDENTIFIER, TokenType.STRING}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END}


class UnreadableSql(ValueError):
    """Text that is not one SQL statement or expression of the kind that was asked for."""


def parse_query(text: str) -> exp.Query:
    """A SELECT (with CTEs, joins, unions) as a tree."""
    tree = _parse_one(text)
    if not isinstance(tree, exp.Query):
        raise UnreadableSql(f"expected a SELECT, found {tree.key.upper()}")
    return tree


def read_query(canonical: str) -> exp.Query:
    """A view's canonical query as a tree that reads only the columns it needs: the stars of its inner selects were
    spelled out when it was resolved, and a source may have lost a column since that nothing was made of."""
    return pushdown_projections(with_laterals(parse_canonical(canonical)))


def parse_canonical(canonical: str) -> exp.Query:
    """A view's canonical query as it was resolved: each of its columns names the table or subquery it belongs to, so
    that what follows a column's name are fields of a struct, and not a name for the parser to guess about."""
    tree = parse_one(canonical, dialect=DIALECT)
    assert isinstance(tree, exp.Query)  # noqa: S101 - a resolved view's query is one that `view_query` made
    for column in list(tree.find_all(exp.Column)):
        if len(column.parts) > _TABLE_AND_COLUMN:
            table, name, *fields = column.parts
            read = exp.Column(this=name.copy(), table=table.copy())
            column.replace(exp.Dot.build([read, *(field.copy() for field in fields)]))
    return tree


Q = TypeVar("Q", bound=exp.Query)


def with_laterals(tree: Q) -> Q:
    """The qualified tree, changed in place: subqueries in FROM that read columns of what stands before them say so. The
    engine does without the word; what follows columns through a tree does not."""
    while found := next(_correlated(tree), None):
        inner = exp.Subquery(this=found.this)
        found.replace(exp.Lateral(this=inner, alias=found.args.get("alias")))
    return tree


def without_laterals(tree: Q) -> Q:
    """The tree, changed in place, with the same subqueries as the engine takes them and as canonical text has them."""
    for lateral in list(tree.find_all(exp.Lateral)):
        if isinstance(lateral.this, exp.Subquery):
            lateral.replace(exp.Subquery(this=lateral.this.this, alias=lateral.args.get("alias")))
    return tree


def _correlated(tree: exp.Query) -> Iterator[exp.Subquery]:
    """The subqueries in FROM that read columns of other things in FROM, the inner ones first."""
    if not any(isinstance(join.this, exp.Subquery) for join in tree.find_all(exp.Join)):
        return
    for scope in traverse_scope(tree):
        for inner in scope.derived_table_scopes:
            own = {pivot.alias for pivot in inner.pivots}
            if not inner.can_be_correlated and any(c.table and c.table not in own for c in inner.external_columns):
                yield derived_table(inner.expression)


def derived_table(query: exp.Expr) -> exp.Subquery:
    """The subquery in FROM whose query this is, whatever parentheses are around it."""
    node = query.parent
    assert isinstance(node, exp.Subquery)  # noqa: S101 - a query in FROM stands in parentheses
    while isinstance(node.parent, exp.Subquery):
        node = node.parent
    return node


def parse_expression(text: str) -> exp.Expr:
    """One scalar expression over columns as a tree."""
    tree = _parse_one(f"SELECT {text}\n")
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or set(_clauses(tree)) != {"expressions"}:
        raise UnreadableSql("expected one expression")
    expression: exp.Expr = tree.expressions[0]
    if isinstance(expression, exp.Alias):
        raise UnreadableSql("an expression takes its name from the declaration: leave out AS")
    if expression.find(exp.Query):
        raise UnreadableSql("an expression can not hold a SELECT: use sql= for the view")
    if unnamed := expression.find(exp.Star, exp.Columns, exp.PositionalColumn):
        raise UnreadableSql(f"{unnamed.sql(dialect=DIALECT)} reads columns without naming them: name them")
    if parameter := expression.find(exp.Placeholder, exp.Parameter):
        raise UnreadableSql(f"{parameter.sql(dialect=DIALECT)} is a parameter, and nobody gives it a value")
    return expression


def parse_reference_expression(text: str) -> tuple[exp.Expr, tuple[str, ...]]:
    """An expression in which `view:feature` stands for a column; the tree has it as the quoted column `view:feature`.

    Returns the tree and the references in the order of their first appearance.
    """
    tokens = _tokens(text)
    pieces: list[str] = []
    references: list[str] = []
    position = index = 0
    while index < len(tokens):
        if _is_reference(tokens, index, text):
            start, end = tokens[index].start, tokens[index + 2].end + 1
            references.append(text[start:end])
            pieces += [text[position:start], '"', text[start:end], '"']
            position, index = end, index + 3
        else:
            index += 1
    pieces.append(text[position:])
    return parse_expression("".join(pieces)), tuple(dict.fromkeys(references))


def quoting_hint(text: str, names: Iterable[str]) -> str:
    """What to write instead where some of `names` stand in the text and are words of SQL there, not columns; else
    nothing."""
    return _hint(name for name in _bare(text, names) if not isinstance(_alone(name), exp.Column))


def constants_hint(text: str, names: Iterable[str]) -> str:
    """As `quoting_hint`, of those names alone that are a value by themselves: `true`, `current_date`."""
    return _hint(name for name in _bare(text, names) if not isinstance(_alone(name), exp.Column | None))


def _bare(text: str, names: Iterable[str]) -> list[str]:
    try:
        bare = {token.text.lower() for token in _tokens(text) if token.token_type not in _QUOTED}
    except UnreadableSql:
        return []
    return sorted(name for name in names if name.lower() in bare)


def _alone(word: str) -> exp.Expr | None:
    try:
        return parse_expression(word)
    except UnreadableSql:
        return None


def _hint(words: Iterable[str]) -> str:
    written = ", ".join(f'"{word}"' for word in words)
    return f"; in an expression, a column whose name is a word of SQL is quoted: {written}" if written else ""


def with_fields(tree: exp.Expr) -> exp.Expr:
    """The expression with what follows a dot as a field of a struct: there are no tables whose column it could be."""
    holder = exp.Paren(this=tree)
    for column in list(tree.find_all(exp.Column)):
        if column.table:
            name, *fields = column.parts
            column.replace(exp.Dot.build([exp.Column(this=name.copy()), *(field.copy() for field in fields)]))
    expression: exp.Expr = holder.this
    return expression


def path_of(column: exp.Column) -> exp.Column | exp.Dot:
    """The column with all the fields that are read of it."""
    path: exp.Column | exp.Dot = column
    while isinstance(path.parent, exp.Dot):
        path = path.parent
    return path


def canonical_sql(tree: exp.Expr) -> str:
    """The tree as text that formatting, comments and the case of keywords leave alone."""
    # It was read in this dialect, so nothing of it is unsupported, whatever sqlglot warns of.
    return tree.sql(dialect=DIALECT, comments=False, normalize=True, identify=True, unsupported_level=ErrorLevel.IGNORE)


def string_literals(tree: exp.Expr) -> set[str]:
    """The texts that stand in quotes."""
    return {literal.name for literal in tree.find_all(exp.Literal) if literal.is_string}


def called_functions(tree: exp.Expr) -> set[str]:
    """The names, in small letters, of the functions that the parser has no name of its own for."""
    return {call.name.lower() for call in tree.find_all(exp.Anonymous)}


def _is_reference(tokens: list[Token], index: int, text: str) -> bool:
    if index + 2 >= len(tokens) or tokens[index + 1].token_type is not TokenType.COLON:
        return False
    start, end = tokens[index].start, tokens[index + 2].end + 1
    view, _, feature = text[start:end].partition(":")
    return view.isidentifier() and feature.isidentifier()


def _parse_one(text: str) -> exp.Expr:
    _tokens(text)
    try:
        statements = [statement for statement in parse(text, dialect=DIALECT) if statement is not None]
    except RecursionError as error:
        raise UnreadableSql("the text is nested too deeply") from error
    except SqlglotError as error:
        raise UnreadableSql(_first_line(error)) from error
    if len(statements) != 1:
        raise UnreadableSql(f"expected one statement, found {len(statements)}")
    _check_nesting(statements[0])
    return _with_plain_calls(statements[0])


def _with_plain_calls(tree: exp.Expr) -> exp.Expr:
    """The tree, changed in place, with `x.f(y)` as `f(x, y)`: the parser takes what stands before such a dot for names,
    where it is a value that reads columns. Each is read again for that, the outer ones first."""
    while dotted := next(filter(_is_call_of_value, tree.find_all(exp.Dot)), None):
        dotted.replace(_plain_call(dotted))
    for column in tree.find_all(exp.Column):
        if not isinstance(column.this, exp.Identifier | exp.Star):
            raise _unreadable_call(column)
    return tree


def _plain_call(dotted: exp.Dot) -> exp.Func:
    call, value = dotted.expression, dotted.this
    variables = _variables(dotted)
    if (
        not isinstance(call, exp.Anonymous)
        or call.name.upper() == "COLUMNS"
        or call.find(*_NO_VALUES)
        # Of longer paths the engine leaves names out, and of a variable's name it makes a column where there is one.
        or (len(_parts(value)) > _TABLE_AND_COLUMN and not value.find(exp.Func))
        or any(name.name.lower() in variables for name in value.find_all(exp.Identifier))
    ):
        raise _unreadable_call(dotted)
    try:
        read = parse_one(value.sql(dialect=DIALECT), dialect=DIALECT)
        return exp.func(call.name, read, *call.expressions, dialect=DIALECT)
    except (SqlglotError, ValueError) as error:
        raise _unreadable_call(dotted) from error


def _variables(place: exp.Expr) -> set[str]:
    """Those of the lambdas and comprehensions around a place, in small letters."""
    found = set[str]()
    node = place.parent
    while node is not None:
        if isinstance(node, exp.Lambda | exp.Comprehension):
            found |= {one.name.lower() for one in (*node.expressions, node.expression) if one is not None}
        node = node.parent
    return found


def _is_call_of_value(dot: exp.Dot) -> bool:
    """Whether a function is called with what stands before the dot, which may also be the function's schema."""
    return isinstance(dot.expression, exp.Func) and not {part.name.lower() for part in _parts(dot.this)} <= _SCHEMAS


def _parts(dotted: exp.Expr) -> list[exp.Expr]:
    return [*_parts(dotted.this), dotted.expression] if isinstance(dotted, exp.Dot) else [dotted]


def _unreadable_call(call: exp.Expr) -> UnreadableSql:
    return UnreadableSql(f"{call.sql(dialect=DIALECT)} can not be read with its dot: write f(x, …) instead of x.f(…)")


def _check_nesting(tree: exp.Expr) -> None:
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > _MAX_NESTING:
            raise UnreadableSql(f"the text is nested deeper than {_MAX_NESTING} levels")
        deeper = depth + (not isinstance(node, _FLAT))
        waiting += [(child, deeper) for child in node.iter_expressions()]


def _tokens(text: str) -> list[Token]:
    """The tokens of `text`, refused before the recursive parser sees it where it is nested too deeply."""
    if len(text) > _MAX_LENGTH:
        raise UnreadableSql(f"the text is longer than {_MAX_LENGTH} characters")
    try:
        tokens: list[Token] = list(DuckDB().tokenize(text))
    except SqlglotError as error:
        raise UnreadableSql(_first_line(error)) from error
    depth = 0
    for token in tokens:
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        if depth > _MAX_DEPTH:
            raise UnreadableSql(f"the text is nested deeper than {_MAX_DEPTH} levels")
    return tokens


def _clauses(tree: exp.Select) -> list[str]:
    return [name for name, value in tree.args.items() if value]


def _first_line(error: BaseException) -> str:
    """The parser's message without the terminal codes it underlines with."""
    return str(error).split("\n", 1)[0].replace("\x1b[4m", "").replace("\x1b[0m", "") or type(error).__name__
