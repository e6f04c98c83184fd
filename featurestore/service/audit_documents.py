"""Audits as JSON documents: the same whether a route answers them or the SDK in this process does. docs/audit.md
describes them; nothing is removed from them or renamed."""

from __future__ import annotations

from featurestore.graph.resolved import ResolvedView
from featurestore.operations.audit_report import AuditReport, Difference, ViewAudit
from featurestore.operations.causes import remedy
from featurestore.service.wire import Document, moment_json, pairs_json, value_json


def audit_report_document(report: AuditReport) -> Document:
    """The audits of several views."""
    return {
        "equal": report.equal,
        "audited_at": moment_json(report.audited_at),
        "service": report.service,
        "model": report.model,
        "keys": sum(view.keys for view in report.views),
        "values": sum(view.values for view in report.views),
        "differing": sum(view.differing for view in report.views),
        "views": [view_audit_document(view) for view in report.views],
    }


def view_audit_document(found: ViewAudit) -> Document:
    """Values travel beside their types, so that a client can give them back exactly."""
    view = found.view
    return {
        "view": view.name,
        "table": view.table,
        "state": found.state.value,
        "equal": found.equal,
        "at": moment_json(found.online_to),
        "offline_to": moment_json(found.offline_to),
        "keys": found.keys,
        "values": found.values,
        "left_out": found.left_out,
        "differing": found.differing,
        "causes": [
            {"cause": cause.value, "differing": count, "remedy": remedy(cause, view.name)}
            for cause, count in found.causes
        ],
        "key_columns": [{"name": key.name, "dtype": key.dtype.value} for key in view.keys],
        "differences": [_difference_document(difference, view) for difference in found.differences],
        "notes": list(found.notes),
    }


def _difference_document(difference: Difference, view: ResolvedView) -> Document:
    types = {f"{view.name}:{feature.name}": feature.dtype.value for feature in view.features}
    return {
        "key": pairs_json(difference.key),
        "feature": difference.feature,
        "dtype": types.get(difference.feature),
        "online": value_json(difference.online),
        "offline": value_json(difference.offline),
        "status": difference.status.value,
        "at": moment_json(difference.at),
        "cause": difference.cause.value,
        "evidence": difference.evidence,
    }
