"""JSON documents as the records of `results.py`, the same whichever transport brought them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, assert_never

from featurestore.spec.dtypes import DType, Kind
from sdk.results import (
    FeatureDifference,
    KnownReport,
    LineageTree,
    ModelVersion,
    OnlineColumn,
    OnlineResult,
    RegisteredModel,
)

Document = Mapping[str, Any]


def online_result(document: Document) -> OnlineResult:
    columns = tuple(_online_column(column) for column in document["columns"])
    names, values = tuple(column.name for column in columns), [column.values for column in columns]
    return OnlineResult(datetime.fromisoformat(document["at"]), document["rows"], names, values, lambda: columns)


def known_report(document: Document) -> KnownReport:
    features = (FeatureDifference(one["name"], one["reference"], one["differing"]) for one in document["features"])
    return KnownReport(document["rows"], document["cells"], document["differing"], tuple(features))


def lineage_tree(document: Document) -> LineageTree:
    branches = tuple(lineage_tree(branch) for branch in document["branches"])
    return LineageTree(document["urn"], document["kind"], branches, document["repeated"])


def model_version(document: Document) -> ModelVersion:
    return ModelVersion({**document, "metrics": {name: float(value) for name, value in document["metrics"].items()}})


def registered_model(document: Document) -> RegisteredModel:
    if "versions" not in document:
        return RegisteredModel(document)
    return RegisteredModel({**document, "versions": [model_version(version) for version in document["versions"]]})


def _online_column(column: Document) -> OnlineColumn:
    dtype = DType.parse(column["dtype"])
    return OnlineColumn(
        column["name"],
        column["reference"],
        dtype.value,
        column["fingerprint"],
        tuple(typed_value(value, dtype) for value in column["values"]),
        tuple(column["statuses"]),
        tuple(None if moment is None else datetime.fromisoformat(moment) for moment in column["event_timestamps"]),
    )


def typed_value(value: Any, dtype: DType) -> object:  # noqa: PLR0911 - one answer for each kind
    """A JSON value as the Python value it was, to the bit."""
    if value is None:
        return None
    match dtype.kind:
        case Kind.FLOAT32 | Kind.FLOAT64:
            return float(value)
        case Kind.DATE:
            return date.fromisoformat(value)
        case Kind.TIMESTAMP:
            return datetime.fromisoformat(value)
        case Kind.DECIMAL:
            return Decimal(value)
        case Kind.EMBEDDING:
            return [float(item) for item in value]
        case Kind.LIST:
            assert dtype.item is not None  # noqa: S101 - a list has items
            return [typed_value(item, dtype.item) for item in value]
        case Kind.BOOL | Kind.INT8 | Kind.INT16 | Kind.INT32 | Kind.INT64 | Kind.STRING:
            return value
        case _:
            assert_never(dtype.kind)
