"""Whether lookups slow down with the number of entities stored, or of views in the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.adapters.redis_address import read_address
from featurestore.adapters.redis_online import RedisOnlineStore
from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import Column
from featurestore.ports.online_store import FillRequest, OnlineTable, TableRead
from featurestore.spec.dtypes import DType
from sdk import open_project
from tests.bench.online_project import NARROW, NOW
from tests.bench.timed import REQUESTS, shown, timed
from tests.redis_server import running_redis

_ENTITIES = (10_000, 100_000, 1_000_000, 10_000_000)
_BATCH = 50_000
_VIEWS = (1, 100, 1_000)
_USERS = 1_000
_TIMES = (Column("event_timestamp", DType.TIMESTAMP), Column("known_at", DType.TIMESTAMP))


def measure_online_growth(folder: Path) -> None:
    _by_views(folder)
    print("\nreads of one key by the Redis store, by the number of entities it holds")
    columns = tuple(Column(f"value_{number}", DType.FLOAT64) for number in range(NARROW))
    table = OnlineTable("grown@00000000", (Column("user", DType.INT64),), columns)
    with running_redis("--save", "", "--appendonly", "no") as server:
        store = RedisOnlineStore(read_address(server.url), timeout_seconds=5.0)
        stored = 0
        for entities in _ENTITIES:
            fill = store.begin(FillRequest(table, NOW))
            started = perf_counter()
            store.write(fill, pa.RecordBatchReader.from_batches(_schema(table), _batches(table, stored, entities)))
            rate = (entities - stored) / (perf_counter() - started)
            store.finish(fill, NOW)
            stored = entities
            asked = np.random.default_rng(1).integers(0, entities, REQUESTS).tolist()
            seconds = timed(lambda n: store.read([TableRead(table, [(asked[n],)])]), REQUESTS)
            with server.client() as client:
                used = int(client.info("memory")["used_memory"]) / entities
            print(f"  {entities:>10,} entities: {shown(seconds)}; {used:.0f} bytes each; written at {rate:,.0f} rows/s")
        store.close()


def _by_views(folder: Path) -> None:
    """The same lookup of one view, in catalogs of a few views and of many."""
    print("\nlookups of one view by the SDK from Redis, by the number of views in the catalog")
    with running_redis("--save", "", "--appendonly", "no") as server:
        for views in _VIEWS:
            project_folder = folder / f"views_{views}"
            _write_views(project_folder, views)
            with open_project(project_folder, settings={"online": {"url": server.url}}) as project:
                for _ in project.apply():
                    pass
                for _ in project.materialize(views=["view_0"], until=NOW):
                    pass
                client = project.client
                asked = [[{"user": n % _USERS}] for n in range(REQUESTS)]
                seconds = timed(lambda n: client.online(features=["view_0:*"], entities=asked[n]), REQUESTS)
            print(f"  {views:>10,} views: {shown(seconds)}", flush=True)


def _write_views(folder: Path, views: int) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "definitions").mkdir()
    moments = pa.array([NOW - timedelta(minutes=90)] * _USERS, pa.timestamp("us", tz="UTC"))
    columns = {f"value_{number}": np.random.default_rng(number).normal(size=_USERS) for number in range(NARROW)}
    pq.write_table(pa.table({"user": np.arange(_USERS), "happened": moments, **columns}), folder / "data/rows.parquet")
    names = list(columns)
    lines = [
        "import featurestore as fs",
        'user = fs.Entity("user", join_keys={"user": fs.Int64})',
        'rows = fs.ParquetSource("rows", path="rows.parquet", event_timestamp="happened")',
        *(f'v{n} = fs.FeatureView("view_{n}", entity=user, source=rows, features={names})' for n in range(views)),
        "",
    ]
    (folder / "definitions" / "bench.py").write_text("\n".join(lines))
    (folder / "knownat.toml").write_text(f'name = "views{views}"\nclock = "{NOW.isoformat()}"\n')


def _schema(table: OnlineTable) -> pa.Schema:
    return arrow_schema((*table.keys, *_TIMES, *table.values))


def _batches(table: OnlineTable, start: int, end: int) -> Iterator[pa.RecordBatch]:
    random = np.random.default_rng(5)
    schema = _schema(table)
    for first in range(start, end, _BATCH):
        count = min(_BATCH, end - first)
        moments = pa.repeat(pa.scalar(NOW, schema.field("known_at").type), count)
        values = [pa.array(random.normal(size=count)) for _ in table.values]
        users = pa.array(np.arange(first, first + count))
        yield pa.RecordBatch.from_arrays([users, moments, moments, *values], schema=schema)
