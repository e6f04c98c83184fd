"""SQL that people wrote, read into trees: one statement, of bounded depth, with feature references as columns."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import ErrorLevel, exp, parse, parse_one
from sqlglot.dialects import DuckDB
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.tokenizer_core import Token, TokenType

DIALECT = "duckdb"
_MAX_DEPTH = 100
_MAX_NESTING = 150
"""Of nodes in a tree: recursion over one must end before Python's does."""
_FLAT = (exp.Connector, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.DPipe)
"""Chains of these are as deep as they are long, and read without recursion."""
_MAX_LENGTH = 100_000
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
    tree = pushdown_projections(parse_one(canonical, dialect=DIALECT))
    assert isinstance(tree, exp.Query)  # noqa: S101 - a resolved view's query is one that `view_query` made
    return tree


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
    return statements[0]


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
