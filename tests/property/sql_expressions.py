"""Random expressions of the SQL that is evaluated directly, over columns of every type, and rows that are hard."""

from __future__ import annotations

import math
import re
import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pyarrow as pa

from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import Column
from featurestore.spec import dtypes
from featurestore.spec.dtypes import DType, Kind

INTEGERS = ("i8", "i16", "i32", "i64")
FLOATS = ("f", "x", "y")
COLUMNS = {
    "b": DType.BOOL, "c": DType.BOOL, "i8": DType.INT8, "i16": DType.INT16, "i32": DType.INT32, "i64": DType.INT64,
    "f": DType.FLOAT32, "x": DType.FLOAT64, "y": DType.FLOAT64, "s": DType.STRING, "u": DType.STRING,
    "d": DType.DATE, "e": DType.DATE, "t": DType.TIMESTAMP, "v": DType.TIMESTAMP,
    "small": dtypes.Decimal(9, 2), "price": dtypes.Decimal(18, 4), "mass": dtypes.Decimal(38, 10),
    "words": dtypes.List(DType.STRING), "numbers": dtypes.List(DType.FLOAT64),
}  # fmt: skip
SCHEMA = arrow_schema(tuple(Column(name, dtype) for name, dtype in COLUMNS.items()))

_TEXTS = ("", " ", "a", "Ab c", "  pad ", "Łódź", "東京", "ǅß", "\x00z", "x'y", "NaN", "1", "e\u0301", "👩‍🚀")
_MOMENTS = (
    datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2024, 2, 29, 12, tzinfo=UTC), datetime(2023, 12, 31, 23, 30, tzinfo=UTC), datetime(1600, 3, 1, tzinfo=UTC),
)  # fmt: skip
_DOUBLES = (
    0.0, -0.0, math.nan, math.inf, -math.inf, 0.5, -0.5, 1.5, 2.5, -2.5, 0.1, 1.0, -1.0, 3.0, 100.0, 5e-324, 1e308,
    -1e308, 0.49999999999999994, -0.49999999999999994, 2.0**53 + 2, 4503599627370495.5, 2.0**63, 16777217.0, 1e16,
    -7.25, 0.005,
)  # fmt: skip


def rows(random: Random, count: int) -> pa.RecordBatch:
    """Rows of the columns, some of them null, many extreme."""
    arrays = [
        pa.array([None if random.random() < 0.12 else _value(random, dtype) for _ in range(count)], field.type)
        for field, dtype in zip(SCHEMA, COLUMNS.values(), strict=True)
    ]
    return pa.record_batch(arrays, schema=SCHEMA)


def _value(random: Random, dtype: DType) -> object:  # noqa: PLR0911 - one answer for each kind
    match dtype.kind:
        case Kind.BOOL:
            return random.random() < 0.5
        case Kind.INT8 | Kind.INT16 | Kind.INT32 | Kind.INT64:
            half = 1 << int(dtype.value[3:]) - 1
            near = random.choice((0, 0, 0, half - 1, -half, 1 << 24, 1 << 53))
            return max(-half, min(half - 1, near + random.randint(-4, 20)))
        case Kind.FLOAT32:
            return struct.unpack("<f", struct.pack("<f", min(max(_double(random), -3e38), 3e38)))[0]
        case Kind.FLOAT64:
            return _double(random)
        case Kind.STRING:
            return random.choice(_TEXTS) + random.choice(_TEXTS)
        case Kind.DATE:
            return _moment(random).date()
        case Kind.TIMESTAMP:
            return _moment(random)
        case Kind.DECIMAL:
            digits = random.randint(1, random.choice((3, dtype.precision)))
            return Decimal(random.randint(1 - 10**digits, 10**digits - 1)).scaleb(-dtype.scale)
        case Kind.LIST if dtype.item is not None:
            return [None if random.random() < 0.2 else _value(random, dtype.item) for _ in range(random.randint(0, 3))]
        case _:
            raise AssertionError(dtype)


