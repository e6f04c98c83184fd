"""A small project over one source, whose rows are written, updated and removed as a test says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import DAY
from featurestore.operations.fill_chunks import ChunkFilled
from featurestore.operations.fill_views import FillRequest, fill_views
from featurestore.operations.hold_rows import held_rows
from featurestore.plan.stages import HeldRows
from featurestore.spec.declarations import Declaration
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource
from tests.property.project import SmallProject

START = datetime(2024, 3, 1, tzinfo=UTC)
NOW = START + 5 * DAY
HOUR = timedelta(hours=1)
MOMENT = pa.timestamp("us", tz="UTC")
THING = Entity("thing", join_keys={"k": DType.STRING})

Rows = list[tuple[str, int, float | None]]
"""Key, hours after the start, value."""


SOURCES = {
    removed_rows: ParquetSource("rows", path="rows/*.parquet", event_timestamp="at", removed_rows=removed_rows)
    for removed_rows in ("hold", "follow", "keep")
}


def source(removed_rows: str = "hold") -> ParquetSource:
    return SOURCES[removed_rows]


def view(removed_rows: str = "hold", **written: Any) -> FeatureView:
    if "sql" not in written:
        written["source"] = source(removed_rows)
    return FeatureView("view", entity=THING, **written)


@dataclass
class Shop:
    """A project of one view, and what happens to its source."""

    project: SmallProject

    def write(self, name: str, rows: Rows) -> None:
        keys, hours, values = zip(*rows, strict=True) if rows else ((), (), ())
        columns = {
            "k": pa.array(keys, pa.string()),
            "at": pa.array([START + hour * HOUR for hour in hours], MOMENT),
            "x": pa.array(values, pa.float64()),
        }
        self.project.write(f"rows/{name}.parquet", pa.table(columns))

    def write_sizes(self, sizes: dict[str, float]) -> None:
        columns = {"k": list(sizes), "since": pa.array([START] * len(sizes), MOMENT), "size": list(sizes.values())}
        self.project.write("sizes.parquet", pa.table(columns))

    def remove(self, name: str) -> None:
        (self.project.data / f"rows/{name}.parquet").unlink()

    def apply(self, *declared: Declaration, now: datetime = NOW) -> None:
        self.project.apply(*declared, now=now)

    def fill(self, *, now: datetime = NOW, **asked: Any) -> list[ChunkFilled]:
        return list(fill_views(FillRequest(self.project.graph.views, **asked), self.project.offline, now=now))

    @property
    def view(self) -> ResolvedView:
        return self.project.graph.view("view")

    @property
    def held(self) -> HeldRows | None:
        return held_rows(self.view, self.project.offline.coverage.coverage(self.view.table))

    def trained(self, *asked: tuple[str, int], feature: str = "x") -> list[object]:
        spine = pa.table({"k": [key for key, _ in asked], "at": [START + hour * HOUR for _, hour in asked]})
        spine = spine.set_column(1, "at", spine["at"].cast(MOMENT))
        found = self.project.training_set(spine, self.project.features("view:*"), now=NOW)
        values: list[object] = found[f"view__{feature}"].to_pylist()
        return values

    def online(self, *keys: str, now: datetime = NOW) -> list[tuple[object, ...]]:
        """What is answered once the online store has been brought up to date."""
        self.project.materialize(now)
        answer = self.project.lookup(self.project.features("view:*"), [{"k": key} for key in keys], now)
        return list(zip(*(column.values for column in answer.columns), strict=True))
