"""What lookups are measured on: views of float features, one fresh row for each entity in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NOW = datetime(2024, 4, 1, tzinfo=UTC)
NARROW, WIDE = 10, 50
VIEWS = 5
_FILE_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of request: features of so many entities, over so many views."""

    label: str
    service: str
    views: tuple[str, ...]
    features: int
    """In each view."""
    entities: int

    @property
    def references(self) -> list[str]:
        return [f"{view}:value_{number}" for view in self.views for number in range(self.features)]

    def asked(self, requests: int, stored: int) -> list[list[int]]:
        """The entities of each request, spread over those that are stored."""
        random = np.random.default_rng(self.entities)
        found: list[list[int]] = random.integers(0, stored, (requests, self.entities)).tolist()
        return found


_NARROW_VIEWS = tuple(f"view_{number}" for number in range(VIEWS))
SHAPES = (
    Shape("1 x 10", "one", _NARROW_VIEWS[:1], NARROW, 1),
    Shape("1 x 50 over 5 views", "five", _NARROW_VIEWS, NARROW, 1),
    Shape("100 x 50, one view", "wide", ("wide",), WIDE, 100),
    Shape("100 x 50 over 5 views", "five", _NARROW_VIEWS, NARROW, 100),
)


def write_online_project(folder: Path, entities: int, *, ttl: str = "") -> None:
    """Sources, definitions and settings of a project whose clock stands still at NOW."""
    random = np.random.default_rng(3)
    for view, features in [*((name, NARROW) for name in _NARROW_VIEWS), ("wide", WIDE)]:
        source = folder / "data" / view
        source.mkdir(parents=True)
        for number, start in enumerate(range(0, entities, _FILE_ROWS)):
            count = min(_FILE_ROWS, entities - start)
            moments = np.datetime64(NOW.replace(tzinfo=None)) - random.integers(1, 3_600_000_000, count)
            columns = {
                "user": np.arange(start, start + count),
                "happened": pa.array(moments.astype("datetime64[us]")).cast(pa.timestamp("us", tz="UTC")),
            }
            columns |= {f"value_{feature}": random.normal(size=count) for feature in range(features)}
            pq.write_table(pa.table(columns), source / f"{number:04d}.parquet")
    (folder / "definitions").mkdir()
    (folder / "definitions" / "bench.py").write_text("\n".join(_definitions(ttl)))
    (folder / "knownat.toml").write_text(f'name = "bench"\nclock = "{NOW.isoformat()}"\n')


def _definitions(ttl: str) -> Sequence[str]:
    lines = ["import featurestore as fs", 'user = fs.Entity("user", join_keys={"user": fs.Int64})']
    for view, features in [*((name, NARROW) for name in _NARROW_VIEWS), ("wide", WIDE)]:
        names = [f"value_{number}" for number in range(features)]
        lines += [
            f'source_{view} = fs.ParquetSource("source_{view}", path="{view}/*.parquet", event_timestamp="happened")',
            f'{view} = fs.FeatureView("{view}", entity=user, source=source_{view}, features={names}'
            + (f', ttl="{ttl}")' if ttl else ")"),
        ]
    services = {"one": _NARROW_VIEWS[:1], "five": _NARROW_VIEWS, "wide": ("wide",)}
    lines += [f'{name} = fs.FeatureService("{name}", features=[{", ".join(of)}])' for name, of in services.items()]
    return [*lines, ""]
