"""Columns of PostgreSQL as they are read: what the driver has no values for, or others than were typed, is asked for in
another form.

The driver takes money for its hundredths, object identifiers for signed numbers, arrays of several dimensions for lists
of one, and infinite moments for some that lie long before. What a value can not be read as is told with its column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from featurestore.errors import SourceError

_LARGEST_DECIMAL = 38
_MONEY = pa.decimal128(19, 2)
"""64 bits of hundredths. Where the database's own money has other digits, a value does not fit, and is told."""
_TYPE, _MODIFIER = b"POSTGRESQL:type", b"POSTGRESQL:typmod"
_SEVERAL = "__several_dimensions_"
_INFINITIES = {
    pa.int32(): {-2147472692: 2**31 - 1, -2147472691: 1 - 2**31},
    pa.int64(): {-9222425352054775809: 2**63 - 1, -9222425352054775808: 1 - 2**63},
}
"""What the driver makes of infinity and its opposite, days or microseconds, by what engines take for them."""
_OTHERS: dict[bytes, tuple[pa.DataType, tuple[str, ...]]] = {
    b"money": (_MONEY, ("NUMERIC", "TEXT")),
    b"_money": (pa.list_(_MONEY), ("NUMERIC[]", "TEXT[]")),
    b"oid": (pa.int64(), ("BIGINT",)),
    b"_oid": (pa.list_(pa.int64()), ("BIGINT[]",)),
}
"""Types that the driver takes for numbers of another meaning: what they are read as, and how they are asked for."""
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class ReadColumn:
    """A column, the Arrow type that it is read as, and what it is cast to in the database, one after the other."""

    name: str
    kind: pa.DataType
    casts: tuple[str, ...] = ()


def read_columns(schema: pa.Schema) -> tuple[ReadColumn, ...]:
    """Decimals of a declared precision stay what they are; types that Arrow has no values for are read as text."""
    if repeated := {name for name in schema.names if schema.names.count(name) > 1}:
        raise SourceError(f"a SELECT of a source has the column '{min(repeated)}' twice: name one with AS")
    return tuple(_column(field) for field in schema)


def selected(columns: Iterable[ReadColumn]) -> Iterator[exp.Expr]:
    """What is asked of the database. Of arrays also the text of those with several dimensions, which is null for the
    others: the driver does not tell them apart."""
    for number, column in enumerate(columns):
        named = exp.column(column.name, quoted=True)
        value: exp.Expr = named
        for kind in column.casts:
            value = exp.cast(value, kind, dialect="postgres")
        yield exp.alias_(value, column.name, quoted=True)
        if pa.types.is_list(column.kind):
            deep = exp.func("array_ndims", named.copy()) > exp.Literal.number(1)
            told = exp.Case(ifs=[exp.If(this=deep, true=exp.cast(named.copy(), "TEXT"))])
            yield exp.alias_(told, f"{_SEVERAL}{number}", quoted=True)


def as_read(source: str, columns: Iterable[ReadColumn], rows: pa.Table) -> pa.Table:
    """The rows in the columns' types. Raises SourceError with the column and a value for what is none of them."""
    read = {}
    for number, column in enumerate(columns):
        if (deep := f"{_SEVERAL}{number}") in rows.column_names:
            _check_dimensions(source, column, rows[deep])
        read[column.name] = _values(source, column, rows[column.name])
    return pa.table(read)


def with_infinities(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days and moments, with those that are infinite as engines have them."""
    return pa.chunked_array([_with_infinities(chunk) for chunk in values.chunks], values.type)


def _column(field: pa.Field) -> ReadColumn:
    if (other := _OTHERS.get(_database_type(field))) is not None:
        return ReadColumn(field.name, *other)
    if _holds_others(field.type):
        return ReadColumn(field.name, pa.string(), ("TEXT",))
    if not isinstance(field.type, pa.BaseExtensionType):
        return ReadColumn(field.name, field.type)
    return ReadColumn(field.name, _declared_decimal(field) or pa.string(), ("TEXT",))


def _declared_decimal(field: pa.Field) -> pa.DataType | None:
    modifier = int((field.metadata or {}).get(_MODIFIER, b"-1"))
    if b"numeric" not in _database_type(field) or modifier <= 0:
        return None
    precision, scale = (modifier - 4) >> 16 & 0xFFFF, (modifier - 4) & 0x7FF
    fits = precision <= _LARGEST_DECIMAL and scale <= precision
    return pa.decimal128(precision, scale) if fits else None


def _database_type(field: pa.Field) -> bytes:
    kind: bytes = (field.metadata or {}).get(_TYPE, b"")
    return kind


def _holds_others(kind: pa.DataType) -> bool:
    """Whether a row type, or an array of them, has such a type within."""
    fields = kind.fields if pa.types.is_struct(kind) else [kind.value_field] if pa.types.is_list(kind) else []
    return any(_database_type(field) in _OTHERS or _holds_others(field.type) for field in fields)


def _check_dimensions(source: str, column: ReadColumn, deep: pa.ChunkedArray) -> None:
    if deep.null_count < len(deep):
        raise SourceError(
            f"source '{source}': '{column.name}' holds {deep.drop_null()[0].as_py()[:_SHOWN]}, an array of several "
            "dimensions, which no list of ours is: select its parts, or its text"
        )


def _values(source: str, column: ReadColumn, values: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return with_infinities(values).cast(column.kind)
    except pa.ArrowInvalid as error:
        wrong = next(one for one in values if not _fits(one, column.kind))
        raise SourceError(
            f"source '{source}': '{column.name}' holds {str(wrong.as_py())[:_SHOWN]}, which is no {column.kind}: leave "
            "the row out, make it null, or select another type"
        ) from error


def _fits(value: pa.Scalar, kind: pa.DataType) -> bool:
    try:
        value.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _with_infinities(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_list(kind):
        items = _with_infinities(array.values)
        return pa.Array.from_buffers(kind, len(array), array.buffers()[:2], offset=array.offset, children=[items])
    if not (pa.types.is_date32(kind) or pa.types.is_timestamp(kind)):
        return array
    number = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    numbers = array.view(number)
    for driver, engine in _INFINITIES[number].items():
        numbers = pc.if_else(pc.equal(numbers, pa.scalar(driver, number)), pa.scalar(engine, number), numbers)
    return numbers.view(kind)
