"""Lookups and materialization: the embedded store and Redis, against redis-py reading the same packed rows by hand."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter

import redis

from sdk import open_project
from tests.bench.history import NOW, Sizes, write_project
from tests.redis_server import running_redis

REQUESTS = 10_000
ENTITIES = 100_000


def measure_online(folder: Path) -> None:
    write_project(folder, Sizes(ENTITIES * 3, 10, ENTITIES, views=5))
    with running_redis("--save", "", "--appendonly", "no") as server:
        for name, settings in (
            ("embedded store", {}),
            ("Redis", {"online": {"url": server.url, "timeout_seconds": 5.0}}),
        ):
            _measure_store(folder, name, settings)
        _measure_raw(server.url)


def _measure_store(folder: Path, name: str, settings: Mapping[str, object]) -> None:
    with open_project(folder, settings=settings) as project:
        for _ in project.apply():
            pass
        started = perf_counter()
        rows = sum(done.written for done in project.materialize(until=NOW))
        seconds = perf_counter() - started
        print(f"\nmaterialize into {name}: {rows:,} rows of 10 features, {rows / seconds:,.0f} rows/s")
        client = project.client
        for label, views, entities in (
            ("1 x 10", 1, 1), ("1 x 50 over 5 views", 5, 1), ("100 x 50 over 5 views", 5, 100),
        ):  # fmt: skip
            features = [f"view_{view}:*" for view in range(views)]
            asked = [[{"user": (n * entities + i) % ENTITIES} for i in range(entities)] for n in range(REQUESTS)]
            count = REQUESTS if entities == 1 else REQUESTS // 10
            _report(f"{name}, SDK, {label}", lambda n: client.online(features=features, entities=asked[n]), count)


def _measure_raw(url: str) -> None:
    """What the wire costs: the same number of rows by MGET, neither decoded nor checked."""
    client = redis.Redis.from_url(url)
    keys = [key for _, key in zip(range(ENTITIES), client.scan_iter(count=1_000), strict=False)]
    for label, wanted in (("1 row", 1), ("5 rows", 5), ("500 rows", 500)):
        count = REQUESTS if wanted < 100 else REQUESTS // 10
        chosen = [keys[n * wanted % 50_000 : n * wanted % 50_000 + wanted] for n in range(count)]
        _report(f"redis-py, MGET of {label}", lambda n: client.mget(chosen[n]), count)
    client.close()


def _report(name: str, request: Callable[[int], object], count: int) -> None:
    for n in range(100):
        request(n)
    gc.collect()
    seconds = []
    for n in range(count):
        started = perf_counter()
        request(n)
        seconds.append(perf_counter() - started)
    seconds.sort()
    # A 99th percentile of fewer requests would be a guess.
    p99 = f", p99 {seconds[int(count * 0.99)] * 1e3:.3f} ms" if count >= REQUESTS else ""
    print(f"{name}: p50 {median(seconds) * 1e3:.3f} ms{p99} over {count:,} requests")
