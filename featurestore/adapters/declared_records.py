"""Declarations as plain JSON values and back, for the way from the process that ran the definitions.

Records are told once each, after those that they hold, and refer to each other by their places: what was one object
is one again. Nothing but the records of `featurestore.spec` can be made of it, and no code runs when they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from enum import Enum
from typing import Any

from featurestore.spec.aggregate import Aggregate, Feature, Function
from featurestore.spec.declarations import Declaration
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView, ViewSelection
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import CsvSource, DeltaSource, FrameSource, ParquetSource, RemovedRows, SqlSource

_SOURCES = (ParquetSource, CsvSource, DeltaSource, SqlSource, FrameSource)
_KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        Entity, *_SOURCES, Feature, Aggregate, FeatureView, ViewSelection, OnDemandFeature, FeatureService,
    )
}  # fmt: skip
_CHOICES: dict[str, type[Enum]] = {kind.__name__: kind for kind in (Function, RemovedRows)}
_FIELDS = {name: tuple(field.name for field in fields(kind)) for name, kind in _KINDS.items()}


class Untold(TypeError):
    """A field that holds something else than a declaration can: the declaration's place, and what it is."""

    def __init__(self, declared_at: str, what: str) -> None:
        super().__init__(what)
        self.declared_at, self.what = declared_at, what


class Records:
    """Declarations that are told one after the other."""

    def __init__(self) -> None:
        self.told: list[list[object]] = []
        """Each record: its kind, and the values of its fields."""
        self._places: dict[int, int] = {}
        self._kept: list[object] = []

    def place(self, record: Declaration) -> int:
        """Where the record is told. Raises Untold."""
        return self._place(record, type(record))

    def _place(self, record: Any, kind: type) -> int:
        if id(record) not in self._places:
            # A class of the user's own that extends one of ours declares what ours does.
            name = next(one.__name__ for one in kind.__mro__ if _KINDS.get(one.__name__) is one)
            values = [self._value(record, field) for field in _FIELDS[name]]
            self._kept.append(record)  # no other may get its id
            self._places[id(record)] = len(self.told)
            self.told.append([name, *values])
        return self._places[id(record)]

    def _value(self, record: Any, field: str) -> object:
        try:
            return self._plain(getattr(record, field))
        except TypeError as error:
            if isinstance(error, Untold):
                raise
            raise Untold(str(record.declared_at), f"{field} of {type(record).__name__} can not be {error}") from error

    def _plain(self, value: object) -> object:
        if value is None or isinstance(value, str | int | float):
            return value
        if isinstance(value, tuple | list):
            return [self._plain(item) for item in value]
        if isinstance(value, timedelta):
            return {"duration": [value.days, value.seconds, value.microseconds]}
        if isinstance(value, DType):
            return {"type": value.value}
        if isinstance(value, Function | RemovedRows):
            return {"choice": [type(value).__name__, value.value]}
        if isinstance(value, tuple(_KINDS.values())):
            return {"place": self._place(value, type(value))}
        raise TypeError(f"{repr(value)[:80]} ({type(value).__name__})")


def records_of(told: Sequence[Sequence[Any]]) -> list[Any]:
    """The records, in their places."""
    made: list[Any] = []
    for name, *values in told:
        record: Any = object.__new__(_KINDS[name])
        for field, value in zip(_FIELDS[name], values, strict=True):
            object.__setattr__(record, field, _made(value, made))
        made.append(record)
    return made


def _made(value: object, records: list[Any]) -> object:
    if isinstance(value, list):
        return tuple(_made(item, records) for item in value)
    if not isinstance(value, Mapping):
        return value
    [(kind, told)] = value.items()
    match kind:
        case "place":
            return records[told]
        case "type":
            return DType.parse(told)
        case "choice":
            return _CHOICES[told[0]](told[1])
        case _:
            return timedelta(*told)
