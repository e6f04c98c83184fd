"""Feast's online side, in an environment of its own (`make bench-peers`), on the data of `online_project`.

`python -m tests.bench.feast_online FOLDER REDIS_PORT ENTITIES` prints what it measured as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import redis
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64, Int64

from tests.bench.online_project import NOW, SHAPES, Shape
from tests.bench.timed import REQUESTS, HttpClient, timed, wait_for

_FEW = 1_000
"""Of requests that take tens of milliseconds."""


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    entities = int(sys.argv[3])
    server = redis.Redis(port=port)
    store = _store(folder, port)
    measured = [_materialized(store, server, folder, shape, entities) for shape in (SHAPES[0], SHAPES[2])]
    views = {view: shape.features for shape in SHAPES for view in shape.views}
    user = Entity(name="user", join_keys=["user"])
    store.apply([user, *(_view(folder, view, features, user) for view, features in views.items())])
    store.materialize(NOW - timedelta(days=1), NOW + timedelta(seconds=1))
    measured += [_sdk(store, shape, entities) for shape in SHAPES]
    measured += _served(folder, entities)
    print(json.dumps(measured))


def _store(folder: Path, port: int) -> FeatureStore:
    repository = folder / "feast"
    repository.mkdir(exist_ok=True)
    settings = {
        "project": "bench", "provider": "local", "registry": str(repository / "registry.db"),
        "offline_store": {"type": "file"}, "entity_key_serialization_version": 3,
        "online_store": {"type": "redis", "connection_string": f"127.0.0.1:{port},db=1"},
    }  # fmt: skip
    (repository / "feature_store.yaml").write_text(json.dumps(settings))  # JSON is YAML, too
    return FeatureStore(config=RepoConfig(**settings, repo_path=repository))


def _view(folder: Path, name: str, features: int, user: Entity) -> FeatureView:
    fields = [Field(name="user", dtype=Int64), *(Field(name=f"value_{n}", dtype=Float64) for n in range(features))]
    source = FileSource(name=f"source_{name}", path=str(folder / "data" / name), timestamp_field="happened")
    return FeatureView(name=name, entities=[user], ttl=timedelta(0), schema=fields, source=source, online=True)


def _materialized(
    store: FeatureStore, server: redis.Redis, folder: Path, shape: Shape, entities: int
) -> dict[str, object]:
    user = Entity(name="user", join_keys=["user"])
    [name] = shape.views
    store.apply([user, _view(folder, name, shape.features, user)])
    before = int(server.info("memory")["used_memory"])
    started = time.perf_counter()
    store.materialize(NOW - timedelta(days=1), NOW + timedelta(seconds=1), feature_views=[name])
    seconds = time.perf_counter() - started
    used = int(server.info("memory")["used_memory"]) - before
    server.flushall()
    return {"what": f"materialize {shape.features}", "rows_per_second": entities / seconds, "bytes": used / entities}


def _sdk(store: FeatureStore, shape: Shape, entities: int) -> dict[str, object]:
    count = REQUESTS if shape.entities == 1 else _FEW
    asked = [[{"user": user} for user in users] for users in shape.asked(count, entities)]
    references = shape.references
    seconds = timed(lambda n: store.get_online_features(references, asked[n], full_feature_names=True).to_dict(), count)
    return {"what": f"SDK, {shape.label}", "seconds": seconds}


def _served(folder: Path, entities: int) -> list[dict[str, object]]:
    command = [str(Path(sys.executable).parent / "feast"), "-c", str(folder / "feast"), "serve", "-p", "6599"]
    command.append("--no-access-log")
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for("http://127.0.0.1:6599/health")
        return [_http(shape, entities) for shape in SHAPES]
    finally:
        server.terminate()
        server.wait(timeout=30)


def _http(shape: Shape, entities: int) -> dict[str, object]:
    count = REQUESTS if shape.entities == 1 else _FEW
    client = HttpClient(6599, "/get-online-features")
    bodies = [
        json.dumps({"features": shape.references, "entities": {"user": users}, "full_feature_names": True}).encode()
        for users in shape.asked(count, entities)
    ]
    return {"what": f"HTTP, {shape.label}", "seconds": timed(lambda n: client.post(bodies[n]), count)}


if __name__ == "__main__":
    main()