def _double(random: Random) -> float:
    match random.randint(0, 3):
        case 0:
            return random.choice(_DOUBLES)
        case 1:
            return float(struct.unpack("<d", random.randbytes(8))[0])
        case 2:
            return random.randint(-2000, 2000) / 8
        case _:
            return random.uniform(-1000, 1000)


def _moment(random: Random) -> datetime:
    match random.randint(0, 2):
        case 0:
            return random.choice(_MOMENTS)
        case 1:
            return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(microseconds=random.randint(-(10**14), 10**14))
        case _:
            return datetime(1, 1, 1, tzinfo=UTC) + timedelta(seconds=random.randint(0, 315_537_897_599))


def expression(random: Random, depth: int) -> str:
    """An expression of any type. Not each is one that the engine takes."""
    return _filled(
        random,
        random.choice(("{integer}", "{float}", "{decimal}", "{truth}", "{text}", "{day}", "{when}", "{list}")),
        depth,
    )


def _filled(random: Random, template: str, depth: int) -> str:
    """The template with an expression of the kind in each pair of braces."""
    return _PLACE.sub(
        lambda place: _filled(random, random.choice(_templates(place[1], depth, random)), depth - 1), template
    )


def _templates(kind: str, depth: int, random: Random) -> tuple[str, ...]:
    plain = depth <= 0 or random.random() < 0.15
    return _LEAVES[kind] if plain or kind not in _MADE_OF else _MADE_OF[kind]


_PLACE = re.compile(r"\{(\w+)\}")
_LEAVES = {
    "integer": (*INTEGERS, "0", "1", "2", "3", "7", "100", "127", "300", "70000", "2147483648", "4611686018427387904"),
    "float": (*FLOATS, *FLOATS, "0.5", "1e3", "2.0", "-1.25", "0e0", "1e300", "CAST('nan' AS DOUBLE)"),
    "decimal": ("small", "small", "price", "mass", "1.25", "-0.001", "1000.0"),
    "truth": ("b", "c", "TRUE", "x > 0", "s IS NULL"),
    "text": ("s", "u", "'a'", "' Ab c'", "'東京'", "''"),
    "day": ("d", "e", "DATE '2024-02-29'"),
    "when": ("t", "v", "TIMESTAMPTZ '2024-02-29 23:59:59.5+00'"),
    "list": ("coalesce(words, words)", "coalesce(numbers, numbers)"),
    "number": ("{integer}", "{float}", "{float}", "{decimal}"),
    "exact": ("{integer}", "{decimal}"),
    "moment": ("{day}", "{when}"),
    "sign": ("=", "<>", "<", "<=", ">", ">="),
    "plus": ("+", "-", "*"),
    "cast": ("CAST", "TRY_CAST"),
    "no": ("", "NOT "),
    "count": ("0", "1", "2", "3"),
    "unit": ("year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond"),
    "part": ("year", "quarter", "month", "week", "day", "doy", "dow", "isodow", "hour", "minute", "epoch", "second"),
    "part_function": ("hour", "minute", "second", "dayofweek", "isodow", "month", "year", "week", "quarter", "weekday"),
    "cut": ("year", "quarter", "month", "week", "day", "hour", "minute", "second"),
    "pattern": ("", "a", "Ab", "東", "."),
}  # fmt: skip


def _choices(kind: str) -> tuple[str, ...]:
    """One of several values of a kind."""
    same = "{" + kind + "}"
    return tuple(
        template.replace("{}", same)
        for template in (
            "CASE WHEN {truth} THEN {} ELSE {} END", "CASE WHEN {truth} THEN {} WHEN {truth} THEN {} END",
            "CASE {} WHEN {} THEN {} WHEN NULL THEN {} ELSE {} END", "coalesce({}, {})", "coalesce(NULL, {}, {})",
            "nullif({}, {})", "greatest({}, {})", "least({}, {}, {})", "if({truth}, {}, NULL)",
        )
    )  # fmt: skip


