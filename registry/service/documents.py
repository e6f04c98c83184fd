"""The registry's records as JSON documents, and a registration back from one."""

from __future__ import annotations

from featurestore.service.wire import Document, Json, moment_json, pairs_json
from registry.operations.read_models import ModelOverview
from registry.records import Alias, ModelVersion, RegisteredModel, Signature


def model_document(model: RegisteredModel) -> Document:
    return {
        "name": model.name,
        "created_at": moment_json(model.created_at),
        "owner": model.owner,
        "description": model.description,
        "tags": dict(model.tags),
    }


def overview_document(overview: ModelOverview) -> Document:
    """A model with its versions, oldest first, and its aliases."""
    return {
        **model_document(overview.model),
        "versions": [version_document(version) for version in overview.versions],
        "aliases": [alias_document(alias) for alias in overview.aliases],
    }


def alias_document(alias: Alias) -> Document:
    return {
        "model": alias.model,
        "name": alias.name,
        "version": alias.version,
        "moved_at": moment_json(alias.moved_at),
        "moved_by": alias.moved_by,
    }


def version_document(version: ModelVersion) -> Document:
    return {
        "model": version.model,
        "version": version.version,
        "reference": version.reference,
        "dataset": version.dataset,
        "no_dataset_reason": version.no_dataset_reason,
        "artifact": {
            "sha256": version.artifact.sha256,
            "size": version.artifact.size,
            "file_name": version.artifact.file_name,
        },
        "features": [
            {"reference": used.reference, "column": used.column, "fingerprint": used.fingerprint}
            for used in version.features
        ],
        "tables": [{"table": used.table, "version": used.version} for used in version.tables],
        "params": dict(version.params),
        "metrics": pairs_json(version.metrics),
        "environment": dict(version.environment),
        "code_commit": version.code_commit,
        "run_id": version.run_id,
        "signature": _signature_document(version.signature),
        "description": version.description,
        "tags": dict(version.tags),
        "registered_by": version.registered_by,
        "registered_at": moment_json(version.registered_at),
        "key": version.key,
    }


def _signature_document(signature: Signature | None) -> Json:
    if signature is None:
        return None
    return {
        "inputs": [{"name": column.name, "type": column.type} for column in signature.inputs],
        "outputs": [{"name": column.name, "type": column.type} for column in signature.outputs],
    }
