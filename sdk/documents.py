"""JSON documents as the records of `results.py`, the same whichever transport brought them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sdk.results import AuditResult, Difference, LineageTree, ModelVersion, OnlineColumn, OnlineResult, RegisteredModel

Document = Mapping[str, Any]


def online_result(document: Document) -> OnlineResult:
    columns = tuple(_online_column(column) for column in document["columns"])
    return OnlineResult(document["rows"], datetime.fromisoformat(document["at"]), columns)


def audit_result(document: Document) -> AuditResult:
    differences = tuple(_difference(one, document["key_columns"]) for one in document["differences"])
    at = datetime.fromisoformat(document["at"])
    return AuditResult(document["view"], at, document["keys"], document["values"], differences)


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
    dtype = column["dtype"]
    return OnlineColumn(
        column["name"],
        column["reference"],
        dtype,
        column["fingerprint"],
        tuple(typed_value(value, dtype) for value in column["values"]),
        tuple(column["statuses"]),
        tuple(None if moment is None else datetime.fromisoformat(moment) for moment in column["event_timestamps"]),
    )


def _difference(document: Document, key_columns: list[Document]) -> Difference:
    key = {
        column["name"]: typed_value(value, column["dtype"])
        for column, value in zip(key_columns, document["key"], strict=True)
    }
    online, offline = (typed_value(document[side], document["dtype"]) for side in ("online", "offline"))
    return Difference(key, document["feature"], online, offline)


def typed_value(value: Any, dtype: str) -> object:
    """A JSON value as the Python value it was, to the bit."""
    if value is None:
        return None
    match dtype:
        case "float32" | "float64":
            return float(value)
        case "date":
            return date.fromisoformat(value)
        case "timestamp":
            return datetime.fromisoformat(value)
        case _:
            return value
