"""Arrow streams that are meant to do harm, or might as well be: a real server answers each with a clear 4xx, within a
stated amount of memory, and goes on. Damaged ones never crash it, nor fail in a way that nobody foresaw."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from featurestore.service.problems import MOST_PROBLEM_BYTES
from tests.damaged_streams import SPINE, SPINES, stream
from tests.property.examples import TIMES
from tests.pushed_project import pushed_project
from tests.server_process import ServerProcess, server_process

ARROW_STREAM = "application/vnd.apache.arrow.stream"
SPINE_MEGABYTES = 64
MOST_MEGABYTES = 250
"""What a stream may cost beside what the server held before: all of the above, and what is made of it."""
LONG = 400_000_000


@pytest.fixture(scope="module")
def server(filled_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = shutil.copytree(filled_folder, tmp_path_factory.mktemp("hostile") / "shops")
    with (folder / "knownat.toml").open("a") as settings:
        settings.write(f"\n[service]\nspine_megabytes = {SPINE_MEGABYTES}\n")
    with server_process(folder) as process:
        assert sent(process, stream(SPINES["passed"])).status_code == 200  # what a pull loads, is loaded
        yield process


def sent(server: ServerProcess, content: bytes, path: str = "/v1/training-sets?service=shops_v1") -> httpx.Response:
    headers = {"content-type": ARROW_STREAM}
    return httpx.post(f"{server.address}{path}", content=content, headers=headers, timeout=120)


def check_clear_refusal(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.json()["detail"]) > 10
    assert len(answer.content) < MOST_PROBLEM_BYTES


def spine(**changes: Any) -> pa.Table:
    return pa.table({**SPINE, **changes})


def nested(levels: int) -> pa.DataType:
    kind = pa.int8()
    for _ in range(levels):
        kind = pa.list_(kind)
    return kind


def repeated(value: str, count: int) -> pa.Table:
    dictionary = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([value]))
    moments = pa.array([datetime(2024, 3, 9)] * count, pa.timestamp("us"))  # noqa: DTZ001 - of no interest
    return pa.table({"shop": dictionary, "event_timestamp": moments, "basket": pa.nulls(count)})


def zeros(count: int) -> pa.Table:
    return pa.table({"shop": pa.Array.from_buffers(pa.int8(), count, [None, pa.py_buffer(bytes(count))])})


TOO_MUCH: dict[str, Callable[[], bytes]] = {
    "two thousand million nulls": lambda: stream(pa.table({"event_timestamp": pa.nulls(2_000_000_000)})),
    "sixty million rows": lambda: stream(zeros(60_000_000), compression="zstd"),
    "one long text": lambda: stream(spine(shop=["x" * LONG, "a", "b"]), compression="zstd"),
    "one long text in lz4": lambda: stream(spine(shop=["x" * LONG, "a", "b"]), compression="lz4"),
    "a long key again and again": lambda: stream(repeated("k" * 1_000_000, 1_500)),
    "nulls within nulls": lambda: stream(
        pa.table({"shop": pa.FixedSizeListArray.from_arrays(pa.nulls(2_000_000_000), 2_000_000_000)})
    ),
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_a_stream_that_would_be_too_large_is_refused_before_it_is(server: ServerProcess, name: str) -> None:
    before = server.memory("VmRSS")

    answer = sent(server, TOO_MUCH[name]())

    check_clear_refusal(answer)
    assert answer.status_code == 413
    assert server.memory("VmHWM") < before + MOST_MEGABYTES


NONE_OF_OURS: dict[str, pa.Table] = {
    "moments beyond the years": spine(event_timestamp=pa.array([2**62] * 3, pa.timestamp("s"))),
    "moments before the years": spine(event_timestamp=pa.array([-(2**62)] * 3, pa.timestamp("us"))),
    "moments of no type": spine(event_timestamp=pa.nulls(3)),
    "other moments that Parquet has not": spine(passed=pa.array([2**62] * 3, pa.timestamp("s"))),
    "a negative scale": spine(passed=pa.array([1200, None, 100], pa.decimal128(6, -2))),
    "bytes of no length": spine(passed=pa.array([b"", None, b""], pa.binary(0))),
    "sixty lists": spine(passed=pa.array([None] * 3, nested(60))),
    "runs": spine(shop=pa.RunEndEncodedArray.from_arrays(pa.array([3], pa.int32()), pa.array(["a"]))),
    "list views": spine(passed=pa.array([[1]] * 3, pa.list_view(pa.int8()))),
    "an extension": spine(passed=pa.array([b"a" * 16] * 3, pa.uuid())),
    "a struct of nothing": spine(passed=pa.array([{}] * 3, pa.struct([]))),
    "two of one name": pa.table([*SPINE.values(), SPINE["shop"]], [*SPINE, "shop"]),
    "a key of floats": spine(shop=pa.array([float("nan"), 1.0, 2.0])),
    "a number that is no float": spine(basket=pa.array([2**53 + 1, 1, 2])),
}


@pytest.mark.parametrize("path", ["/v1/training-sets", "/v1/training-sets/explain-known"])
@pytest.mark.parametrize("name", NONE_OF_OURS)
def test_a_spine_that_can_not_be_used_is_refused_by_name(server: ServerProcess, name: str, path: str) -> None:
    check_clear_refusal(sent(server, stream(NONE_OF_OURS[name]), f"{path}?service=shops_v1"))


def test_a_spine_without_rows_has_nothing_to_explain(server: ServerProcess) -> None:
    answer = sent(server, stream(SPINES["empty"]), "/v1/training-sets/explain-known?features=shop_facts:score")

    assert answer.json()["rows"] == 0
    assert answer.json()["differing"] == 0


def test_a_spine_in_many_batches_is_pulled_within_the_memory_of_its_rows(server: ServerProcess) -> None:
    table = pa.concat_tables([spine()] * 5_000)
    before = server.memory("VmRSS")

    answer = sent(server, stream(table, rows=1))

    assert answer.json()["rows"] == 15_000
    assert server.memory("VmHWM") < before + MOST_MEGABYTES


def test_after_all_that_the_server_is_as_it_was(server: ServerProcess) -> None:
    """It was started once for this file."""
    assert sent(server, stream(SPINES["plain"])).status_code == 200
    assert "Traceback" not in server.log


@pytest.mark.parametrize(("kind", "count"), [("spines", 400), ("pushes", 150), ("files", 400)])
def test_no_damaged_stream_or_file_ends_in_a_crash_or_an_unforeseen_error(
    filled_folder: Path, tmp_path: Path, kind: str, count: int
) -> None:
    """In a process of its own, whose end tells of a crash."""
    folder = tmp_path / "project"
    if kind == "pushes":
        pushed_project(folder)
    else:
        shutil.copytree(filled_folder, folder)
    seed = 0 if TIMES == 1 else int.from_bytes(os.urandom(4))

    ended = subprocess.run(
        [sys.executable, "-m", "tests.damaged_streams", str(folder), kind, str(seed), str(count * TIMES)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, (seed, ended.stderr)
    statuses, failures = ended.stdout.split("\n", 1)
    assert failures.strip() == "", (seed, failures)
    assert {"200", "400" if kind == "pushes" else "422"} <= json.loads(statuses).keys()
