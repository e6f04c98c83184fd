"""Which parts of a query give another value each time, by DuckDB's own catalog: the clock, chance, the session.

The query is looked at as the text that DuckDB is given, in DuckDB's own tokens: whatever tree it was made of, these are
the calls that it holds. A word before a parenthesis calls a function, whose stability the catalog says; of a macro it
says the definition, which is looked at in the same way. Of a bare word the engine itself is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sqlglot import exp

from featurestore.graph.sql_text import DIALECT

if TYPE_CHECKING:
    import duckdb

_CATALOG = """
    SELECT lower(function_name), function_type, stability, len(parameters) = 0 AND varargs IS NULL, macro_definition
    FROM duckdb_functions() WHERE function_type IN ('scalar', 'macro')
"""
_RAISES = "error"
"""VOLATILE so that it is not computed ahead of time, and of no value at all."""
_CONSTANT = "pi"
"""Functions without arguments read something, but for this one: the catalog calls `version()` and the local clocks
CONSISTENT."""
_CLOCK_OF_ONE = "age"
"""Of one argument it is `current_date` minus that, and CONSISTENT to the catalog, as `age` of two rightly is."""
_SAMPLES = {"tablesample": "TABLESAMPLE", "sample": "USING SAMPLE", "reservoir_quantile": "reservoir_quantile(…)"}
"""Rows or values that are drawn. Of an aggregate the catalog says no more than that it is one."""
_BY_NAME = {b"'reservoir_quantile'": "reservoir_quantile"}
"""Aggregates that draw, as the texts by which `list_aggregate` and its other names are told what to call."""
_SIGNS = frozenset(bytes([sign]) for sign in b"()[]{},.:;+-*/%<>=!|&^~?'0123456789")


@dataclass(frozen=True, slots=True)
class _Word:
    """A name or a keyword; `arguments` is None where it calls nothing."""

    text: str
    arguments: int | None
    is_quoted: bool


@dataclass(frozen=True, slots=True)
class _Functions:
    """All functions of one name."""

    are_volatile: bool
    read_nothing: bool
    """Whether none of them takes an argument."""
    definitions: tuple[str, ...]


class Volatility:
    """What the catalog of this connection says, read when it is first asked. For one thread at a time."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._values: dict[str, bool] = {}
        self._macros: dict[str, bool] = {}

    def parts(self, sql: str) -> tuple[str, ...]:
        """The parts of the text that give another value each time, as people write them, each once."""
        return tuple(dict.fromkeys(_shown(word) for word in _words(sql) if self._is_volatile(word)))

    def _is_volatile(self, word: _Word) -> bool:
        if word.text in _SAMPLES and (word.arguments is not None or not word.is_quoted):
            return True
        if word.arguments is None:
            return not word.is_quoted and self._is_value(word.text)
        if word.text == _CLOCK_OF_ONE and word.arguments <= 1:
            return True
        found = self._functions.get(word.text)
        if found is None or word.text == _RAISES:
            return False
        reads = found.read_nothing and word.text != _CONSTANT
        return found.are_volatile or reads or any(self._is_volatile_macro(one) for one in found.definitions)

    def _is_volatile_macro(self, definition: str) -> bool:
        """By what it calls, or since it reads the engine's own tables."""
        if definition not in self._macros:
            words = _words(definition)
            self._macros[definition] = any(word.text == "from" or self._is_volatile(word) for word in words)
        return self._macros[definition]

    def _is_value(self, word: str) -> bool:
        """Whether the engine has a value for the word alone, as it has for CURRENT_DATE."""
        import duckdb

        if word not in self._values:
            try:
                self._connection.execute(exp.select(exp.column(word, quoted=True)).sql(dialect=DIALECT))
            except duckdb.Error:
                self._values[word] = False
            else:
                self._values[word] = True
        return self._values[word]

    @cached_property
    def _functions(self) -> Mapping[str, _Functions]:
        found: dict[str, _Functions] = {}
        for name, kind, stability, of_nothing, definition in self._connection.execute(_CATALOG).fetchall():
            before = found.get(name, _Functions(are_volatile=False, read_nothing=True, definitions=()))
            found[name] = _Functions(
                before.are_volatile or (kind == "scalar" and stability != "CONSISTENT"),
                before.read_nothing and of_nothing,
                (*before.definitions, definition) if kind == "macro" else before.definitions,
            )
        return found


def _shown(word: _Word) -> str:
    if word.text in _SAMPLES:
        return _SAMPLES[word.text]
    if word.arguments is None:
        return word.text
    if word.text == _CLOCK_OF_ONE:
        return f"{word.text}(…) of one argument"
    return f"{word.text}(…)" if word.arguments else f"{word.text}()"


def _words(sql: str) -> Iterator[_Word]:
    """The names and keywords, but for quoted names that call nothing: those are columns and tables. The text by which
    an aggregate that draws is called is a name, too."""
    import duckdb

    text = sql.encode()
    tokens = duckdb.tokenize(sql)
    ends = [*(start for start, _ in tokens[1:]), len(text)]
    pieces = [text[start:end].strip() for (start, _), end in zip(tokens, ends, strict=True)]
    kinds = (duckdb.token_type.identifier.value, duckdb.token_type.keyword.value)
    for place, (piece, following) in enumerate(zip(pieces, [*pieces[1:], b""], strict=True)):
        calls, is_quoted = following == b"(", piece.startswith(b'"')
        # Asking for a token's kind is what takes time.
        if (calls or not is_quoted) and piece[:1] not in _SIGNS and tokens[place][1].value in kinds:
            arguments = _arguments(pieces, place + 1) if calls else None
            yield _Word(piece.decode().strip('"').lower(), arguments, is_quoted)
        elif (drawn := _BY_NAME.get(piece.lower())) is not None:
            yield _Word(drawn, None, is_quoted=False)


def _arguments(pieces: list[bytes], opening: int) -> int:
    """How many arguments stand between the parenthesis and its end."""
    depth, commas = 0, 0
    for place in range(opening, len(pieces)):
        piece = pieces[place]
        depth += (piece in (b"(", b"[", b"{")) - (piece in (b")", b"]", b"}"))
        if depth == 0:
            return commas + 1 if place > opening + 1 else 0
        commas += depth == 1 and piece == b","
    return commas + 1
