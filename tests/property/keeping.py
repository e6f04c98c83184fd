"""Random histories of a small project, whose every step a person could take: the world of the property that nothing
pinned is ever lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from featurestore.adapters.memory_commits import MemoryCommits
from featurestore.adapters.memory_objects import MemoryObjects
from featurestore.errors import DatasetInUse
from featurestore.operations.apply import apply
from featurestore.operations.collect_garbage import GarbageRequest, collect_garbage, find_garbage
from featurestore.operations.delete_dataset import delete_dataset
from featurestore.operations.fill_views import FillRequest, fill_views
from featurestore.operations.garbage import GarbagePlan
from featurestore.operations.make_plan import Project, make_plan
from featurestore.operations.materialize import MaterializeRequest, materialize
from featurestore.operations.premises import Premises, Upkeep
from featurestore.operations.served_views import served_views
from featurestore.operations.training_set import TrainingSetRequest, training_set
from featurestore.ports.engine import Engine
from featurestore.ports.online_store import OnlineTable, TableRead
from featurestore.ports.state import Manifest
from featurestore.spec.aggregate import Aggregate
from featurestore.spec.declarations import Declaration
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from registry.adapters.artifact_users import RegisteredArtifacts
from registry.adapters.dataset_users import RegisteredDatasetUsers
from registry.adapters.memory_models import MemoryAliases, MemoryModels
from registry.operations.register_model import register_model
from registry.ports import RegistryStores
from registry.records import RegistrationRequest
from tests.property.project import Declared, SmallProject, open_small_project

START = datetime(2024, 2, 28, tzinfo=UTC)
HOUR = timedelta(hours=1)
MOMENT = pa.timestamp("us", tz="UTC")
FAR_AHEAD = datetime(2200, 1, 1, tzinfo=UTC)
"""By the clock that tells how old files are: all of them are old enough to go."""


def definitions(variant: int) -> tuple[Declaration, ...]:
    """What somebody came to declare: another hop, another window, another query, another set of views."""
    thing = Entity("thing", join_keys={"k": DType.STRING})
    events = ParquetSource("events", path="events/*.parquet", event_timestamp="at")
    windowed = FeatureView(
        "windowed", entity=thing, source=events, every="2h" if variant % 2 else "1h",
        features=[Aggregate("x", "sum", windows=["4h", "1d"] if variant % 3 else ["6h"])],
    )  # fmt: skip
    rows = FeatureView(
        "rows", entity=thing, sql=f"SELECT k, at AS event_timestamp, x * {variant % 4 + 1} AS y FROM events"
    )
    return (thing, events, windowed, rows) if variant % 5 else (thing, events, windowed)


@dataclass
class World:
    """A project, its registry, and the dice that decide what happens next."""

    small: SmallProject
    chance: random.Random
    now: datetime = START + 6 * HOUR
    models: MemoryModels = field(default_factory=MemoryModels)
    files: int = 0
    variant: int = 1
    done: list[str] = field(default_factory=list)

    @classmethod
    def begun(cls, folder: Path, engine: Engine, seed: int) -> World:
        """With a source and the first definitions applied."""
        world = cls(open_small_project(folder, engine), random.Random(seed))
        world.append()
        world.apply()
        return world

    @property
    def registry(self) -> RegistryStores:
        archive = self.small.archive
        return RegistryStores(self.models, MemoryAliases(self.models), archive.objects, archive.datasets)

    @property
    def project(self) -> Project:
        usage = RegisteredDatasetUsers(self.models, MemoryAliases(self.models))
        return Project(Declared(*definitions(self.variant)), self.small.catalog, self.small.archive.datasets, usage)

    @property
    def premises(self) -> Premises:
        commits, objects = self.small.offline.ledger.commits, self.small.archive.objects
        assert isinstance(commits, MemoryCommits)
        assert isinstance(objects, MemoryObjects)
        upkeep = Upkeep(objects, RegisteredArtifacts(self.models), commits)
        return Premises(self.project, self.small.offline, self.small.online, self.small.archive, upkeep)

    def step(self) -> None:
        """One thing that somebody does."""
        actions: list[Callable[[], object]] = [
            self.append, self.append, self.change, self.backfill, self.backfill, self.recompute, self.materialize,
            self.pull, self.pull, self.pull, self.register, self.delete, self.delete, self.killed, self.collect,
        ]  # fmt: skip
        action = self.chance.choice(actions)
        self.done.append(action.__name__)
        self.now += self.chance.choice([timedelta(0), HOUR, 5 * HOUR])
        action()

    def append(self) -> None:
        """A new file of the source, some of whose rows are of the past."""
        self.files += 1
        count = self.chance.randrange(1, 6)
        late = [timedelta(minutes=self.chance.randrange(0, 3000)) for _ in range(count)]
        rows = {
            "k": pa.array([self.chance.choice(["a", "b", "c", None]) for _ in range(count)], pa.string()),
            "at": pa.array([max(START, self.now - offset) for offset in late], MOMENT),
            "x": pa.array([self.chance.choice([0.1, -7.5, 1e9, None, 3.0]) for _ in range(count)], pa.float64()),
        }
        self.small.write(f"events/{self.files:04d}.parquet", pa.table(rows))

    def apply(self) -> None:
        plan = make_plan(self.project, self.small.offline, self.small.online, now=self.now)
        days = self.chance.choice([1, 31])
        for _ in apply(plan, self.small.catalog, self.small.offline, self.small.online, now=self.now, chunk_days=days):
            pass

    def change(self) -> None:
        """Other definitions, now and then those of before."""
        self.variant = self.chance.randrange(1, 7)
        self.apply()

    def backfill(self) -> None:
        self._fill(recompute=False)

    def recompute(self) -> None:
        self._fill(recompute=True)

    def _fill(self, *, recompute: bool) -> None:
        request = FillRequest(served_views(self.project), recompute=recompute)
        for _ in fill_views(request, self.small.offline, now=self.now):
            pass

    def materialize(self) -> None:
        for view in served_views(self.project):
            materialize(MaterializeRequest(view, self.now), self.small.offline, self.small.online, now=self.now)

    def pull(self) -> None:
        view = self.chance.choice(self.small.graph.views)
        count = self.chance.randrange(1, 4)
        spine = pa.table(
            {
                "k": pa.array([self.chance.choice(["a", "b", "d"]) for _ in range(count)], pa.string()),
                "at": pa.array([self.now - self.chance.randrange(0, 40) * HOUR for _ in range(count)], MOMENT),
            }
        )
        features = self.small.features(f"{view.name}:*")
        request = TrainingSetRequest(spine, features, timestamp="at")
        training_set(request, self.small.offline, self.small.archive, now=self.now)

    def register(self) -> None:
        if (dataset := self._some_dataset()) is not None:
            request = RegistrationRequest(model=self.chance.choice("mn"), file_name="model.bin", dataset=dataset.id)
            content = BytesIO(self.chance.randbytes(3))
            register_model(request, content, self.registry, self.now)

    def delete(self) -> None:
        """A dataset, unless a model was trained on it."""
        if (dataset := self._some_dataset()) is not None:
            with suppress(DatasetInUse):
                delete_dataset(dataset.id, self.project)

    def killed(self) -> None:
        """A writer is stopped between its files and its commit."""
        table = self.chance.choice(self.small.graph.views).table
        folder = Path(self.small.offline.tables.staging_folder(table)) / "event_day=2024-02-28"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.chance.randrange(10**9)}.parquet#1").write_bytes(b"PAR1")

    def collect(self) -> GarbagePlan:
        """All that may go, however young it is."""
        request = GarbageRequest(self.now, FAR_AHEAD, timedelta(0))
        plan = find_garbage(request, self.premises)
        for _ in collect_garbage(plan, self.premises):
            pass
        return plan

    def datasets(self) -> tuple[Manifest, ...]:
        return self.small.archive.datasets.all()

    def _some_dataset(self) -> Manifest | None:
        return self.chance.choice(self.datasets()) if self.datasets() else None


def needed_files(world: World) -> set[Path]:
    """Every data file that must be there, as delta-rs itself tells: of the newest version and of each pinned one of
    every table that is applied or pinned."""
    wanted = {(view.table, None) for view in world.small.graph.views}
    wanted |= {(pinned.table, None) for one in world.datasets() for pinned in one.tables}
    pinned = {(pinned.table, pinned.version) for one in world.datasets() for pinned in one.tables}
    files: set[Path] = set()
    for table, version in wanted | pinned:
        folder = Path(world.small.offline.tables.staging_folder(table))
        files |= {Path(uri.removeprefix("file://")) for uri in DeltaTable(str(folder), version=version).file_uris()}
    return files


def stored_files(world: World) -> set[Path]:
    """Every file there is but the logs."""
    root = world.small.data.parent / "tables"
    return {path for path in root.rglob("*") if path.is_file() and "_delta_log" not in path.parts}


def needed_objects(world: World) -> set[str]:
    datasets = {sha256 for one in world.datasets() for sha256 in (one.result, one.spine)}
    return datasets | {use.sha256 for use in RegisteredArtifacts(world.models).objects()}


def online_tables_of_nobody(world: World) -> list[str]:
    """Tables the online store still has although no applied view and no model asks for them."""
    asked = {view.table for view in served_views(world.project)}
    every = {view.table: view for one in world.small.catalog.history() for view in one.graph.views}
    unasked = [view for table, view in every.items() if table not in asked]
    answers = world.small.online.store.read([TableRead(OnlineTable.of(view), []) for view in unasked])
    return [view.table for view, answer in zip(unasked, answers, strict=True) if answer.filled is not None]
