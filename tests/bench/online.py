"""Lookups, materialization and memory: Knownat beside redis-py reading packed rows by hand, and Feast, in one run."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

import redis

from sdk import open_project
from sdk.project import Project
from tests.bench.online_project import NARROW, NOW, SHAPES, VIEWS, WIDE, Shape, write_online_project
from tests.bench.timed import REQUESTS, HttpClient, shown, timed, wait_for
from tests.redis_server import RedisServer, free_port, running_redis

ENTITIES = 100_000
CLIENTS = 8
_ROOT = Path(__file__).parents[2]
_HTTP_CLIENT = """
import json, sys
from tests.bench.online import http_bodies
from tests.bench.online_project import SHAPES
from tests.bench.timed import HttpClient, timed
shape, port, count = SHAPES[int(sys.argv[1])], int(sys.argv[2]), int(sys.argv[3])
client, bodies = HttpClient(port, "/v1/online"), http_bodies(shape, count)
print(json.dumps(timed(lambda n: client.post(bodies[n]), count)))
"""


def measure_online(folder: Path, peer: Path | None = None) -> None:
    write_online_project(folder, ENTITIES)
    with running_redis("--save", "", "--appendonly", "no") as server:
        on_redis = {"online": {"url": server.url, "timeout_seconds": 5.0}}
        _measure_writes(folder, server, on_redis)
        _raw(server)
        for name, settings in (("Knownat SDK, Redis", on_redis), ("Knownat SDK, embedded", {})):
            with _filled(folder, settings) as project:
                _sdk(name, project)
        with _filled(folder, on_redis):
            _over_http(folder, server)
        if peer is not None:
            server_flushed(server)
            _feast(peer, folder, server)


def server_flushed(server: RedisServer) -> None:
    with server.client() as client:
        client.flushall()


@contextmanager
def _filled(folder: Path, settings: Mapping[str, object]) -> Iterator[Project]:
    with open_project(folder, settings=settings) as project:
        for _ in project.apply():
            pass
        for _ in project.materialize(until=NOW):
            pass
        yield project


def _measure_writes(folder: Path, server: RedisServer, settings: Mapping[str, object]) -> None:
    """Rows per second and bytes per entity, beside SET of rows as large in pipelines."""
    print("\nmaterialize into Redis, one view")
    with open_project(folder, settings=settings) as project, server.client() as client:
        for _ in project.apply():
            pass
        for view, features in (("view_0", NARROW), ("wide", WIDE)):
            rates, used = [], 0
            for _ in range(3):
                client.flushall()
                before = int(client.info("memory")["used_memory"])
                started = perf_counter()
                [done] = project.materialize(views=[view], until=NOW, full=True)
                rates.append(done.written / (perf_counter() - started))
                used = int(client.info("memory")["used_memory"]) - before
            raw = _pipelined(client, features)
            print(
                f"  {features} features: Knownat {median(rates):>9,.0f} rows/s, {used / ENTITIES:.0f} bytes per entity;"
                f" redis-py pipelines {raw:>9,.0f} rows/s"
            )
        client.flushall()


def _pipelined(client: redis.Redis, features: int) -> float:
    """SETs of packed rows per second, with nothing to compute, compare or check."""
    client.flushall()
    row = struct.pack(f">{features}d", *range(features))
    started = perf_counter()
    for start in range(0, ENTITIES, 1_000):
        with client.pipeline(transaction=False) as pipeline:
            for user in range(start, start + 1_000):
                pipeline.set(f"raw:{user}", row)
            pipeline.execute()
    return ENTITIES / (perf_counter() - started)


def _raw(server: RedisServer) -> None:
    """What one would write by hand for exactly these requests: the round trip alone, and with values unpacked."""
    print("\nredis-py by hand: MGET of packed rows, then the same with values unpacked into columns")
    with server.client() as client:
        for view, features in [*((f"view_{number}", NARROW) for number in range(VIEWS)), ("wide", WIDE)]:
            row = struct.pack(f">{features}d", *(0.1 * number for number in range(features)))
            with client.pipeline(transaction=False) as pipeline:
                for user in range(ENTITIES):
                    pipeline.set(f"raw:{view}:{user}", row)
                pipeline.execute()
        for shape in SHAPES:
            asked, names = shape.asked(REQUESTS, ENTITIES), shape.references
            unpack, views = struct.Struct(f">{shape.features}d").unpack, shape.views

            def wire(n: int) -> list[bytes]:
                return client.mget([f"raw:{view}:{user}" for view in views for user in asked[n]])  # type: ignore[return-value]

            def unpacked(n: int) -> dict[str, tuple[float, ...]]:
                rows, count = [unpack(row) for row in wire(n)], len(asked[n])
                by_view = (zip(*rows[at : at + count], strict=True) for at in range(0, len(rows), count))
                return dict(zip(names, (column for columns in by_view for column in columns), strict=True))

            print(f"  {shape.label:<24} {shown(timed(wire, REQUESTS))}", flush=True)
            print(f"  {shape.label + ', unpacked':<34} {shown(timed(unpacked, REQUESTS))}", flush=True)
        client.flushall()


def _sdk(name: str, project: Project) -> None:
    print(f"\n{name}: client.online(...).to_columns()")
    client = project.client
    for shape in SHAPES:
        asked = [[{"user": user} for user in users] for users in shape.asked(REQUESTS, ENTITIES)]
        seconds = timed(lambda n: client.online(service=shape.service, entities=asked[n]).to_columns(), REQUESTS)
        print(f"  {shape.label:<24} {shown(seconds)}", flush=True)


def http_bodies(shape: Shape, count: int) -> list[bytes]:
    return [
        json.dumps({"service": shape.service, "entities": [{"user": user} for user in users]}).encode()
        for users in shape.asked(count, ENTITIES)
    ]


def _over_http(folder: Path, server: RedisServer) -> None:
    for workers in (1, 2):
        with serving(folder, server, workers) as (process, port):
            if workers == 1:
                print("\nKnownat over HTTP (JSON), one worker, one client")
                for shape in SHAPES:
                    client, bodies = HttpClient(port, "/v1/online"), http_bodies(shape, REQUESTS)
                    print(f"  {shape.label:<24} {shown(timed(lambda n: client.post(bodies[n]), REQUESTS))}", flush=True)
                print(f"  resident memory of the server: {_resident(process.pid):.0f} MB")
            print(f"\nKnownat over HTTP (JSON), {workers} workers, {CLIENTS} clients at once on the same processors")
            for index, shape in enumerate(SHAPES):
                _together(index, shape, port)


def _together(index: int, shape: Shape, port: int) -> None:
    count = REQUESTS // CLIENTS if shape.entities == 1 else REQUESTS // CLIENTS // 5
    command = [sys.executable, "-c", _HTTP_CLIENT, str(index), str(port), str(count)]
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT, text=True) for _ in range(CLIENTS)]
    seconds = [one for client in clients for one in json.loads(client.communicate()[0])]
    rate = len(seconds) / (sum(seconds) / CLIENTS)
    print(f"  {shape.label:<24} {shown(seconds)}, {rate:,.0f} requests/s", flush=True)


@contextmanager
def serving(folder: Path, server: RedisServer, workers: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    command = [sys.executable, "-m", "sdk.cli", "serve", "--project", str(folder), "--port", str(port)]
    command += ["--workers", str(workers)] if workers > 1 else []
    environment = os.environ | {"KNOWNAT_ONLINE__URL": server.url, "KNOWNAT_ONLINE__TIMEOUT_SECONDS": "5"}
    process = subprocess.Popen(command, cwd=_ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/health/ready")
        yield process, port
    finally:
        process.terminate()
        process.wait(timeout=30)


def _resident(process: int) -> float:
    """Megabytes, as Linux counts them."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _feast(python: Path, folder: Path, server: RedisServer) -> None:
    command = [str(python.absolute()), "-m", "tests.bench.feast_online", str(folder), str(server.port), str(ENTITIES)]
    finished = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    print("\nFeast on the same data and the same Redis")
    if finished.returncode:
        print(f"  did not finish: {finished.stderr[-1_000:]}")
        return
    for measured in json.loads(finished.stdout.splitlines()[-1]):
        if "seconds" in measured:
            print(f"  {measured['what']:<30} {shown(measured['seconds'])}")
        else:
            rate, size = measured["rows_per_second"], measured["bytes"]
            print(f"  {measured['what']:<30} {rate:,.0f} rows/s, {size:.0f} bytes per entity")
