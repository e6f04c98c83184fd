"""The small project as tests of audits use it: filled, online, and changed behind the feature store's back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.graph.resolved import ResolvedView
from featurestore.ports.online_store import OnlineTable
from registry.wiring import open_project as wire_folder
from sdk import connect, open_project
from sdk.audits import AuditReport, AuditResult
from tests.small_project import NOW, SmallProject
from tests.stored_bytes import Bytes, decoded, encoded


@dataclass(frozen=True)
class Shop:
    """A project that is online up to NOW, and the bytes in its store."""

    project: SmallProject
    stored: Bytes

    def view(self, name: str) -> ResolvedView:
        wired = wire_folder(self.project.folder)
        applied = wired.features.project.catalog.current()
        wired.close()
        assert applied is not None
        return applied.graph.view(name)

    def table(self, name: str) -> OnlineTable:
        return OnlineTable.of(self.view(name))

    def change(self, name: str, shop: str, **changed: object) -> None:
        """Write over some values of a row, or its times."""
        table = self.table(name)
        row = decoded(table, self.stored.get(table, (shop,)))
        values = dict(zip((column.name for column in table.values), row.values, strict=True))
        times = {time: changed.pop(time) for time in ("event_timestamp", "known_at") if time in changed}
        assert set(changed) <= set(values)
        row = replace(row, values=tuple((values | changed).values()), **times)  # type: ignore[arg-type]
        self.stored.put(table, (shop,), encoded(table, (shop,), row))

    def add_facts(self, *rows: dict[str, object]) -> None:
        path = self.project.folder / "data" / "facts.parquet"
        table = pq.read_table(path)
        pq.write_table(pa.concat_tables([table, pa.Table.from_pylist(list(rows), table.schema)]), path)

    def backfill(self, *, clock: datetime = NOW) -> None:
        with open_project(self.project.folder, settings={"clock": clock.isoformat()}) as opened:
            assert list(opened.backfill())

    def audit(self, *views: str, clock: datetime = NOW, sample: int = 1000) -> AuditReport:
        with connect(self.project.folder, settings={"clock": clock.isoformat()}) as client:
            return client.audits(views=views or None, sample=sample)

    def audit_one(self, view: str, *, clock: datetime = NOW) -> AuditResult:
        [found] = self.audit(view, clock=clock).views
        return found


def materialized(shop: Shop, *, until: datetime = NOW, full: bool = False) -> Shop:
    with open_project(shop.project.folder) as opened:
        list(opened.materialize(until=until, full=full))
    return shop


def causes(found: AuditResult) -> dict[str, int]:
    """How many values differ for each cause; what is counted must be what is listed, and sum up."""
    listed = Counter(difference.cause for difference in found.differences)
    assert {one.cause: one.differing for one in found.causes} == listed
    assert found.differing == sum(listed.values())
    assert all(one.remedy for one in found.causes)
    assert all(difference.evidence for difference in found.differences)
    return dict(listed)


def told(found: AuditResult) -> list[tuple[object, str, object, object, str]]:
    return [(one.key["shop"], one.feature, one.online, one.offline, one.status) for one in found.differences]
