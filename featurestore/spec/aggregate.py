"""Features of a view: a row's own columns, or aggregates over trailing windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from featurestore.errors import InvalidDeclaration
from featurestore.spec.names import check_list, check_name, check_sql, declaration_site, parse_duration, show_duration

MOST_LAST = 1_000
_WHOLE = 100
LIFETIME = "lifetime"


class Function(Enum):
    """What an aggregate computes. Nulls are left out; `count` of `"*"` counts rows."""

    COUNT = "count"
    COUNT_DISTINCT = "count_distinct"
    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    STD = "std"
    """The sample standard deviation: null for fewer than two values."""
    VAR = "var"
    FIRST = "first"
    """By event timestamp, then known timestamp, then value."""
    LAST = "last"
    LAST_N = "last_n"
    PERCENTILE = "percentile"


@dataclass(frozen=True, slots=True)
class Parameterized:
    """A function that needs a number: what `percentile(95)` and `last_n(5)` give."""

    function: Function
    parameter: float

    @property
    def suffix(self) -> str:
        """What a feature is called after it: `p95`, `last_5`."""
        shown = f"{self.parameter:g}".replace(".", "_")
        return f"p{shown}" if self.function is Function.PERCENTILE else f"last_{shown}"


def percentile(percent: float) -> Parameterized:
    """The exact percentile, from 0 to 100: 50 is the median. Between two values, in proportion."""
    if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= _WHOLE:
        raise InvalidDeclaration(f"{declaration_site()}: a percentile is a number from 0 to 100, got {percent!r}")
    return Parameterized(Function.PERCENTILE, float(percent))


def last_n(count: int) -> Parameterized:
    """The last `count` values, the latest last, as a list."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_LAST:
        raise InvalidDeclaration(
            f"{declaration_site()}: last_n takes a whole number from 1 to {MOST_LAST}, got {count!r}"
        )
    return Parameterized(Function.LAST_N, count)


@dataclass(frozen=True, slots=True, init=False)
class Feature:
    """One column of a row-level view: an expression over the source's columns, by default the column of its name."""

    name: str
    expression: str
    description: str
    declared_at: str = field(compare=False, repr=False)

    def __init__(self, name: str, expression: str | None = None, *, description: str = "") -> None:
        object.__setattr__(self, "name", check_name("feature", name))
        written = name if expression is None else check_sql(f"the expression of feature '{name}'", expression)
        object.__setattr__(self, "expression", written)
        object.__setattr__(self, "description", description)
        object.__setattr__(self, "declared_at", declaration_site())


@dataclass(frozen=True, slots=True, init=False)
class Aggregate:
    """An aggregate of an expression over several trailing windows: one feature for each window. The window "lifetime"
    holds everything since the beginning.

    The features are named `{name}_{window}`; `name` is `{column}_{function}` where the expression is a column.

    >>> Aggregate("arr_delay", Function.MEAN, windows=["1d", "7d"]).feature_names
    ('arr_delay_mean_1d', 'arr_delay_mean_7d')
    """

    expression: str
    function: Function
    parameter: float | None
    windows: tuple[timedelta | None, ...]
    """None is the lifetime."""
    where: str | None
    name: str
    description: str
    declared_at: str = field(compare=False, repr=False)

    def __init__(
        self,
        expression: str,
        function: Function | Parameterized | str,
        *,
        windows: Sequence[str | timedelta | None],
        where: str | None = None,
        name: str | None = None,
        description: str = "",
    ) -> None:
        site = declaration_site()
        call = function if isinstance(function, Parameterized) else None
        kind = call.function if call else _function(function, site)
        check_sql("the expression of an aggregate", expression)
        if where is not None:
            check_sql(f"where= of the aggregate of {expression!r}", where)
        if isinstance(windows, str) or not windows:
            raise InvalidDeclaration(f"{site}: windows is a list of durations such as ['1d', '7d'], got {windows!r}")
        spans = tuple(
            None if window is None or window == LIFETIME else parse_duration("a window", window)
            for window in check_list("windows", windows)
        )
        if len(set(spans)) != len(spans) or timedelta(0) in spans:
            raise InvalidDeclaration(
                f"{site}: windows are longer than zero and differ from each other, got {windows!r}"
            )
        if expression == "*" and kind is not Function.COUNT:
            raise InvalidDeclaration(f"{site}: '*' can only be counted, not given to {kind.value}")
        object.__setattr__(self, "expression", expression)
        object.__setattr__(self, "function", kind)
        object.__setattr__(self, "parameter", call.parameter if call else None)
        object.__setattr__(self, "windows", spans)
        object.__setattr__(self, "where", where)
        suffix = call.suffix if call else kind.value
        object.__setattr__(self, "name", check_name("feature", name or _default_name(expression, suffix, site)))
        object.__setattr__(self, "description", description)
        object.__setattr__(self, "declared_at", site)

    @property
    def feature_names(self) -> tuple[str, ...]:
        shown = (LIFETIME if window is None else show_duration(window) for window in self.windows)
        return tuple(f"{self.name}_{window}" for window in shown)


def _function(function: Function | Parameterized | str, site: str) -> Function:
    try:
        kind = Function(function)
    except ValueError as error:
        offered = ", ".join(kind.value for kind in Function)
        raise InvalidDeclaration(f"{site}: there is no aggregate {function!r}; there is: {offered}") from error
    if kind in _PARAMETERIZED:
        raise InvalidDeclaration(f"{site}: {kind.value} needs a number: write {_PARAMETERIZED[kind]}")
    return kind


_PARAMETERIZED = {Function.PERCENTILE: "percentile(95)", Function.LAST_N: "last_n(5)"}


def _default_name(expression: str, suffix: str, site: str) -> str:
    if expression == "*":
        return suffix
    if not expression.isidentifier():
        raise InvalidDeclaration(f"{site}: an aggregate of the expression {expression!r} needs name=")
    return f"{expression}_{suffix}"
