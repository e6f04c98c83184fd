"""Sixty days of a small shop, the same on every machine: orders, visits, and the checkouts to make a training set of.

It is made up, but not tidy: orders arrive late, some customers stop coming, one never ordered.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

END = datetime(2026, 1, 31, tzinfo=UTC)
"""The clock of the starter's settings."""
DAYS = 60
CUSTOMERS = 20
_SEED = 2026
_DEVICES = ("phone", "laptop", "tablet")


@dataclass(frozen=True, slots=True)
class _Order:
    customer: int
    at: datetime
    loaded_at: datetime
    amount: float
    refunded: bool


def write_sample_data(folder: Path) -> None:
    """Write `orders.parquet`, `visits.parquet` and `checkouts.parquet` into `folder`."""
    import pyarrow.parquet as pq

    chance = random.Random(_SEED)  # noqa: S311 - sample data, not secrets
    orders = sorted(_orders(chance), key=lambda order: (order.at, order.customer))
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(_order_table(orders), folder / "orders.parquet")
    pq.write_table(_visit_table(chance, orders), folder / "visits.parquet")
    pq.write_table(_checkout_table(orders), folder / "checkouts.parquet")


def _orders(chance: random.Random) -> Iterator[_Order]:
    """The last customer never orders; every fifth stops coming ten days before the end."""
    for customer in range(1, CUSTOMERS):
        last = END - timedelta(days=10 if customer % 5 == 0 else 0)
        usual, careless = chance.uniform(15, 120), chance.uniform(0.02, 0.3)
        at = END - timedelta(days=DAYS) + _minutes(chance, 3 * 24 * 60)
        while at < last:
            amount = round(usual * chance.lognormvariate(0, 0.4), 2)
            refunded = chance.random() < careless * (2 if amount > 1.5 * usual else 1)
            yield _Order(customer, at, at + _minutes(chance, 180), amount, refunded)
            at += timedelta(hours=1) + _minutes(chance, 4 * 24 * 60)


def _order_table(orders: list[_Order]) -> pa.Table:
    return _table(
        customer_id=[order.customer for order in orders],
        ordered_at=[order.at for order in orders],
        loaded_at=[order.loaded_at for order in orders],
        amount=[order.amount for order in orders],
        refunded=[order.refunded for order in orders],
    )


def _visit_table(chance: random.Random, orders: list[_Order]) -> pa.Table:
    """A visit before each order, and as many without one."""
    visits = [(order.customer, order.at - _minutes(chance, 50) - timedelta(minutes=5)) for order in orders]
    visits += [(customer, at + _minutes(chance, 2 * 24 * 60)) for customer, at in visits]
    visits = sorted(((customer, at) for customer, at in visits if at < END), key=lambda visit: (visit[1], visit[0]))
    return _table(
        customer_id=[customer for customer, _ in visits],
        visited_at=[at for _, at in visits],
        device=[chance.choice(_DEVICES) for _ in visits],
        seconds=[chance.randrange(20, 1800) for _ in visits],
    )


def _checkout_table(orders: list[_Order]) -> pa.Table:
    """The spine: each order of the second month, a minute before it is placed, and whether it was refunded."""
    checkouts = [order for order in orders if order.at > END - timedelta(days=30)]
    return _table(
        customer_id=[order.customer for order in checkouts],
        event_timestamp=[order.at - timedelta(minutes=1) for order in checkouts],
        basket=[order.amount for order in checkouts],
        refunded=[order.refunded for order in checkouts],
    )


def _table(**columns: list[Any]) -> pa.Table:
    import pyarrow as pa

    moment = pa.timestamp("us", tz="UTC")
    arrays = {
        name: pa.array(values, moment if values and isinstance(values[0], datetime) else None)
        for name, values in columns.items()
    }
    return pa.table(arrays)


def _minutes(chance: random.Random, most: int) -> timedelta:
    return timedelta(minutes=chance.randrange(most))
