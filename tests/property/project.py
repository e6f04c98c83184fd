"""A small project with a real engine, real Parquet sources and real Delta tables; only state is in memory."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.adapters.delta_log import DeltaLog
from featurestore.adapters.delta_offline import DeltaOfflineStore
from featurestore.adapters.local_table_files import LocalTableFiles
from featurestore.adapters.memory_commits import MemoryCommits
from featurestore.adapters.memory_objects import MemoryObjects
from featurestore.adapters.memory_online import MemoryOnlineStore
from featurestore.adapters.memory_publications import MemoryPublications
from featurestore.adapters.memory_state import MemoryCatalog, MemoryCoverage, MemoryDatasets, MemoryMaterializations
from featurestore.adapters.merge_join import MergeJoin
from featurestore.graph.resolved import FeatureSet, Graph
from featurestore.graph.selection import referenced_features, service_features
from featurestore.intervals import EPOCH
from featurestore.operations.answered_rows import OnlineAnswer
from featurestore.operations.apply import apply
from featurestore.operations.lookup import Asked, lookup, prepare
from featurestore.operations.make_plan import Project, make_plan
from featurestore.operations.materialize import MaterializeRequest, materialize
from featurestore.operations.sides import Ledger, OfflineSide, OnlineSide
from featurestore.operations.training_set import Archive, TrainingSetRequest, training_set
from featurestore.plan.stages import Plan
from featurestore.plan.usage import DatasetUse
from featurestore.ports.engine import Engine
from featurestore.ports.online_store import OnlineStore
from featurestore.ports.state import Manifest
from featurestore.spec.declarations import Declaration, Declarations
from featurestore.spec.entity import Entity
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import ParquetSource
from tests.local_sources import local_sources


class Declared:
    """A DefinitionsReader of declarations that a test has at hand."""

    def __init__(self, *declarations: Declaration) -> None:
        self._declarations = declarations

    def load(self) -> Declarations:
        found = self._declarations
        return Declarations(
            entities=tuple(item for item in found if isinstance(item, Entity)),
            sources=tuple(item for item in found if isinstance(item, ParquetSource)),
            views=tuple(item for item in found if isinstance(item, FeatureView)),
            on_demand=tuple(item for item in found if isinstance(item, OnDemandFeature)),
            services=tuple(item for item in found if isinstance(item, FeatureService)),
        )


class NoUsers:
    """A ModelUsage where no model exists."""

    def users_of(self, datasets: Collection[str]) -> tuple[DatasetUse, ...]:  # noqa: ARG002 - the port's signature
        return ()


@dataclass(frozen=True)
class SmallProject:
    """Everything operations need, in one folder."""

    data: Path
    catalog: MemoryCatalog
    offline: OfflineSide
    online: OnlineSide
    archive: Archive

    @property
    def graph(self) -> Graph:
        current = self.catalog.current()
        assert current is not None
        return current.graph

    def with_workers(self, workers: int) -> SmallProject:
        """The same project, filled by so many workers."""
        return replace(self, offline=replace(self.offline, workers=workers))

    def write(self, path: str, rows: pa.Table, **options: Any) -> None:
        """Write a source's file."""
        file = self.data / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, file, **options)

    def plan(self, *declarations: Declaration, now: datetime) -> Plan:
        project = Project(Declared(*declarations), self.catalog, self.archive.datasets, NoUsers())
        return make_plan(project, self.offline, self.online, now=now)

    def apply(self, *declarations: Declaration, now: datetime, chunk_days: int = 31) -> None:
        """Plan and carry the plan out."""
        plan = self.plan(*declarations, now=now)
        for _ in apply(plan, self.catalog, self.offline, self.online, now=now, chunk_days=chunk_days):
            pass

    def service(self, name: str) -> FeatureSet:
        return service_features(self.graph, name)

    def features(self, *references: str) -> FeatureSet:
        return referenced_features(self.graph, references)

    def pull(self, spine: pa.Table, features: FeatureSet, *, now: datetime, timestamp: str = "at") -> Manifest:
        request = TrainingSetRequest(spine, features, timestamp=timestamp)
        return training_set(request, self.offline, self.archive, now=now)

    def training_set(self, spine: pa.Table, features: FeatureSet, *, now: datetime) -> pa.Table:
        """The rows of a pull, read back from the bytes that were kept."""
        return self.result(self.pull(spine, features, now=now))

    def result(self, manifest: Manifest) -> pa.Table:
        return pq.read_table(BytesIO(b"".join(self.archive.objects.read(manifest.result))))

    def stored(self, view: str) -> list[str]:
        """The rows of a view's table as they are stored, in an order of their own."""
        files = self.offline.tables.snapshot(self.graph.view(view).table).files
        rows = pa.concat_tables(
            [files.schema.empty_table(), *(_stored_file(path, files.schema) for path in files.paths)]
        )
        return sorted(map(repr, rows.to_pylist()))

    def materialize(self, until: datetime, *, full: bool = False, published_at: datetime | None = None) -> None:
        """`published_at`: what the clock says all the while, by default `until`."""
        online = replace(self.online, clock=lambda: published_at or until)
        for view in self.graph.views:
            materialize(MaterializeRequest(view, until, full), self.offline, online, now=until)

    def lookup(self, features: FeatureSet, rows: list[dict[str, object]], at: datetime) -> OnlineAnswer:
        return lookup(prepare(features, self.offline.engine), rows, Asked(at), self.online.store)


def _stored_file(path: str, schema: pa.Schema) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read().select(schema.names).cast(schema)


@contextmanager
def small_project(engine: Engine, store: OnlineStore | None = None, *, threads: int = 2) -> Iterator[SmallProject]:
    """A project in a folder of its own, which goes when the block ends: hypothesis runs one test many times."""
    folder = Path(mkdtemp(prefix="knownat-property-"))
    try:
        yield open_small_project(folder, engine, store, threads=threads)
    finally:
        shutil.rmtree(folder)


def open_small_project(
    folder: Path, engine: Engine, store: OnlineStore | None = None, *, threads: int = 2
) -> SmallProject:
    (folder / "objects").mkdir()
    return SmallProject(
        data=folder / "data",
        catalog=MemoryCatalog(),
        offline=OfflineSide(
            engine,
            DeltaOfflineStore(folder / "tables"),
            local_sources(folder / "data"),
            MemoryCoverage(),
            MergeJoin(threads=threads),
            Ledger(DeltaLog(folder / "tables"), LocalTableFiles(folder / "tables"), MemoryCommits()),
        ),
        online=_online_side(store or MemoryOnlineStore()),
        archive=Archive(MemoryDatasets(), MemoryObjects(folder / "objects")),
    )


def _online_side(store: OnlineStore) -> OnlineSide:
    """The clock stands still: tests that ask when something was published say it themselves."""
    return OnlineSide(store, MemoryMaterializations(), MemoryPublications(), "memory", lambda: EPOCH)
