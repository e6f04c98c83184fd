"""Our records as JSON documents, one function for each: what routes answer, and what the SDK gives in either mode."""

from __future__ import annotations

from collections.abc import Iterable

from featurestore.graph.lineage import LineageTree
from featurestore.graph.resolved import Column, Graph, ResolvedFeature, ResolvedSource, ResolvedView, ServiceEntry
from featurestore.graph.selection import service_features
from featurestore.operations.explain_known import KnownReport
from featurestore.operations.publish_delay import PublishDelay
from featurestore.operations.skew import FeatureSkew, SkewExample, SkewReport
from featurestore.operations.status import ViewStatus
from featurestore.ports.state import AppliedGraph, ColumnProfile, Manifest, PinnedTable
from featurestore.service.wire import Document, Json, duration_json, moment_json, value_json


def manifest_document(manifest: Manifest) -> Document:
    """Everything a training set was made of."""
    features = manifest.features
    return {
        **manifest_summary(manifest),
        "features": [
            {
                "name": output.name,
                "reference": output.reference,
                "dtype": output.dtype.value,
                "fingerprint": output.fingerprint,
            }
            for output in features.outputs
        ],
        "tables": [_pinned_document(table) for table in manifest.tables],
        "spine": manifest.spine,
        "spine_kept": manifest.spine_kept,
        "timestamp": manifest.timestamp,
        "served": manifest.served,
        "result": manifest.result,
        "result_size": manifest.result_size,
        "profile": [_profile_document(profile) for profile in manifest.profile],
        "libraries": dict(manifest.libraries),
        "warnings": list(manifest.warnings),
    }


def manifest_summary(manifest: Manifest) -> Document:
    """A dataset in a list of many."""
    return {
        "id": manifest.id,
        "service": manifest.features.service,
        "feature_count": len(manifest.features.outputs),
        "label": manifest.label,
        "as_served": manifest.served is not None,
        "rows": manifest.rows,
        "first": moment_json(manifest.first),
        "last": moment_json(manifest.last),
        "created_at": moment_json(manifest.created_at),
    }


def _pinned_document(table: PinnedTable) -> Document:
    return {
        "table": table.table,
        "view": table.view,
        "fingerprint": table.fingerprint,
        "version": table.version,
        "answers_until": moment_json(table.answers_until),
        "source_versions": [list(version) for version in table.source_versions],
    }


def _profile_document(profile: ColumnProfile) -> Document:
    return {
        "name": profile.name,
        "dtype": profile.dtype,
        "nulls": profile.nulls,
        "minimum": value_json(profile.minimum),
        "maximum": value_json(profile.maximum),
        "mean": value_json(profile.mean),
    }


def known_document(report: KnownReport) -> Document:
    return {
        "rows": report.rows,
        "cells": report.cells,
        "differing": report.differing,
        "features": [
            {"name": one.name, "reference": one.reference, "differing": one.differing} for one in report.features
        ],
    }


def lineage_document(tree: LineageTree) -> Document:
    return {
        "urn": tree.urn,
        "kind": tree.kind.value,
        "repeated": tree.repeated,
        "branches": [lineage_document(branch) for branch in tree.branches],
    }


def status_document(status: ViewStatus) -> Document:
    return {
        "view": status.view,
        "table": status.table,
        "version": status.version,
        "rows": status.rows,
        "offline_to": moment_json(status.offline_to),
        "online_to": moment_json(status.online_to),
        "late_rows": status.late_rows,
        "held_rows": status.held_rows,
        "filled_ahead": moment_json(status.filled_ahead),
        "publish_delay": duration_json(status.publish_delay),
        "true_publish_delay": None if status.true_delay is None else _delay_document(status.true_delay),
        "exceeds_declared": status.exceeds_declared,
    }


def _delay_document(delay: PublishDelay) -> Document:
    return {
        "median_seconds": delay.median.total_seconds(),
        "worst_seconds": delay.worst.total_seconds(),
        "runs": delay.runs,
    }


def skew_document(report: SkewReport) -> Document:
    """Values travel beside their types, so that a client can give them back exactly."""
    return {
        "rows": report.rows,
        "first": moment_json(report.first),
        "last": moment_json(report.last),
        "features": [_feature_skew_document(feature) for feature in report.features],
    }