def _comparisons(kind: str) -> tuple[str, ...]:
    same = "{" + kind + "}"
    return tuple(
        template.replace("{}", same)
        for template in (
            "({} {sign} {})", "({} {sign} {})", "({} IS {no}DISTINCT FROM {})", "({} BETWEEN {} AND {})",
            "({} {no}IN ({}, {}))", "({} IS {no}NULL)",
        )
    )  # fmt: skip


_MADE_OF = {
    "integer": (
        *("({integer} {plus} {integer})",) * 6, "({integer} // {integer})", "({integer} % {integer})", "abs({integer})",
        "(-{integer})", "round({integer})", "length({text})", "date_diff('{unit}', {when}, {when})",
        "date_diff('{unit}', {day}, {day})", "extract({part} FROM {moment})", "{part_function}({moment})",
        "({day} - {day})",
        "{cast}({number} AS TINYINT)", "{cast}({number} AS INT)", "{cast}({number} AS BIGINT)", "CAST({truth} AS INT)",
        *_choices("integer"),
    ),
    "float": (
        *("({float} {plus} {number})", "({number} {plus} {float})", "({number} / {number})") * 3,
        "({float} // {number})", "abs({float})", "(-{float})", "sqrt({number})", "ln({number})", "exp({float})",
        "log10({float})", "log2({float})", "log({float})", "pow({float}, {number})", "ceil({float})",
        "floor({float})", "ceil({integer})",
        "round({float})",
        "round({float}, {count})", "round({float}, 15)", "epoch({when})", "{cast}({number} AS DOUBLE)",
        "{cast}({number} AS FLOAT)", "CAST({truth} AS DOUBLE)", *_choices("float"), *_choices("number"),
    ),
    "decimal": (
        *("({decimal} {plus} {exact})", "({exact} {plus} {decimal})") * 3, "abs({decimal})", "(-{decimal})",
        "{cast}({exact} AS DECIMAL(20, 4))", "{cast}({exact} AS DECIMAL(12, 2))", "{cast}({exact} AS DECIMAL(38, 12))",
        *_choices("decimal"),
    ),
    "truth": (
        *_comparisons("number"), *_comparisons("float"), *_comparisons("integer"), *_comparisons("decimal"),
        *_comparisons("text"), *_comparisons("day"), *_comparisons("when"), *_comparisons("truth"),
        *("({truth} AND {truth})", "({truth} OR {truth})", "(NOT {truth})") * 3,
        "({truth} IS TRUE)", "({truth} IS FALSE)",
        "({integer} {no}IN (1, 2, 3, 7, 100, NULL))", "({integer} IN (1, 2, 3, 100, 300, 70000))",
        "({text} IN ('a', 'aa', '', ' Ab c', 'Łódź'))", "({moment} IN (d, e))", "isnan({float})", "isinf({float})",
        "isfinite({float})", "contains({text}, '{pattern}')", "starts_with({text}, '{pattern}')",
        "ends_with({text}, '{pattern}')", "CAST({integer} AS BOOLEAN)", *_choices("truth"),
    ),
    "text": (
        *("({text} || {text})",) * 2, "concat({text}, {text}, {text})", "upper({text})", "lower({text})",
        "trim({text})",
        "left({text}, {count})", "substring({text}, 1, {count})", "substring({text}, 3, {count})",
        "CAST({integer} AS VARCHAR)", "CAST({truth} AS VARCHAR)", *_choices("text"),
    ),
    "day": ("CAST({when} AS DATE)", *_choices("day")),
    "when": ("date_trunc('{cut}', {when})", "CAST({day} AS TIMESTAMPTZ)", *_choices("when")),
    "list": ("CASE WHEN {truth} THEN words END", "CASE WHEN {truth} THEN numbers WHEN b THEN NULL ELSE numbers END"),
}  # fmt: skip
