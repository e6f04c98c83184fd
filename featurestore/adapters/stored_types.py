"""Columns' types in stored records: as their texts, whatever the format of the record."""

from __future__ import annotations

from featurestore.spec.dtypes import DType


def written(value: object) -> str:
    """What msgspec's encoders ask for a value they do not know (`enc_hook`)."""
    if isinstance(value, DType):
        return value.value
    raise TypeError(f"{type(value).__name__} has no stored form")


def read(kind: type, value: object) -> DType:
    """What msgspec's decoders ask for a type they do not know (`dec_hook`)."""
    if kind is not DType:
        raise TypeError(f"{kind.__name__} can not be read from a stored record")
    return DType.parse(str(value))
