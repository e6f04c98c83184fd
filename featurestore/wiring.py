"""The one place that knows the concrete classes: settings to adapters to what operations are given."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from featurestore.adapters.addresses import engine_folder, sqlite_address, table_address
from featurestore.adapters.csv_source import CsvSources
from featurestore.adapters.definitions_folder import DefinitionsFolder
from featurestore.adapters.delta_log import DeltaLog
from featurestore.adapters.delta_offline import DeltaOfflineStore
from featurestore.adapters.delta_source import DeltaSources
from featurestore.adapters.delta_streamed_frames import DeltaStreamedFrames
from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.file_locks import FileLocks
from featurestore.adapters.late_log_shelf import LateLogShelf
from featurestore.adapters.local_objects import LocalObjects
from featurestore.adapters.local_table_files import LocalTableFiles
from featurestore.adapters.marked_places import MarkedFolder, MarkedRedis, MarkedRedisCluster, MarkedSqlite
from featurestore.adapters.merge_join import MergeJoin
from featurestore.adapters.parquet_source import ParquetSources
from featurestore.adapters.plan_memory_file import PlanMemoryFile
from featurestore.adapters.postgres_database import Waits
from featurestore.adapters.postgres_source import PostgresSources
from featurestore.adapters.queued_serving_log import LogBounds, QueuedServingLog
from featurestore.adapters.redis_address import TlsFiles, read_address
from featurestore.adapters.redis_cluster_online import AsyncRedisClusterReader, RedisClusterStore
from featurestore.adapters.redis_online import AsyncRedisReader, RedisOnlineStore
from featurestore.adapters.redis_stream import Membership, Pace, RedisStream
from featurestore.adapters.s3_storage import S3Storage
from featurestore.adapters.sealed_delta import SealedTables
from featurestore.adapters.source_files import SourceFiles
from featurestore.adapters.source_kinds import SourceKinds
from featurestore.adapters.sql_commits import SqlCommits
from featurestore.adapters.sql_database import Database, upgrade
from featurestore.adapters.sql_identity import SqlIdentity
from featurestore.adapters.sql_publications import SqlPublications
from featurestore.adapters.sql_state import SqlCatalog, SqlCoverage, SqlDatasets, SqlMaterializations
from featurestore.adapters.sql_tables import STATE_MIGRATIONS
from featurestore.adapters.sqlite_online import SqliteOnlineStore
from featurestore.adapters.threaded_reader import ThreadedReader
from featurestore.errors import SettingsError
from featurestore.graph.lineage import lineage_tree
from featurestore.graph.resolved import FeatureSet
from featurestore.operations.lineage import lineage_edges
from featurestore.operations.log_answers import AnswerLog
from featurestore.operations.lookup import PreparedLookup, prepare
from featurestore.operations.make_plan import Project
from featurestore.operations.own_places import OwnPlaces
from featurestore.operations.premises import Premises, Upkeep
from featurestore.operations.prepared_lookups import NoModels, PreparedLookups
from featurestore.operations.sides import Ledger, OfflineSide, OnlineSide
from featurestore.operations.training_set import Archive
from featurestore.ports.frames import Frames
from featurestore.ports.identity import Place, ProjectIdentity
from featurestore.ports.locks import Locks
from featurestore.ports.model_usage import ModelUsage
from featurestore.ports.object_usage import ObjectUsage
from featurestore.ports.online_store import AsyncOnlineReader
from featurestore.ports.serving_log import LogShelf
from featurestore.service.served import LoopReaders, ServedFeatures
from featurestore.settings import S3Settings, Settings, machine_clock

_PLAN_MEMORY = ".knownat/plan-memory"
"""Never read by another machine, and rightly removed at any time: there is nothing to configure."""

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class FeatureStore:
    """A project's feature store, wired: what operations are called with. Close it when done."""

    settings: Settings
    project: Project
    offline: OfflineSide
    online: OnlineSide
    archive: Archive
    locks: Locks
    frames: Frames
    upkeep: Upkeep
    open_reader: Callable[[], AsyncOnlineReader]
    clock: Clock
    serving_log: AnswerLog
    close: Callable[[], None]
    prepare: Callable[[FeatureSet], PreparedLookup]
    """Lookups of these features. Raises ProjectsMixed when the online store is another project's."""

    @property
    def premises(self) -> Premises:
        """What verifying and collecting garbage look at."""
        folders = self.settings.path(self.settings.offline.frames), self.settings.path(self.settings.serving_log.path)
        kept_rows = (
            SealedTables(folders[0], "the rows pushed to", keeps_log=True),
            SealedTables(folders[1], "the serving log", keeps_log=False),
        )
        return Premises(self.project, self.offline, self.online, self.archive, self.upkeep, kept_rows)


def check_folders(settings: Settings) -> None:
    """Raises SettingsError when tables, or what the engine spills, can not lie where the settings have them."""
    for folder in (settings.offline.tables, settings.offline.frames, settings.serving_log.path):
        table_address(settings.path(folder))
    engine_folder(settings.path(settings.engine.spill_folder))


