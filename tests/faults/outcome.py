"""What a project holds, as plain values that can be compared: an interrupted one must hold what any other does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq

from featurestore.ports.offline_store import OfflineStore
from registry.wiring import WiredProject, open_project
from sdk.project import Project
from tests.faults.story import Step, settings_of

SHOPS: list[dict[str, object]] = [
    {"shop": name, "basket": 2.0} for name in ("alma", "ботик", "café 東京", "closed", "new", "nobody")
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Every row with all its bits (the text of a float names one float), and what is said about them."""

    rows: Mapping[str, tuple[str, ...]]
    covered: Mapping[str, str]
    online: str
    published: Mapping[str, datetime]
    datasets: tuple[tuple[str, int], ...]
    models: tuple[str, ...]


def outcome(folder: Path, step: Step, settings: Mapping[str, object]) -> Outcome:
    """Look at everything, and see on the way that whatever is recorded can be read."""
    wired = open_project(folder, settings_of(step, settings))
    with Project(wired) as project:
        _check_models(project, wired)
        applied = wired.features.project.catalog.current()
        assert applied is not None
        offline, online = wired.features.offline, wired.features.online
        served = project.client.online(service="shops_v1", entities=SHOPS)
        found = [project.client.rebuild(str(dataset["id"])) for dataset in project.client.datasets()]
        return Outcome(
            rows={view.table: _rows(offline.tables, view.table) for view in applied.graph.views},
            covered={view.table: str(offline.coverage.coverage(view.table).covered) for view in applied.graph.views},
            online=repr(
                [(column.name, column.values, column.statuses, column.event_timestamps) for column in served.details]
            ),
            published={
                view.table: max(run.filled_to for run in online.publications.published(online.address, view.table).runs)
                for view in applied.graph.views
            },
            datasets=tuple((dataset.sha256, dataset.rows) for dataset in found),
            models=tuple(
                repr((version["artifact"], version["features"], version["dataset"] is not None))
                for model in project.client.models.list()
                for version in _registered(project, model.name)
            ),
        )


def _rows(tables: OfflineStore, table: str) -> tuple[str, ...]:
    files = tables.snapshot(table).files.paths
    return tuple(sorted(repr(row) for file in files for row in pq.read_table(file, partitioning=None).to_pylist()))


def _registered(project: Project, model: str) -> tuple[Mapping[str, object], ...]:
    found = project.client.models.get(model)
    return tuple(found["versions"])


def _check_models(project: Project, wired: WiredProject) -> None:
    """Every registered model resolves to artifact, feature set, table versions and readable files, without holes."""
    for model in project.client.models.list():
        versions = wired.registry.models.versions(model.name)
        assert [version.version for version in versions] == list(range(1, len(versions) + 1))
        for version in versions:
            digest = sha256(b"".join(wired.registry.objects.read(version.artifact.sha256))).hexdigest()
            assert digest == version.artifact.sha256
            assert version.dataset is not None
            manifest = wired.registry.datasets.get(version.dataset)
            assert [output.fingerprint for output in manifest.features.outputs] == [
                feature.fingerprint for feature in version.features
            ]
            for used in version.tables:
                assert used.version in {pinned.version for pinned in manifest.tables if pinned.table == used.table}
                files = wired.features.offline.tables.snapshot(used.table, version=used.version).files
                assert sum(pq.read_metadata(path).num_rows for path in files.paths) > 0