def _feature_skew_document(feature: FeatureSkew) -> Document:
    return {
        "reference": feature.reference,
        "dtype": feature.dtype.value,
        "fingerprint": feature.fingerprint,
        "applied_fingerprint": feature.applied,
        "compared": feature.compared,
        "differing": feature.differing,
        "rate": feature.rate,
        "ahead": feature.ahead,
        "gone": feature.gone,
        "why_gone": feature.why_gone,
        "examples": [_skew_example_document(example) for example in feature.examples],
    }


def _skew_example_document(example: SkewExample) -> Document:
    return {
        "request": example.request,
        "requested_at": moment_json(example.requested_at),
        "key_columns": _columns_document(column for column, _ in example.key),
        "key": [value_json(value) for _, value in example.key],
        "status": example.status,
        "logged": value_json(example.logged),
        "expected": value_json(example.expected),
    }


def catalog_document(applied: AppliedGraph) -> Document:
    """Everything that is applied, by kind."""
    graph = applied.graph
    return {
        "serial": applied.serial,
        "applied_at": moment_json(applied.applied_at),
        "entities": [
            {
                "name": entity.name,
                "keys": _columns_document(entity.keys),
                "description": entity.description,
                "owner": entity.owner,
                "tags": list(entity.tags),
            }
            for entity in graph.entities
        ],
        "sources": [_source_document(source) for source in graph.sources],
        "views": [_view_document(view) for view in graph.views],
        "on_demand": _on_demand_documents(graph),
        "services": [_service_document(graph, service) for service in graph.services],
    }


def _columns_document(columns: Iterable[Column]) -> list[Json]:
    return [{"name": column.name, "dtype": column.dtype.value} for column in columns]


def _source_document(source: ResolvedSource) -> Document:
    return {
        "name": source.name,
        "kind": source.kind.value,
        "path": source.path,
        "event_timestamp": source.event_timestamp,
        "known_at": source.known_at,
        "delay": duration_json(source.delay),
        "removed_rows": source.removed_rows.value,
        "columns": [{"name": field.name, "type": field.type} for field in source.fields],
        "description": source.description,
        "owner": source.owner,
    }


def _view_document(view: ResolvedView) -> Document:
    return {
        "name": view.name,
        "table": view.table,
        "fingerprint": view.fingerprint,
        "entity": view.entity,
        "keys": _columns_document(view.keys),
        "sources": [source.name for source in view.sources],
        "upstreams": [upstream.name for upstream in view.upstreams],
        "every": duration_json(view.every),
        "ttl": duration_json(view.ttl),
        "publish_delay": duration_json(view.publish_delay),
        "lateness": duration_json(view.lateness),
        "features": [_feature_document(view, feature) for feature in view.features],
        "description": view.description,
        "owner": view.owner,
        "tags": list(view.tags),
    }


def _feature_document(view: ResolvedView, feature: ResolvedFeature) -> Document:
    return {
        "name": feature.name,
        "reference": f"{view.name}:{feature.name}",
        "dtype": feature.dtype.value,
        "fingerprint": feature.fingerprint,
        "window": duration_json(feature.window.window) if feature.window else None,
        "description": feature.description,
    }


def _on_demand_documents(graph: Graph) -> list[Json]:
    return [
        {
            "name": feature.name,
            "expression": feature.expression,
            "dtype": feature.dtype.value,
            "inputs": _columns_document(feature.inputs),
            "features": list(feature.features),
            "fingerprint": feature.fingerprint,
            "description": feature.description,
            "owner": feature.owner,
            "tags": list(feature.tags),
        }
        for feature in graph.on_demand
    ]


def _service_document(graph: Graph, service: ServiceEntry) -> Document:
    """`inputs` are the columns that a spine or an online request brings: keys, and what on-demand features read."""
    chosen = service_features(graph, service.name)
    return {
        "name": service.name,
        "features": list(service.members),
        "inputs": _columns_document(dict.fromkeys((*chosen.join_columns, *chosen.request_inputs))),
        "description": service.description,
        "owner": service.owner,
        "tags": list(service.tags),
    }