def open_database(settings: Settings) -> Database:
    """The project's state database, at its newest layout."""
    url = settings.state.url.get_secret_value()
    path = settings.path(settings.state.path)
    if not url:
        _make_folder(path.parent, "state.path")
    state = settings.state
    waits = Waits(state.lock_seconds, state.statement_seconds, state.retry_seconds)
    database = Database(url or sqlite_address(path), waits)
    upgrade(database, STATE_MIGRATIONS)
    return database


def wire(settings: Settings, database: Database, usage: ModelUsage, objects: ObjectUsage) -> FeatureStore:
    """The feature store of these settings, with state in `database`. Raises ProjectsMixed."""
    places = _places(settings, database)
    places.check_folders()
    engine = _engine(settings)
    joins = MergeJoin(threads=settings.engine.threads)
    store, address, open_reader = _online_store(settings)
    tables = settings.path(settings.offline.tables)
    datasets, commits = SqlDatasets(database), SqlCommits(database)
    shelf = LocalObjects(settings.path(settings.offline.objects))
    frames = DeltaStreamedFrames(settings.path(settings.offline.frames))
    clock = _clock(settings)

    serving_log = _serving_log(settings)

    def close() -> None:
        serving_log.log.close()
        store.close()
        joins.close()
        engine.close()
        database.close()

    return FeatureStore(
        settings=settings,
        project=Project(
            DefinitionsFolder(settings.path(settings.definitions), seconds=settings.definitions_seconds),
            SqlCatalog(database),
            datasets,
            usage,
            PlanMemoryFile(settings.path(_PLAN_MEMORY)),
        ),
        offline=OfflineSide(
            engine,
            DeltaOfflineStore(tables),
            _sources(settings, frames),
            SqlCoverage(database),
            joins,
            Ledger(DeltaLog(tables), LocalTableFiles(tables), commits),
            settings.engine.workers,
            _once(places.claim),
            clock,
        ),
        online=OnlineSide(
            store,
            SqlMaterializations(database),
            SqlPublications(database),
            address,
            clock,
            _once(places.claim, places.claim_online),
            places.check,
        ),
        archive=Archive(datasets, shelf),
        locks=FileLocks(settings.path(settings.offline.locks)),
        frames=frames,
        upkeep=Upkeep(shelf, objects, commits),
        open_reader=open_reader,
        clock=clock,
        serving_log=serving_log,
        close=close,
        prepare=_checked(places, engine),
    )


def _engine(settings: Settings) -> DuckDBEngine:
    spill_folder = settings.path(settings.engine.spill_folder)
    _make_folder(spill_folder, "engine.spill_folder")
    return DuckDBEngine(
        memory_limit=settings.engine.memory_limit,
        threads=settings.engine.threads,
        spill_folder=spill_folder,
        understanding_seconds=settings.definitions_seconds,
    )


def _places(settings: Settings, database: Database) -> OwnPlaces:
    """Everything that this project writes to, and whose its state says it is."""
    state = SqlIdentity(database)
    here = f"{settings.folder} on {socket.gethostname()}"
    written = [
        (settings.offline.tables, "tables", "[offline] tables"),
        (settings.offline.frames, "pushed frames", "[offline] frames"),
        (settings.offline.objects, "spines, results and artifacts", "[offline] objects"),
    ]
    if settings.path(settings.serving_log.path).is_dir():  # it is made by the first flush, which nothing holds up
        written.append((settings.serving_log.path, "the serving log", "[serving_log] path"))
    folders = tuple(MarkedFolder(settings.path(path), what, setting) for path, what, setting in written)
    return OwnPlaces(
        state=state,
        state_name=f"the state {database.name}",
        identity=state.identity(ProjectIdentity(uuid4().hex, settings.name, here)),
        here=here,
        tables=folders[0],
        folders=folders,
        online=_marked_online(settings),
        lacks_tables=lambda: _lacks_tables(
            SqlCatalog(database), DeltaOfflineStore(settings.path(settings.offline.tables))
        ),
    )


def _lacks_tables(catalog: SqlCatalog, tables: DeltaOfflineStore) -> bool:
    applied = catalog.current()
    views = () if applied is None else applied.graph.views
    return bool(views) and not any(tables.exists(view.table) for view in views)


def _marked_online(settings: Settings) -> Place:
    url = settings.online.url.get_secret_value()
    if not url:
        return MarkedSqlite(settings.path(settings.online.path))
    address = read_address(url, _tls_files(settings))
    return (MarkedRedisCluster if address.is_cluster else MarkedRedis)(address, settings.name)


def _once(*claims: Callable[[], None]) -> Callable[[], None]:
    """What is claimed stays so: every push would ask again."""
    is_done = False

    def run() -> None:
        nonlocal is_done
        if not is_done:
            for claim in claims:
                claim()
            is_done = True

    return run


