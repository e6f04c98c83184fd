"""A project small enough to know by heart: shops with their orders (windowed), facts (row-level) and a basket.

Every kind of value that is easily lost on the way is in it: NaN, infinities, integers beyond 2^53, names in any script.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

NOW = datetime(2024, 3, 10, tzinfo=UTC)
DAY = timedelta(days=1)
MOMENT = pa.timestamp("us", tz="UTC")
BIG = 2**53 + 1

SETTINGS = f"""\
name = "shops"
clock = {NOW.isoformat()}

[engine]
threads = 1
"""

DEFINITIONS = '''\
"""Shops: their orders, their facts, and the worth of a basket."""

import featurestore as fs

shop = fs.Entity("shop", join_keys={"shop": fs.String})
orders = fs.ParquetSource("orders", path="orders/*.parquet", event_timestamp="ordered_at")
facts = fs.ParquetSource("facts", path="facts.parquet", event_timestamp="recorded_at")

shop_orders = fs.FeatureView(
    "shop_orders",
    entity=shop,
    source=orders,
    every="1h",
    features=[
        fs.Aggregate("*", fs.count, windows=["1d", "7d"], name="orders"),
        fs.Aggregate("amount", fs.sum, windows=["7d"]),
        fs.Aggregate("amount", fs.mean, windows=["1d", "7d"]),
    ],
    owner="shops",
)

shop_facts = fs.FeatureView(
    "shop_facts",
    entity=shop,
    source=facts,
    ttl="30d",
    features=[fs.Feature("score"), fs.Feature("visitors"), fs.Feature("city"), fs.Feature("opened")],
    owner="shops",
)

basket_share = fs.OnDemandFeature(
    "basket_share", expression="basket / shop_orders:amount_sum_7d", inputs={"basket": fs.Float64}
)

shops_v1 = fs.FeatureService("shops_v1", features=[shop_orders, shop_facts, basket_share])
'''


@dataclass(frozen=True)
class SmallProject:
    """Its folder. Change the definitions or append to the sources; then apply and materialize."""

    folder: Path

    def redefine(self, old: str, new: str) -> None:
        file = self.folder / "definitions" / "shops.py"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def append_orders(self, name: str, rows: list[tuple[str, datetime, float | None]]) -> None:
        shops, moments, amounts = zip(*rows, strict=True)
        table = pa.table(
            {
                "shop": pa.array(shops),
                "ordered_at": pa.array(moments, MOMENT),
                "amount": pa.array(amounts, pa.float64()),
            }
        )
        pq.write_table(table, self.folder / "data" / "orders" / f"{name}.parquet")


def small_project(folder: Path) -> SmallProject:
    """Write it into `folder`: settings, definitions and sources. Nothing is applied yet."""
    (folder / "definitions").mkdir(parents=True)
    (folder / "data" / "orders").mkdir(parents=True)
    (folder / "knownat.toml").write_text(SETTINGS)
    (folder / "definitions" / "shops.py").write_text(DEFINITIONS)
    project = SmallProject(folder)
    project.append_orders("first", ORDERS)
    pq.write_table(FACTS, folder / "data" / "facts.parquet")
    return project


ORDERS: list[tuple[str, datetime, float | None]] = [
    ("alma", NOW - 9 * DAY, 8.0),
    ("alma", NOW - 2 * DAY, 0.1),
    ("alma", NOW - timedelta(hours=5), 0.2),
    ("ботик", NOW - 3 * DAY, float("nan")),
    ("café 東京", NOW - timedelta(hours=7), None),
    ("closed", NOW - 60 * DAY, 1.5),
]

FACTS = pa.table(
    {
        "shop": ["alma", "ботик", "café 東京", "closed", "new"],
        "recorded_at": pa.array([NOW - 5 * DAY, NOW - 4 * DAY, NOW - 3 * DAY, NOW - 50 * DAY, NOW - DAY], MOMENT),
        "score": pa.array([0.1 + 0.2, float("nan"), float("-inf"), 1.0, None], pa.float64()),
        "visitors": pa.array([BIG, -BIG, None, 1, 2**63 - 1], pa.int64()),
        "city": ["Łódź", 'a"b\\c\n', "東京", "x", None],
        "opened": pa.array([NOW - timedelta(microseconds=1), NOW, None, NOW, NOW], MOMENT),
    }
)

SPINE = pa.table(
    {
        "shop": ["alma", "alma", "ботик", "café 東京", "closed", "nobody", None],
        "event_timestamp": pa.array(
            [NOW - DAY, NOW, NOW, NOW, NOW - 49 * DAY, NOW, NOW - timedelta(microseconds=1)], MOMENT
        ),
        "basket": pa.array([1.0, 2.0, float("inf"), None, 0.5, 1.0, 1.0], pa.float64()),
        "late": [True, False, True, False, None, True, False],
    }
)
