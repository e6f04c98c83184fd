"""A project that is fed by a stream: the visitors that shops count."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deltalake import DeltaTable
from redis import Redis

from tests.command import done
from tests.redis_server import RedisServer

STREAM = "visits"
DEFINITIONS = """\
import featurestore as fs

shop = fs.Entity("shop", join_keys={"shop": fs.String})
visits = fs.FrameSource(
    "visits",
    columns={"shop": fs.String, "at": fs.Timestamp, "visitors": fs.Int64, "seen": fs.Timestamp},
    event_timestamp="at",
    known_at="seen",
)
shop_now = fs.FeatureView("shop_now", entity=shop, source=visits, features=[fs.Feature("visitors")])
shop_week = fs.FeatureView(
    "shop_week", entity=shop, source=visits, every="1h",
    features=[fs.Aggregate("visitors", fs.sum, windows=["7d"], name="visitors")],
)
"""


@dataclass(frozen=True)
class StreamProject:
    """A folder and the Redis that it is fed from."""

    folder: Path
    server: RedisServer

    @property
    def environment(self) -> dict[str, str]:
        return {"KNOWNAT_STREAMS__URL": self.server.url}

    def add(self, numbers: Iterable[int], *, shop: str = "alma") -> None:
        """An entry for each number: as fields, or as JSON, in turn; each a millisecond after the one before."""
        start = datetime.now(UTC) - timedelta(minutes=10)
        with self.server.client() as client:
            pipeline = client.pipeline(transaction=False)
            for number in numbers:
                at = (start + timedelta(milliseconds=number)).isoformat()
                fields = {"shop": shop, "at": at, "visitors": str(number)}
                told = {"json": json.dumps({**fields, "visitors": number})} if number % 2 else fields
                pipeline.xadd(STREAM, told)  # type: ignore[arg-type]
            pipeline.execute()

    def add_raw(self, **fields: str | bytes) -> None:
        with self.server.client() as client:
            client.xadd(STREAM, fields)  # type: ignore[arg-type]

    @property
    def appended(self) -> list[int]:
        """All numbers that are durable, as Delta's own reader finds them."""
        path = self.folder / ".knownat" / "frames" / "visits"
        if not DeltaTable.is_deltatable(str(path)):
            return []
        return sorted(DeltaTable(str(path)).to_pyarrow_table()["visitors"].to_pylist())

    @property
    def in_hand(self) -> int:
        with self.server.client() as client:
            return int(client.xpending(STREAM, "knownat")["pending"])

    def rejected(self) -> list[dict[bytes, bytes]]:
        with self.server.client() as client:
            return [dict(fields) for _, fields in _entries(client)]


def _entries(client: Redis) -> list[tuple[bytes, dict[bytes, bytes]]]:
    found: list[tuple[bytes, dict[bytes, bytes]]] = client.xrange(f"{STREAM}:rejected")  # type: ignore[assignment]
    return found


def stream_project(folder: Path, server: RedisServer) -> StreamProject:
    """Applied, and online as far as it goes: there are no rows yet."""
    (folder / "definitions").mkdir(parents=True)
    (folder / "definitions" / "shops.py").write_text(DEFINITIONS)
    (folder / "knownat.toml").write_text('name = "shops"\n\n[engine]\nthreads = 1\n')
    done("apply", "--project", folder)
    return StreamProject(folder, server)
