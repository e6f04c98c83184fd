"""Feast as a contender, in an environment of its own (`make bench-peers`): nothing of Knownat is imported here."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64

from tests.bench.contender import KEPT, Contender, Task


def duckdb_store(task: Task) -> Contender:
    return _contender(task, "duckdb")


def default_store(task: Task) -> Contender:
    return _contender(task, "dask")


def _contender(task: Task, kind: str) -> Contender:
    store = _store(task, kind)
    views = _views(task)
    store.apply([Entity(name="user", join_keys=["user"]), *views])
    wanted = [f"{view.name}:{field.name}" for view in views for field in view.schema if field.name != "user"]
    names = [name.replace(":", "__") for name in wanted]
    spine = pd.read_parquet(task.spine)
    spine["row"] = range(len(spine))
    dropped = 0

    def run() -> pa.Table:
        nonlocal dropped
        pulled = store.get_historical_features(entity_df=spine, features=wanted, full_feature_names=True).to_arrow()
        dropped = len(spine) - pulled.num_rows
        # Feast keeps neither the order nor, in its default store, rows for which a view has only expired values.
        at = pc.index_in(pa.array(range(len(spine))), value_set=pulled["row"].combine_chunks())
        return pulled.select(names).take(at).append_column(KEPT, at.is_valid())

    return Contender(run, notes=lambda: {"rows dropped": dropped})


def _store(task: Task, kind: str) -> FeatureStore:
    folder = task.folder / f"feast-{kind}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    config = RepoConfig(
        project="bench", provider="local", registry=str(folder / "registry.db"), offline_store={"type": kind},
        online_store={"type": "sqlite", "path": str(folder / "online.db")}, repo_path=folder,
    )  # fmt: skip
    return FeatureStore(config=config)


def _views(task: Task) -> list[FeatureView]:
    user = Entity(name="user", join_keys=["user"])
    views = []
    for folder in sorted((task.folder / "data").iterdir()):
        values = [name for name in pq.read_schema(folder / "0000.parquet").names if name.startswith("value")]
        source = FileSource(name=folder.name, path=str(folder / "0000.parquet"), timestamp_field="happened")
        schema = [Field(name=value, dtype=Float64) for value in values]
        view = folder.name.replace("source", "view")
        views.append(FeatureView(name=view, entities=[user], ttl=timedelta(days=7), schema=schema, source=source))
    return views
