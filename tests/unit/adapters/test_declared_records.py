"""Declarations go as plain values and come back as they were."""

from __future__ import annotations

import json
from typing import Any

import pytest

import featurestore as fs
from featurestore.adapters.declared_records import Records, Untold, records_of
from featurestore.spec.declarations import Declaration

shop = fs.Entity("shop", join_keys={"shop": fs.String, "day": fs.Date}, tags=["a"], description="ü\ud800")
orders = fs.ParquetSource("orders", path="o", event_timestamp="at", delay="90s", removed_rows="follow")
parts = fs.ParquetSource("parts", path="p", event_timestamp="at", partitions={"day": fs.Date})
rates = fs.CsvSource("rates", path="r", event_timestamp="at", columns={"x": fs.Decimal(18, 2)}, null_text=["", "NA"])
delta = fs.DeltaSource("delta", path="d", event_timestamp="at", version=0, known_at="seen")
query = fs.SqlSource("customers", connection="shop", query="SELECT 1", event_timestamp="at")
visits = fs.FrameSource("visits", columns={"at": fs.Timestamp, "v": fs.List(fs.Int8)}, event_timestamp="at")
sums = fs.FeatureView(
    "sums", entity=shop, source=orders, every="1h", publish_delay="10m", lateness="1d",
    features=[
        fs.Aggregate("x", fs.sum, windows=["1d", "lifetime"], where="x > 0"),
        fs.Aggregate("x", fs.percentile(99.9), windows=["7d"]),
        fs.Aggregate("x", fs.last_n(3), windows=["7d"]),
    ],
)  # fmt: skip
rows = fs.FeatureView("rows", entity=shop, sql="SELECT 1", features=["a", fs.Feature("b", "a + 1")], ttl="30d")
share = fs.OnDemandFeature("share", expression="a / rows:a", inputs={"a": fs.Embedding(3)})
service = fs.FeatureService("all", features=[sums, rows["a"], rows.role("other", shop="other_shop"), share])
EVERYTHING: list[Declaration] = [shop, orders, parts, rates, delta, query, visits, sums, rows, share, service]


def there_and_back(*declared: Declaration) -> list[Any]:
    records = Records()
    places = [records.place(one) for one in declared]
    made = records_of(json.loads(json.dumps(records.told)))
    return [made[place] for place in places]


def test_every_kind_of_declaration_comes_back_equal_and_with_its_place() -> None:
    found = there_and_back(*EVERYTHING)

    assert found == EVERYTHING
    assert list(map(repr, found)) == list(map(repr, EVERYTHING))
    assert [one.declared_at for one in found] == [one.declared_at for one in EVERYTHING]
    assert [feature.declared_at for feature in found[7].features] == [feature.declared_at for feature in sums.features]


def test_what_was_one_object_is_one_again_and_two_equal_ones_are_two() -> None:
    twin = fs.Entity("shop", join_keys={"shop": fs.String, "day": fs.Date}, tags=["a"], description="ü\ud800")

    entity, other, view, second = there_and_back(shop, twin, sums, rows)

    assert view.entity is entity
    assert second.entity is entity
    assert other == entity
    assert other is not entity


class Numbers(fs.FeatureView):
    """A view with a default of the user's own."""

    def __init__(self, name: str) -> None:
        super().__init__(name, entity=shop, source=orders, features=["n"])


def test_a_class_of_ones_own_declares_what_it_extends() -> None:
    (found,) = there_and_back(Numbers("n"))

    assert type(found) is fs.FeatureView
    assert (found.name, found.features) == ("n", Numbers("n").features)


def test_what_no_declaration_can_hold_is_told_with_its_place() -> None:
    odd = fs.Entity("odd", join_keys={"id": fs.String}, owner={"team": "ops"})  # type: ignore[arg-type]

    with pytest.raises(Untold, match=r"owner of Entity can not be \{'team': 'ops'\} \(dict\)") as caught:
        Records().place(odd)

    assert caught.value.declared_at == odd.declared_at
