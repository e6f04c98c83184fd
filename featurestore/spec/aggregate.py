"""Features of a view: a row's own columns, or aggregates over trailing windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from featurestore.errors import InvalidDeclaration
from featurestore.spec.names import check_list, check_name, check_sql, declaration_site, parse_duration, show_duration


class Function(Enum):
    """What an aggregate computes. Nulls are left out; `count` of `"*"` counts rows."""

    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"


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
    """An aggregate of an expression over several trailing windows: one feature for each window.

    The features are named `{name}_{window}`; `name` is `{column}_{function}` where the expression is a column.

    >>> Aggregate("arr_delay", Function.MEAN, windows=["1d", "7d"]).feature_names
    ('arr_delay_mean_1d', 'arr_delay_mean_7d')
    """

    expression: str
    function: Function
    windows: tuple[timedelta, ...]
    where: str | None
    name: str
    description: str
    declared_at: str = field(compare=False, repr=False)

    def __init__(
        self,
        expression: str,
        function: Function | str,
        *,
        windows: Sequence[str | timedelta],
        where: str | None = None,
        name: str | None = None,
        description: str = "",
    ) -> None:
        site = declaration_site()
        kind = _function(function, site)
        check_sql("the expression of an aggregate", expression)
        if where is not None:
            check_sql(f"where= of the aggregate of {expression!r}", where)
        if isinstance(windows, str) or not windows:
            raise InvalidDeclaration(f"{site}: windows is a list of durations such as ['1d', '7d'], got {windows!r}")
        spans = tuple(parse_duration("a window", window) for window in check_list("windows", windows))
        if len(set(spans)) != len(spans) or timedelta(0) in spans:
            raise InvalidDeclaration(
                f"{site}: windows are longer than zero and differ from each other, got {windows!r}"
            )
        if expression == "*" and kind is not Function.COUNT:
            raise InvalidDeclaration(f"{site}: '*' can only be counted, not given to {kind.value}")
        object.__setattr__(self, "expression", expression)
        object.__setattr__(self, "function", kind)
        object.__setattr__(self, "windows", spans)
        object.__setattr__(self, "where", where)
        object.__setattr__(self, "name", check_name("feature", name or _default_name(expression, kind, site)))
        object.__setattr__(self, "description", description)
        object.__setattr__(self, "declared_at", site)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_{show_duration(window)}" for window in self.windows)


def _function(function: Function | str, site: str) -> Function:
    try:
        return Function(function)
    except ValueError as error:
        offered = ", ".join(kind.value for kind in Function)
        raise InvalidDeclaration(f"{site}: there is no aggregate {function!r}; there is: {offered}") from error


def _default_name(expression: str, function: Function, site: str) -> str:
    if expression == "*":
        return function.value
    if not expression.isidentifier():
        raise InvalidDeclaration(f"{site}: an aggregate of the expression {expression!r} needs name=")
    return f"{expression}_{function.value}"
