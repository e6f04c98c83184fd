"""What audits give back: whether what is online is what it should be, and why each value differs that is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from featurestore.spec.dtypes import DType
from sdk.documents import typed_value

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not online what it is offline, both asked for the moment `at`.

    `status`: present, null, missing, expired or unreadable, of the online value. `cause`: changed_definition, late_row,
    stale_materialization, expired, encoding or tampered; `evidence` says what it was seen by.
    """

    key: Mapping[str, object]
    feature: str
    online: object
    offline: object
    status: str
    at: datetime
    cause: str
    evidence: str


@dataclass(frozen=True, slots=True)
class CauseCount:
    """How many values of a view differ for this cause, and what to do about it."""

    cause: str
    differing: int
    remedy: str


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What comparing `keys` keys of a view, `values` values, found at `at`, the moment up to which it is online.

    `state`: compared, not_materialized (filled, and not online as it is defined) or nothing_filled. `differing` values
    are counted in `causes`; `differences` lists the first thousand of them. `left_out` keys were written since, for
    moments that the offline table does not reach yet. `notes` are for people.
    """

    view: str
    table: str
    state: str
    equal: bool
    at: datetime | None
    offline_to: datetime | None
    keys: int
    values: int
    left_out: int
    differing: int
    causes: tuple[CauseCount, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The audits of several views. `equal`: each is online what it should be."""

    equal: bool
    audited_at: datetime
    service: str | None
    model: str | None
    keys: int
    values: int
    differing: int
    views: tuple[AuditResult, ...]


def audit_report(document: Document) -> AuditReport:
    return AuditReport(
        document["equal"],
        datetime.fromisoformat(document["audited_at"]),
        document["service"],
        document["model"],
        document["keys"],
        document["values"],
        document["differing"],
        tuple(audit_result(view) for view in document["views"]),
    )


def audit_result(document: Document) -> AuditResult:
    causes = (CauseCount(one["cause"], one["differing"], one["remedy"]) for one in document["causes"])
    return AuditResult(
        document["view"],
        document["table"],
        document["state"],
        document["equal"],
        _moment(document["at"]),
        _moment(document["offline_to"]),
        document["keys"],
        document["values"],
        document["left_out"],
        document["differing"],
        tuple(causes),
        tuple(_differences(document)),
        tuple(document["notes"]),
    )


def _differences(document: Document) -> Iterator[Difference]:
    types = {column["name"]: DType.parse(column["dtype"]) for column in document["key_columns"]}
    for one in document["differences"]:
        # The keys that could not be read have no value, and so no type.
        dtype = None if one["dtype"] is None else DType.parse(one["dtype"])
        online, offline = (None if dtype is None else typed_value(one[side], dtype) for side in ("online", "offline"))
        yield Difference(
            {name: typed_value(value, types[name]) for name, value in one["key"].items()},
            one["feature"],
            online,
            offline,
            one["status"],
            datetime.fromisoformat(one["at"]),
            one["cause"],
            one["evidence"],
        )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
