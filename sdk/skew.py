"""What comparing the serving log with the point-in-time answers found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from featurestore.spec.dtypes import DType
from sdk.documents import typed_value

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SkewExample:
    """A value that was served and is not the point-in-time answer. `status` is what was said of it."""

    request: str
    requested_at: datetime
    key: Mapping[str, object]
    status: str
    logged: object
    expected: object


@dataclass(frozen=True, slots=True)
class FeatureSkew:
    """One feature at one fingerprint: `compared` values, of which `differing` are not the point-in-time answer.

    `ahead` are later than what is filled offline, and `gone` are of a table that is no longer there: neither was
    compared. `applied_fingerprint` is the feature's now: another one where its definition has changed since, None where
    it is no longer declared.
    """

    reference: str
    fingerprint: str
    applied_fingerprint: str | None
    compared: int
    differing: int
    ahead: int
    gone: int
    why_gone: str
    examples: tuple[SkewExample, ...]

    @property
    def rate(self) -> float:
        """Of what was compared, the share that differs, from 0 to 1."""
        return self.differing / self.compared if self.compared else 0.0

    @property
    def has_changed(self) -> bool:
        return self.applied_fingerprint != self.fingerprint


@dataclass(frozen=True, slots=True)
class SkewResult:
    """`rows` logged rows, asked for between `first` and `last`."""

    rows: int
    first: datetime
    last: datetime
    features: tuple[FeatureSkew, ...]

    @property
    def rate(self) -> float:
        """Of the feature that differs most often."""
        return max((feature.rate for feature in self.features), default=0.0)


def skew_result(document: Document) -> SkewResult:
    first, last = (datetime.fromisoformat(document[edge]) for edge in ("first", "last"))
    return SkewResult(document["rows"], first, last, tuple(_feature_skew(one) for one in document["features"]))


def _feature_skew(document: Document) -> FeatureSkew:
    dtype = DType.parse(document["dtype"])
    return FeatureSkew(
        document["reference"],
        document["fingerprint"],
        document["applied_fingerprint"],
        document["compared"],
        document["differing"],
        document["ahead"],
        document["gone"],
        document["why_gone"],
        tuple(_skew_example(one, dtype) for one in document["examples"]),
    )


def _skew_example(document: Document, dtype: DType) -> SkewExample:
    logged, expected = (typed_value(document[side], dtype) for side in ("logged", "expected"))
    moment = datetime.fromisoformat(document["requested_at"])
    return SkewExample(document["request"], moment, _key(document), document["status"], logged, expected)


def _key(document: Document) -> dict[str, object]:
    return {
        column["name"]: typed_value(value, DType.parse(column["dtype"]))
        for column, value in zip(document["key_columns"], document["key"], strict=True)
    }
