"""Damaged Arrow streams for a project's service, and damaged Parquet files for its client, in a process of its own,
which the crash of a library ends.

`python -m tests.damaged_streams FOLDER spines|pushes|files SEED COUNT` prints how often each status was answered, as
JSON (200 and 422 for files that were read and refused), and below it what was answered with 500 or more. All are valid
ones of many types, with bits flipped, bytes changed, or an end cut off. The project is the small one, or the one that
is pushed to; files are written to the folder.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import SpineError
from registry.service.app import create_app
from registry.wiring import open_project, served_project
from sdk.spines import spine_table

NOW = datetime(2024, 3, 9, tzinfo=UTC)
MOMENT = pa.timestamp("us", "UTC")
SPINE = {
    "shop": pa.array(["alma", None, "bert"]),
    "event_timestamp": pa.array([NOW, NOW - timedelta(days=1), NOW], MOMENT),
    "basket": pa.array([1.5, None, 2.5]),
}
DICTIONARY = pa.array(["alma", "bert", "alma"]).dictionary_encode()
PASSED: dict[str, pa.Array] = {
    "list": pa.array([[1, None], None, []], pa.list_(pa.int8())),
    "fixed": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int16(), 2)),
    "struct": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}]),
    "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "view": pa.array(["a" * 20, None, "b"], pa.string_view()),
    "decimal": pa.array([Decimal("1.50"), None, Decimal("-2.25")]),
    "wide": pa.array([Decimal("1.50"), None, Decimal("-2.25")], pa.decimal256(60, 2)),
    "date": pa.array([NOW.date(), None, NOW.date()], pa.date64()),
    "time": pa.array([1, None, 2], pa.time64("us")),
    "seconds": pa.array([1, None, 2], pa.timestamp("s")),
    "duration": pa.array([1, None, 2], pa.duration("s")),
    "half": pa.array([1.0, None, 2.0], pa.float16()),
    "bytes": pa.array([b"a", None, b"bc"], pa.large_binary()),
    "bits": pa.array([True, None, False]),
    "nothing": pa.nulls(3),
    "nested": pa.array([[DICTIONARY[0].as_py()], None, []], pa.list_(pa.string())),
    "words": DICTIONARY,
}
SPINES = {
    "plain": pa.table(SPINE),
    "keys": pa.table({**SPINE, "shop": DICTIONARY, "event_timestamp": pa.array([1, 2, 3], pa.timestamp("ns"))}),
    "views": pa.table({**SPINE, "shop": SPINE["shop"].cast(pa.string_view()), "basket": pa.array([1, 2, None])}),
    "passed": pa.table({**SPINE, **PASSED}),
    "empty": pa.table(SPINE).slice(0, 0),
}


_CODECS = (None, "zstd", "lz4")
PUSHED = {
    "shop": pa.array(["alma", "bert", None]),
    "at": pa.array([NOW, NOW - timedelta(days=1), NOW], MOMENT),
    "visitors": pa.array([1, None, 3]),
    "mood": pa.array([0.5, None, 1.5]),
}
PUSHES = {
    "plain": pa.table(PUSHED),
    "other": pa.table(
        {**PUSHED, "shop": DICTIONARY, "at": pa.array([1, 2, 3], pa.timestamp("s")), "mood": pa.nulls(3)}
    ),
}


def stream(table: pa.Table, *, compression: str | None = None, rows: int | None = None) -> bytes:
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)
    return sink.getvalue()


def file(table: pa.Table, compression: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression=compression)
    return sink.getvalue()


def damaged_tables(tables: Iterable[pa.Table], seed: int, count: int) -> Iterator[bytes]:
    return damaged([stream(table, compression=how, rows=2) for table in tables for how in _CODECS], seed, count)


def damaged(whole: list[bytes], seed: int, count: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    for _ in range(count):
        content = bytearray(chance.choice(whole))
        match chance.randrange(4):
            case 0:
                del content[chance.randrange(len(content)) :]
            case 1:
                content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            case 2:
                content[chance.randrange(len(content))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            case _:
                for _ in range(chance.randrange(2, 6)):
                    content[chance.randrange(len(content))] = chance.randrange(256)
        yield bytes(content)


Request = tuple[str, dict[str, Any], bytes]


def spines(seed: int, count: int) -> Iterator[Request]:
    for number, content in enumerate(damaged_tables(SPINES.values(), seed, count)):
        path = "/v1/training-sets/explain-known" if number % 5 == 0 else "/v1/training-sets"
        yield path, {"params": {"service": "shops_v1"}}, content


def pushes(seed: int, count: int) -> Iterator[Request]:
    headers = {"content-type": "application/vnd.apache.arrow.stream"}
    for number, content in enumerate(damaged_tables(PUSHES.values(), seed, count)):
        yield "/v1/views/latest/push", {"params": {"key": f"{seed} {number}"}, "headers": headers}, content


async def answers(folder: Path, asked: Iterator[Request]) -> tuple[Counter[int], list[str]]:
    with closing(open_project(folder)) as project:
        transport = httpx.ASGITransport(create_app(served_project(project)), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://knownat") as client:
            statuses: Counter[int] = Counter()
            failures = []
            for number, (path, options, content) in enumerate(asked):
                response = await client.post(path, content=content, **options)
                statuses[response.status_code] += 1
                if response.status_code >= 500:
                    failures.append(f"{number} {path}: {response.text}")
            return statuses, failures


def files(folder: Path, seed: int, count: int) -> tuple[Counter[int], list[str]]:
    statuses: Counter[int] = Counter()
    path = folder / "damaged.parquet"
    whole = [file(table, how) for table in SPINES.values() for how in ("none", "zstd")]
    for content in damaged(whole, seed, count):
        path.write_bytes(content)
        try:
            spine_table(path).validate(full=True)
        except SpineError:
            statuses[422] += 1
        else:
            statuses[200] += 1
    return statuses, []


if __name__ == "__main__":
    where, kind, seed, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if kind == "files":
        found, failed = files(where, seed, count)
    else:
        requests = {"spines": spines, "pushes": pushes}[kind]
        found, failed = asyncio.run(answers(where, requests(seed, count)))
    print(json.dumps(found))
    print("\n".join(failed))
