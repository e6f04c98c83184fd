"""What a client promises of online lookups, in this process and over HTTP: the same values to the bit and the type."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from time import monotonic, sleep

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from featurestore.errors import EntityRowsError, InvalidRequest, LookupInThePast
from sdk import Client, OnlineResult
from tests.service.conftest import apply_all, connected
from tests.small_project import NOW, SPINE, SmallProject

SHOPS: list[object] = ["alma", "ботик", "café 東京", "closed", "new", "nobody", None]
ROWS = [{"shop": shop, "basket": 1.0} for shop in SHOPS]


def statuses(result: OnlineResult, column: str) -> list[str]:
    return [row[column] for row in result.statuses()]


def values(result: OnlineResult, column: str) -> list[object]:
    return [row[column] for row in result.to_dicts()]


def test_every_value_has_a_status_that_says_why_it_is_what_it_is(client: Client) -> None:
    result = client.online(service="shops_v1", entities=ROWS)

    facts = ["present", "present", "null", "expired", "present", "missing", "missing"]
    assert statuses(result, "shop_facts__visitors") == facts
    assert statuses(result, "shop_orders__amount_mean_1d") == [
        "present", "null", "null", "missing", "missing", "missing", "missing",
    ]  # fmt: skip
    assert values(result, "shop_orders__orders_7d") == [2, 1, 1, 0, 0, 0, 0]


def test_values_arrive_to_the_bit_and_the_type(client: Client) -> None:
    result = client.online(features=["shop_facts:*"], entities=ROWS[:5])

    assert repr(values(result, "shop_facts__score")) == "[0.30000000000000004, nan, -inf, None, None]"
    assert values(result, "shop_facts__visitors") == [2**53 + 1, -(2**53) - 1, None, None, 2**63 - 1]
    assert values(result, "shop_facts__city") == ["Łódź", 'a"b\\c\n', "東京", None, None]
    opened = values(result, "shop_facts__opened")
    assert repr(opened[0]) == "datetime.datetime(2024, 3, 9, 23, 59, 59, 999999, tzinfo=datetime.timezone.utc)"


def test_event_timestamps_say_when_the_row_happened(client: Client) -> None:
    result = client.online(features=["shop_facts:city"], entities=ROWS)

    told = [row["shop_facts__city"] for row in result.event_timestamps()]
    assert told[:2] == [NOW - timedelta(days=5), NOW - timedelta(days=4)]
    assert told[-2:] == [None, None]
    assert result.at == NOW


def test_an_answer_becomes_arrow_and_pandas_with_the_features_types(client: Client) -> None:
    result = client.online(service="shops_v1", entities=ROWS)

    assert result.to_arrow().schema.field("shop_facts__visitors").type == pa.int64()
    assert result.to_arrow().schema.field("shop_facts__opened").type == pa.timestamp("us", tz="UTC")
    assert result.to_pandas()["shop_facts__visitors"].dtype == pd.Int64Dtype()


def test_an_online_answer_is_the_training_row_of_that_moment(client: Client) -> None:
    at_the_end = SPINE.filter(pa.compute.equal(SPINE["event_timestamp"], NOW))
    expected = client.training_set(at_the_end, service="shops_v1").to_arrow()
    rows = at_the_end.select(["shop", "basket"]).to_pylist()

    answer = client.online(service="shops_v1", entities=rows).to_arrow()

    assert repr(answer.to_pylist()) == repr(expected.select(answer.column_names).to_pylist())


def test_a_model_keeps_its_features_when_the_definition_changes(client: Client, project: SmallProject) -> None:
    dataset = client.training_set(SPINE, service="shops_v1")
    client.register_model("worth", b"model", dataset=dataset.id)
    client.models.set_alias("worth", "champion", 1)
    before = client.online(model="worth@champion", entities=ROWS)
    project.redefine('fs.Aggregate("amount", fs.sum', 'fs.Aggregate("amount * 100", fs.sum, name="amount_sum"')
    apply_all(project.folder)

    after = client.online(model="worth@1", entities=ROWS)

    assert repr(after.details) == repr(before.details)
    assert values(client.online(service="shops_v1", entities=ROWS), "shop_orders__amount_sum_7d") != values(
        after, "shop_orders__amount_sum_7d"
    )


def test_a_moved_alias_means_the_other_versions_features(client: Client) -> None:
    for features in (["shop_facts:city"], ["shop_facts:score"]):
        client.register_model("m", b"m", dataset=client.training_set(SPINE, features=features).id)
    columns = []
    for version in (1, 2, 1):
        client.models.set_alias("m", "champion", version)
        columns.append(client.online(model="m@champion", entities=ROWS).columns)

    assert columns == [("shop_facts__city",), ("shop_facts__score",), ("shop_facts__city",)]


def test_soon_after_an_apply_elsewhere_lookups_see_the_new_features(client: Client, project: SmallProject) -> None:
    client.online(service="shops_v1", entities=ROWS)
    project.redefine('windows=["1d", "7d"], name="orders"', 'windows=["1d", "7d", "2d"], name="orders"')
    apply_all(project.folder)

    give_up = monotonic() + 20
    while "shop_orders__orders_2d" not in client.online(service="shops_v1", entities=ROWS).columns:
        assert monotonic() < give_up
        sleep(0.05)


def test_the_moment_of_a_replay_may_be_named_unless_the_store_has_passed_it(client: Client) -> None:
    later = client.online(features=["shop_facts:city"], entities=ROWS[:1], at=NOW + timedelta(days=25))

    assert later.at == NOW + timedelta(days=25)
    assert statuses(later, "shop_facts__city") == ["expired"]
    with pytest.raises(LookupInThePast, match="only the newest rows"):
        client.online(features=["shop_facts:city"], entities=ROWS[:1], at=NOW - timedelta(hours=1))


def test_a_moment_without_a_zone_is_in_utc(client: Client) -> None:
    naive = (NOW + timedelta(hours=1)).replace(tzinfo=None)

    assert client.online(features=["shop_facts:city"], entities=ROWS[:1], at=naive).at == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    "basket", [1, 0.5, float("nan"), float("inf"), float("-inf"), -0.0, None, np.float64(0.25), np.int64(3)]
)
def test_request_inputs_of_every_kind_arrive(client: Client, basket: object) -> None:
    [row] = client.online(features=["basket_share"], entities=[{"shop": "alma", "basket": basket}]).to_dicts()

    total = client.online(features=["shop_orders:amount_sum_7d"], entities=ROWS[:1]).to_dicts()[0]
    share = None if basket is None else float(basket) / total["shop_orders__amount_sum_7d"]  # type: ignore[arg-type, operator]
    assert repr(row["basket_share"]) == repr(share)


def test_no_rows_give_no_values(client: Client) -> None:
    result = client.online(service="shops_v1", entities=[])

    assert (result.rows, result.to_dicts(), result.to_arrow().num_rows) == (0, [], 0)


def test_ten_thousand_entities_are_answered_at_once(client: Client) -> None:
    rows = [{"shop": f"shop {number}"} for number in range(9_999)]

    result = client.online(features=["shop_facts:city"], entities=[*rows, {"shop": "alma"}])

    assert result.to_dicts()[-1] == {"shop_facts__city": "Łódź"}


def test_the_async_twin_gives_the_same(project: SmallProject) -> None:
    async def ask(mode: str) -> list[OnlineResult]:
        with connected(project.folder, mode) as client:
            async with client:
                lookups = [client.online_async(service="shops_v1", entities=ROWS) for _ in range(5)]
                return [*await asyncio.gather(*lookups), client.online(service="shops_v1", entities=ROWS)]

    answers = [repr(answer) for mode in ("path", "http") for answer in asyncio.run(ask(mode))]

    assert len(answers) == 12
    assert len(set(answers)) == 1


def test_both_transports_give_the_same_answer(project: SmallProject) -> None:
    answers = []
    for mode in ("path", "http"):
        with connected(project.folder, mode) as client:
            answers.append(client.online(service="shops_v1", entities=ROWS))

    assert repr(answers[0]) == repr(answers[1])


def test_texts_are_no_dates_and_dates_no_texts(client: Client) -> None:
    for shop in (date(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), float("nan"), 7):
        with pytest.raises(EntityRowsError, match=r"'shop' is .*, expected string"):
            client.online(features=["shop_facts:city"], entities=[{"shop": shop}])


def test_entities_may_be_given_as_columns(client: Client) -> None:
    baskets: list[object] = [1.0] * len(SHOPS)
    by_columns = client.online(service="shops_v1", entities={"shop": SHOPS, "basket": baskets})
    by_rows = client.online(service="shops_v1", entities=ROWS)

    assert repr(by_columns.to_dicts()) == repr(by_rows.to_dicts())
    assert repr(by_columns.to_columns()) == repr({n: values(by_rows, n) for n in by_rows.columns})


def test_columns_that_do_not_go_together_are_refused(client: Client) -> None:
    with pytest.raises(EntityRowsError, match="different numbers of values: 'shop' has 7, 'basket' has 1"):
        client.online(service="shops_v1", entities={"shop": SHOPS, "basket": list[object]([1.0])})
    with pytest.raises(EntityRowsError, match="no column 'basket'"):
        client.online(service="shops_v1", entities={"shop": SHOPS})


def test_a_matrix_has_the_features_in_their_order_and_nan_for_null(client: Client) -> None:
    result = client.online(features=["shop_facts:score", "shop_orders:orders_1d"], entities=ROWS)

    matrix = result.to_numpy()

    expected = [[np.nan if value is None else float(value) for value in row.values()] for row in result.to_dicts()]  # type: ignore[arg-type]
    assert np.array_equal(matrix, np.array(expected), equal_nan=True)


def test_a_matrix_of_texts_is_refused(client: Client) -> None:
    with pytest.raises(InvalidRequest, match=r"shop_facts__city \(string\)"):
        client.online(features=["shop_facts:city"], entities=ROWS).to_numpy()
