"""Functions of texts. Their characters are code points, as the engine counts them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from featurestore.expressions.terms import EMPTY_TEXT, Datum, Evaluate, LeftToEngine, Term, cast_kernel, kernel

_join = kernel("binary_join_element_wise", pc.JoinOptions(null_handling="emit_null"))
_coalesce = kernel("coalesce")


def length(term: Term) -> Evaluate:
    value, count, as_int64 = _text(term), kernel("utf8_length"), cast_kernel(pa.int64())
    return lambda row: as_int64(count(value(row)))


def in_case(term: Term, name: str) -> Evaluate:
    """`name` is Arrow's: utf8_upper or utf8_lower. Arrow and the engine know different years' Unicode, so texts beyond
    ASCII are the engine's."""
    value, change = _text(term), kernel(name)
    every, is_ascii = kernel("all"), kernel("string_is_ascii")

    def changed(row: Mapping[str, Datum]) -> Datum:
        given = value(row)
        # An empty text is not ASCII to Arrow's classifying kernels, and has no letters.
        if every(is_ascii(given)).as_py() is False:
            raise pa.ArrowInvalid("letters beyond ASCII")
        return change(given)

    return changed


def piped(terms: Sequence[Term]) -> Evaluate:
    """`||`: null where one is null."""
    values = [_text(term) for term in terms]
    return lambda row: _join(*[value(row) for value in values], EMPTY_TEXT)


def joined(terms: Sequence[Term]) -> Evaluate:
    """CONCAT, which leaves nulls out. Arrow 26 can do so too, and then loses rows in which all are null."""
    values = [_text(term) for term in terms]
    return lambda row: _join(*[_coalesce(value(row), EMPTY_TEXT) for value in values], EMPTY_TEXT)


def matches(term: Term, name: str, pattern: str) -> Evaluate:
    """`name` is Arrow's: starts_with, ends_with or match_substring."""
    return _of_one(_text(term), kernel(name, pc.MatchSubstringOptions(pattern)))


def part(term: Term, start: int, count: int) -> Evaluate:
    """`count` characters from the one at `start`, where the first is 1."""
    if start < 1 or count < 0:
        raise LeftToEngine("parts counted from the end")
    return _of_one(_text(term), kernel("utf8_slice_codeunits", pc.SliceOptions(start - 1, start - 1 + count)))


def trimmed(term: Term) -> Evaluate:
    return _of_one(_text(term), kernel("utf8_trim", pc.TrimOptions(" ")))


def _of_one(value: Evaluate, operation: Callable[[Datum], Datum]) -> Evaluate:
    return lambda row: operation(value(row))


def _text(term: Term) -> Evaluate:
    if not types.is_string(term.type):
        raise LeftToEngine(f"{term.type} as text")
    return term.evaluate