def _checked(places: OwnPlaces, engine: DuckDBEngine) -> Callable[[FeatureSet], PreparedLookup]:
    """Prepares lookups, of no other project's rows."""

    def run(features: FeatureSet) -> PreparedLookup:
        places.check_online()
        return prepare(features, engine=engine)

    return run


def open_stream(settings: Settings, member: Membership) -> RedisStream:
    """The stream as this member of a group reads it. Raises SettingsError when no Redis is named."""
    wanted = settings.streams
    online = settings.online.url.get_secret_value()
    url = wanted.url.get_secret_value() or (online if online.startswith(("redis://", "rediss://", "unix://")) else "")
    if not url:
        raise SettingsError(
            "Streams are read from Redis, and the settings name none: set KNOWNAT_STREAMS__URL=redis://host:6379/0 in "
            "the environment, or keep the online store in Redis, which is then read from, too."
        )
    pace = Pace(
        gather=timedelta(seconds=wanted.gather_seconds),
        claim_after=timedelta(seconds=wanted.claim_seconds),
        timeout=timedelta(seconds=wanted.timeout_seconds),
    )
    address = read_address(url, _tls_files(settings) if url.startswith("rediss") else None)
    if address.is_cluster:
        raise SettingsError("Streams are read from one Redis, not from a cluster: set KNOWNAT_STREAMS__URL to it.")
    return RedisStream(address, member, pace)


def served_features(store: FeatureStore) -> ServedFeatures:
    """The feature store as it is served alone, without a registry above it."""
    catalog, datasets = store.project.catalog, store.archive.datasets
    return ServedFeatures(
        catalog=catalog,
        offline=store.offline,
        online=store.online,
        archive=store.archive,
        frames=store.frames,
        lookups=PreparedLookups(catalog, NoModels(), store.prepare),
        readers=LoopReaders(store.open_reader),
        lineage=lambda urn, direction: lineage_tree(lineage_edges(catalog, datasets), urn, direction),
        clock=store.clock,
        serving_log=store.serving_log,
    )


def _make_folder(folder: Path, setting: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"The folder {folder} of the setting {setting} can not be made: {error.strerror}."
        ) from error


def _clock(settings: Settings) -> Clock:
    fixed = settings.clock
    return machine_clock if fixed is None else lambda: fixed


def _sources(settings: Settings, frames: DeltaStreamedFrames) -> SourceKinds:
    folder = settings.path(settings.data_folder)
    storage = _storage(settings.s3)
    files = SourceFiles(folder, storage)
    addresses = {name.lower(): address.get_secret_value() for name, address in settings.connections.items()}
    return SourceKinds(
        ParquetSources(files),
        CsvSources(files),
        DeltaSources(folder, storage.delta_options()),
        PostgresSources(addresses),
        frames,
    )


def _serving_log(settings: Settings) -> AnswerLog:
    """Whoever logs has all that it takes from the start: what waits is written when the program ends, which is too late
    to load a library."""
    log = settings.serving_log

    def make_shelf() -> LogShelf:
        from featurestore.adapters.delta_serving_log import DeltaLogShelf

        return DeltaLogShelf(settings.path(log.path))

    shelf = make_shelf() if log.sample else LateLogShelf(make_shelf)
    bounds = LogBounds(log.most_waiting, log.flush_seconds, log.rows_per_file)
    return AnswerLog(QueuedServingLog(shelf, bounds), shelf, log.sample)


def _storage(settings: S3Settings) -> S3Storage:
    return S3Storage(
        endpoint=settings.endpoint,
        region=settings.region,
        access_key=settings.access_key.get_secret_value(),
        secret_key=settings.secret_key.get_secret_value(),
        session_token=settings.session_token.get_secret_value(),
        timeout_seconds=settings.timeout_seconds,
    )


def _tls_files(settings: Settings) -> TlsFiles:
    written = (settings.online.ca_file, settings.online.certificate_file, settings.online.key_file)
    return TlsFiles(*(settings.path(file) if file else None for file in written))


def _online_store(
    settings: Settings,
) -> tuple[RedisOnlineStore | RedisClusterStore | SqliteOnlineStore, str, Callable[[], AsyncOnlineReader]]:
    """The online store, the address under which state remembers how far it is filled, and readers for event loops."""
    url = settings.online.url.get_secret_value()
    if not url:
        path = settings.path(settings.online.path)
        _make_folder(path.parent, "online.path")
        embedded = SqliteOnlineStore(path)
        return embedded, f"sqlite:{settings.online.path}", lambda: ThreadedReader(embedded)
    name, seconds, redis = settings.name, settings.online.timeout_seconds, read_address(url, _tls_files(settings))
    kind = RedisClusterStore if redis.is_cluster else RedisOnlineStore
    store = kind(redis, namespace=name, timeout_seconds=seconds)

    def open_reader() -> AsyncOnlineReader:
        kind = AsyncRedisClusterReader if redis.is_cluster else AsyncRedisReader
        return kind(redis, namespace=name, timeout_seconds=seconds)

    return store, f"{store.address}/{name}", open_reader
