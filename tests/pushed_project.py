"""A project whose views are pushed to: visits of shops, row by row and in windows, and calls that say no known time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from featurestore.operations.push import PushRequest, PushResult, push
from registry.wiring import WiredProject, open_project
from sdk.project import Project

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MOMENT = pa.timestamp("us", tz="UTC")

DEFINITIONS = """\
import featurestore as fs

shop = fs.Entity("shop", join_keys={"shop": fs.String})
COLUMNS = {"shop": fs.String, "at": fs.Timestamp, "visitors": fs.Int64, "mood": fs.Float64}
visits = fs.FrameSource("visits", columns={**COLUMNS, "seen": fs.Timestamp}, event_timestamp="at", known_at="seen")
calls = fs.FrameSource("calls", columns=COLUMNS, event_timestamp="at", delay="5m")

latest = fs.FeatureView("latest", entity=shop, source=visits, features=["visitors", "mood"])
happy = fs.FeatureView("happy", entity=shop, sql=\"\"\"
    SELECT shop, at AS event_timestamp, seen AS known_at, visitors * 2 AS doubled FROM visits WHERE mood > 0.5
\"\"\")
slow = fs.FeatureView("slow", entity=shop, source=visits, features=["visitors"], publish_delay="10m")
called = fs.FeatureView("called", entity=shop, source=calls, features=["visitors"])
hourly = fs.FeatureView(
    "hourly", entity=shop, source=visits, every="1h",
    features=[fs.Aggregate("visitors", fs.sum, windows=["1d"], name="sum")],
)
strict = fs.FeatureView("strict", entity=shop, sql=\"\"\"
    SELECT shop, at AS event_timestamp, seen AS known_at, CAST(mood AS TINYINT) AS whole FROM visits
\"\"\")
first_calls = fs.FeatureView("first_calls", entity=shop, sql=\"\"\"
    SELECT DISTINCT shop, at AS event_timestamp, visitors FROM calls
\"\"\")
"""


@dataclass(frozen=True)
class PushedProject:
    """A folder, and what a process with a clock of its own does in it."""

    folder: Path

    def at(self, now: datetime, **settings: object) -> Project:
        return Project(self.wired(now, **settings))

    def wired(self, now: datetime, **settings: object) -> WiredProject:
        return open_project(self.folder, {"clock": now, "engine": {"threads": 1}, **settings})


def pushed_project(folder: Path) -> PushedProject:
    """Applied an hour before noon; nothing is pushed or online yet."""
    (folder / "definitions").mkdir(parents=True)
    (folder / "definitions" / "all.py").write_text(DEFINITIONS)
    (folder / "knownat.toml").write_text('name = "pushed"\n')
    project = PushedProject(folder)
    with project.at(NOON - HOUR) as opened:
        list(opened.apply())
    return project


def visits(*rows: tuple[str | None, datetime, int, float]) -> pa.Table:
    """Rows that do not say when they are known."""
    shops, moments, visitors, moods = zip(*rows, strict=True)
    return pa.table(
        {
            "shop": pa.array(shops, pa.string()),
            "at": pa.array(moments, MOMENT),
            "visitors": pa.array(visitors, pa.int64()),
            "mood": pa.array(moods, pa.float64()),
        }
    )


def pushed(wired: WiredProject, view: str, rows: pa.Table, key: str) -> PushResult:
    features = wired.features
    current = features.project.catalog.current()
    assert current is not None
    request = PushRequest(current.graph.view(view), rows, key, features.clock())
    return push(request, features.frames, features.offline, features.online)
