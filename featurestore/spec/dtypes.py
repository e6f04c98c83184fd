"""The types that keys, features and request inputs can have.

Scalars are constants (`Int64`, `String`, …); `Decimal`, `List` and `Embedding` make a type of their arguments. Every
type has a text, such as `int64`, `decimal(18, 2)` or `list(string)`, and is written as it wherever types are written:
in the stored graph, in manifests, in fingerprints and over HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import ClassVar, NoReturn, final

from featurestore.errors import InvalidDeclaration
from featurestore.spec.names import declaration_site

MOST_DIGITS = 38
"""Of a decimal: as many as 128 bits hold."""

MOST_ITEMS = 65_536
"""Of an embedding."""


class Kind(Enum):
    """What a type is, without what it is made of."""

    BOOL = "bool"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"
    DATE = "date"
    TIMESTAMP = "timestamp"
    DECIMAL = "decimal"
    LIST = "list"
    EMBEDDING = "embedding"


_INTEGERS = frozenset({Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64})
_FLOATS = frozenset({Kind.FLOAT32, Kind.FLOAT64})
_MADE = frozenset({Kind.DECIMAL, Kind.LIST, Kind.EMBEDDING})


@final
class DType:
    """A column's type. The same type is kept offline, online and at the client: nothing is widened on the way.

    Made by the constants and functions of this module, and by `parse`. Not a dataclass, because a record that holds one
    is then stored with the type's fields instead of its text.
    """

    __slots__ = ("item", "kind", "precision", "scale", "size", "value")

    kind: Kind
    value: str
    """The type as text."""
    precision: int
    """Of a decimal: how many digits, at most."""
    scale: int
    """Of a decimal: how many of them stand after the point."""
    item: DType | None
    """Of a list, the type of its items."""
    size: int
    """Of an embedding: how many items."""

    BOOL: ClassVar[DType]
    INT8: ClassVar[DType]
    INT16: ClassVar[DType]
    INT32: ClassVar[DType]
    INT64: ClassVar[DType]
    FLOAT32: ClassVar[DType]
    FLOAT64: ClassVar[DType]
    STRING: ClassVar[DType]
    DATE: ClassVar[DType]
    TIMESTAMP: ClassVar[DType]

    def __init__(
        self, kind: Kind, *, precision: int = 0, scale: int = 0, item: DType | None = None, size: int = 0
    ) -> None:
        made_of = {Kind.DECIMAL: f"({precision}, {scale})", Kind.LIST: f"({item})", Kind.EMBEDDING: f"({size})"}
        fields = {"kind": kind, "precision": precision, "scale": scale, "item": item, "size": size}
        for name, value in {**fields, "value": kind.value + made_of.get(kind, "")}.items():
            object.__setattr__(self, name, value)

    @classmethod
    def parse(cls, text: str) -> DType:
        """The type with this text. Raises ValueError.

        >>> DType.parse("list(decimal(18, 2))").item
        decimal(18, 2)
        """
        if scalar := _SCALARS_BY_TEXT.get(text):
            return scalar
        for pattern, make in _TEXTS:
            if found := pattern.fullmatch(text):
                return make(*found.groups())
        raise ValueError(f"{text[:80]!r} is not a type")

    @property
    def is_integer(self) -> bool:
        return self.kind in _INTEGERS

    @property
    def is_float(self) -> bool:
        return self.kind in _FLOATS

    @property
    def is_scalar(self) -> bool:
        """Whether a value is one thing, with a type that takes no arguments."""
        return self.kind not in _MADE

    @property
    def holds_floats(self) -> bool:
        """Whether it is a list or an embedding in which -0.0 and NaN can stand."""
        return self.kind is Kind.EMBEDDING or (self.item is not None and self.item.is_float)

    @property
    def can_be_key(self) -> bool:
        """Floats can not: NaN and rounding make equality unreliable. Nor can decimals, which are written in several
        ways (1.5, 1.50), and what holds several values."""
        return self.is_scalar and not self.is_float

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a type can not be changed: {self}.{name}")

    def __eq__(self, other: object) -> bool:
        return self.value == other.value if isinstance(other, DType) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return self.value

    def __reduce__(self) -> tuple[Callable[[str], DType], tuple[str]]:
        return DType.parse, (self.value,)


Bool = DType.BOOL = DType(Kind.BOOL)
Int8 = DType.INT8 = DType(Kind.INT8)
Int16 = DType.INT16 = DType(Kind.INT16)
Int32 = DType.INT32 = DType(Kind.INT32)
Int64 = DType.INT64 = DType(Kind.INT64)
Float32 = DType.FLOAT32 = DType(Kind.FLOAT32)
Float64 = DType.FLOAT64 = DType(Kind.FLOAT64)
String = DType.STRING = DType(Kind.STRING)
Date = DType.DATE = DType(Kind.DATE)
Timestamp = DType.TIMESTAMP = DType(Kind.TIMESTAMP)

SCALARS = (Bool, Int8, Int16, Int32, Int64, Float32, Float64, String, Date, Timestamp)
OFFERED = ", ".join([*map(str, SCALARS), "decimal(precision, scale)", "list(item)", "embedding(size)"])
"""All types, for messages."""


def Decimal(precision: int, scale: int = 0) -> DType:  # noqa: N802 - a type, written as the others are
    """Exact decimal numbers of up to `precision` digits (1 to 38), `scale` of them after the point.

    >>> Decimal(18, 2)
    decimal(18, 2)
    """
    if not (_is_count(precision, 1, MOST_DIGITS) and _is_count(scale, 0, precision)):
        raise InvalidDeclaration(
            f"{declaration_site()}: a decimal has 1 to {MOST_DIGITS} digits, of which 0 to all stand after the point, "
            f"as in Decimal(18, 2); got Decimal({precision!r}, {scale!r})"
        )
    return DType(Kind.DECIMAL, precision=precision, scale=scale)


def List(item: DType) -> DType:  # noqa: N802 - a type, written as the others are
    """Lists of any length, whose items are of one type and may be null.

    >>> List(String)
    list(string)
    """
    if not (isinstance(item, DType) and _can_be_item(item)):
        raise InvalidDeclaration(
            f"{declaration_site()}: a list is made of scalars or decimals, as List(Int64) is; got List({item!r})"
        )
    return DType(Kind.LIST, item=item)


def Embedding(size: int) -> DType:  # noqa: N802 - a type, written as the others are
    """Vectors of exactly `size` Float32 numbers, none of them null.

    >>> Embedding(384)
    embedding(384)
    """
    if not _is_count(size, 1, MOST_ITEMS):
        raise InvalidDeclaration(
            f"{declaration_site()}: an embedding has 1 to {MOST_ITEMS} items, as in Embedding(384); got "
            f"Embedding({size!r})"
        )
    return DType(Kind.EMBEDDING, size=size)


def _is_count(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _can_be_item(dtype: DType) -> bool:
    return dtype.is_scalar or dtype.kind is Kind.DECIMAL


def _parsed_decimal(precision: str, scale: str) -> DType:
    if not (1 <= int(precision) <= MOST_DIGITS and int(scale) <= int(precision)):
        raise ValueError(f"'decimal({precision}, {scale})' is not a type")
    return DType(Kind.DECIMAL, precision=int(precision), scale=int(scale))


def _parsed_list(item: str) -> DType:
    parsed = DType.parse(item)
    if not _can_be_item(parsed):
        raise ValueError(f"'list({parsed})' is not a type")
    return DType(Kind.LIST, item=parsed)


def _parsed_embedding(size: str) -> DType:
    if not 1 <= int(size) <= MOST_ITEMS:
        raise ValueError(f"'embedding({size})' is not a type")
    return DType(Kind.EMBEDDING, size=int(size))


_SCALARS_BY_TEXT = {scalar.value: scalar for scalar in SCALARS}
_TEXTS: tuple[tuple[re.Pattern[str], Callable[..., DType]], ...] = (
    (re.compile(r"decimal\(([0-9]{1,2}), ([0-9]{1,2})\)"), _parsed_decimal),
    (re.compile(r"list\((.{1,40})\)"), _parsed_list),
    (re.compile(r"embedding\(([0-9]{1,5})\)"), _parsed_embedding),
)
