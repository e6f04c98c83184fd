"""How our values are kept in SQL columns: moments as microseconds, records as canonical JSON text."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Dialect, Text
from sqlalchemy.types import TypeDecorator

from featurestore.adapters.stored_types import read, written
from featurestore.errors import StoreCorrupted
from featurestore.intervals import EPOCH

_MICROSECOND = timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """An aware datetime as whole microseconds since the Unix epoch: exact, and the same order everywhere."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else (value - EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else EPOCH + value * _MICROSECOND


class Json(TypeDecorator[Any]):
    """A value of the given type as JSON text with sorted keys. Records, enums, durations and tuples come back whole."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else to_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else from_json(value, self.kind)


def to_json(value: object) -> str:
    """Equal values give equal text.

    The standard library writes it, because msgspec turns NaN and infinities into null, and a model's metrics may be
    just that. Here they are `NaN` and `Infinity`, which JSON proper does not know and PostgreSQL's JSON type refuses.
    """
    return json.dumps(msgspec.to_builtins(value, enc_hook=written), sort_keys=True, separators=(",", ":"))


def from_json(text: str, kind: Any) -> Any:
    try:
        return msgspec.convert(json.loads(text), type=kind, dec_hook=read)
    except ValueError as error:
        raise StoreCorrupted(
            f"The database holds a record that can not be read ({error}): it was changed by hand, "
            "or written by another version of Knownat."
        ) from error
