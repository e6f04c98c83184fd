"""Made-up histories for benchmarks, in projects of their own: values of float features, and events to aggregate.

Written file by file, so that no size needs more memory than one file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 90
NOW = START + timedelta(days=DAYS)
WINDOWS = (1, 7, 30)
_DAY = 86_400 * 1_000_000
_FILE_ROWS = 1_000_000
_GROUP_ROWS = 250_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is: rows in each view, rows in the spine, distinct keys, views, features in each view."""

    rows: int
    spine: int
    keys: int
    views: int = 3
    features: int = 10


def write_project(folder: Path, sizes: Sizes) -> Path:
    """Sources of unordered rows, definitions and settings in `folder`; returns the spine's file."""
    random = np.random.default_rng(7)
    for view in range(sizes.views):
        source = folder / "data" / f"source_{view}"
        source.mkdir(parents=True)
        for number, count in enumerate(_file_rows(sizes.rows)):
            columns = {"user": random.integers(0, sizes.keys, count), "happened": _moments(random, count, 0, DAYS)}
            features = {f"value_{n}": random.normal(size=count) for n in range(sizes.features)}
            table = pa.table({**columns, **features})
            pq.write_table(table, source / f"{number:04d}.parquet", row_group_size=_GROUP_ROWS)
    _write_definitions(folder, _definitions(sizes))
    return write_spine(folder, sizes.spine, sizes.keys)


def write_spine(folder: Path, rows: int, keys: int) -> Path:
    """A spine over all 90 days: `user`, `event_timestamp`."""
    random = np.random.default_rng(11)
    path = folder / f"spine_{rows}.parquet"
    schema = pa.schema({"user": pa.int64(), "event_timestamp": pa.timestamp("us", tz="UTC")})
    with pq.ParquetWriter(path, schema) as writer:
        for count in _file_rows(rows):
            part = {"user": random.integers(0, keys, count), "event_timestamp": _moments(random, count, 0, DAYS)}
            writer.write_table(pa.table(part), row_group_size=_GROUP_ROWS)
    return path


def write_events(folder: Path, sizes: Sizes) -> Path:
    """A file of events for each day, and one windowed view of them; returns the spine's file.

    Amounts are whole cents, as amounts are.
    """
    random = np.random.default_rng(7)
    events = folder / "data" / "events"
    events.mkdir(parents=True)
    for day in range(DAYS):
        count = sizes.rows // DAYS
        moments = _moments(random, count, day, 1)
        amounts = np.round(random.lognormal(3, 1, count), 2)
        table = pa.table({"user": random.integers(0, sizes.keys, count), "happened": moments, "amount": amounts})
        pq.write_table(table, events / f"{day:04d}.parquet", compression="zstd")
    windows = [f"{days}d" for days in WINDOWS]
    aggregates = ", ".join(f'fs.Aggregate("amount", fs.{kind}, windows={windows})' for kind in _FUNCTIONS)
    lines = [
        *_head(),
        'events = fs.ParquetSource("events", path="events/*.parquet", event_timestamp="happened")',
        f'spending = fs.FeatureView("spending", entity=user, source=events, every="1h", features=[{aggregates}])',
    ]
    _write_definitions(folder, lines)
    return write_spine(folder, sizes.spine, sizes.keys)


_FUNCTIONS = ("sum", "count", "mean", "max")


def _head() -> list[str]:
    return ["import featurestore as fs", 'user = fs.Entity("user", join_keys={"user": fs.Int64})']


def _file_rows(rows: int) -> Iterator[int]:
    for start in range(0, rows, _FILE_ROWS):
        yield min(_FILE_ROWS, rows - start)


def _moments(random: np.random.Generator, count: int, first_day: int, days: int) -> pa.Array:
    start = int(START.timestamp()) * 1_000_000 + first_day * _DAY
    return pa.array(random.integers(0, days * _DAY, count) + start, pa.timestamp("us", tz="UTC"))


def _write_definitions(folder: Path, lines: list[str]) -> None:
    (folder / "definitions").mkdir()
    (folder / "definitions" / "features.py").write_text("\n".join(lines) + "\n")
    (folder / "knownat.toml").write_text(f'name = "bench"\nclock = {NOW.isoformat()}\n')


def _definitions(sizes: Sizes) -> list[str]:
    lines = _head()
    names = [f"value_{n}" for n in range(sizes.features)]
    for view in range(sizes.views):
        name = f"source_{view}"
        lines += [
            f'{name} = fs.ParquetSource("{name}", path="{name}/*.parquet", event_timestamp="happened")',
            f'view_{view} = fs.FeatureView("view_{view}", entity=user, source={name}, ttl="7d", features={names})',
        ]
    return lines
