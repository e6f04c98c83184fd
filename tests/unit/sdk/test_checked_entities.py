"""Rows as people have them, of plain Python, NumPy or pandas: the same values, however they are asked."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from enum import IntEnum
from typing import Any

import numpy as np
import pandas as pd
import pytest

from featurestore.errors import EntityRowsError
from featurestore.service.wire import rows_of
from sdk.entities import checked_entities, entities_json, plain_rows


class Shop(IntEnum):
    ALMA = 7


MOMENT = datetime(2024, 3, 10, 12, 0, 0, 123_456)  # noqa: DTZ001 - NumPy's moments have no zone


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.int8(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.array([1.5, 2.0]), [1.5, 2.0]),
        (Shop.ALMA, 7),
        (np.datetime64("2024-03-10T12:00:00.123456789"), MOMENT),
        (np.datetime64("2024-03-10T12:00:00.123456"), MOMENT),
        (np.array(["2024-03-10T12:00:00.123456789"], "datetime64[ns]"), [MOMENT]),
        (pd.Timestamp("2024-03-10T12:00:00.123456789"), MOMENT),
        (pd.Timestamp("2024-03-10T12:00:00.123456789", tz="UTC"), MOMENT.replace(tzinfo=UTC)),
        (date(2024, 3, 10), date(2024, 3, 10)),
        (pd.NaT, None),
        (np.datetime64("NaT"), None),
    ],
)
def test_a_value_is_the_same_in_this_process_and_over_http(value: object, plain: object) -> None:
    [row] = plain_rows([{"x": value}])
    [sent] = rows_of(json.loads(json.dumps(entities_json((row,)), allow_nan=False)))

    assert row == sent == {"x": plain}
    assert checked_entities([{"x": value}]) == (row,)
    assert type(row["x"]) is type(plain)


@pytest.mark.parametrize("value", [np.longdouble(1.5), np.complex128(1), np.timedelta64(1, "ns"), b"a", {1}, pd.NA])
def test_what_is_no_value_of_any_type_is_refused(value: Any) -> None:
    with pytest.raises(EntityRowsError, match="Row 0: 'x' is"):
        checked_entities([{"x": value}])
