"""Made-up histories for benchmarks: views of float features over 90 days, in a project of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 90
NOW = START + timedelta(days=DAYS)
_MICROSECONDS = DAYS * 86_400 * 1_000_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is: rows in each view, rows in the spine, distinct keys, views, features in each view."""

    rows: int
    spine: int
    keys: int
    views: int = 3
    features: int = 10


def write_project(folder: Path, sizes: Sizes) -> pa.Table:
    """Sources, definitions and settings in `folder`; returns the spine."""
    random = np.random.default_rng(7)
    data = folder / "data"
    data.mkdir(parents=True)
    for view in range(sizes.views):
        features = {f"value_{n}": random.normal(size=sizes.rows) for n in range(sizes.features)}
        table = pa.table(
            {"user": random.integers(0, sizes.keys, sizes.rows), "happened": _moments(random, sizes.rows)} | features
        )
        pq.write_table(table, data / f"source_{view}.parquet")
    (folder / "definitions").mkdir()
    (folder / "definitions" / "features.py").write_text(_definitions(sizes))
    (folder / "knownat.toml").write_text(f'name = "bench"\nclock = {NOW.isoformat()}\n')
    return pa.table(
        {"user": random.integers(0, sizes.keys, sizes.spine), "event_timestamp": _moments(random, sizes.spine)}
    )


def _moments(random: np.random.Generator, count: int) -> pa.Array:
    offsets = random.integers(0, _MICROSECONDS, count) + int(START.timestamp()) * 1_000_000
    return pa.array(offsets, pa.timestamp("us", tz="UTC"))


def _definitions(sizes: Sizes) -> str:
    lines = ["import featurestore as fs", 'user = fs.Entity("user", join_keys={"user": fs.Int64})']
    names = [f"value_{n}" for n in range(sizes.features)]
    for view in range(sizes.views):
        lines += [
            f'source = fs.ParquetSource("source_{view}", path="source_{view}.parquet", event_timestamp="happened")',
            f'view_{view} = fs.FeatureView("view_{view}", entity=user, source=source, ttl="7d", features={names})',
        ]
    return "\n".join(lines) + "\n"
