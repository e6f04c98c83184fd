"""How long rows must be kept online: by the view's TTL, and as long as those they are written beside."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from featurestore.graph.resolved import ResolvedView
from featurestore.operations.kept_online import kept_online
from featurestore.ports.online_store import Filled

DAY = timedelta(days=1)
VIEW = ResolvedView("v", "f" * 64, None, (), "", (), (), None, (), DAY, timedelta(0), None)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ttl", "beside", "kept"),
    [
        (DAY, None, 2 * DAY),
        (None, None, None),
        (DAY, Filled(NOON, 8 * DAY), 8 * DAY),
        (7 * DAY, Filled(NOON, 2 * DAY), 8 * DAY),
        (DAY, Filled(NOON, None), None),
        (None, Filled(NOON, 2 * DAY), None),
    ],
)
def test_a_row_is_kept_a_day_longer_than_its_ttl_and_no_shorter_than_others(
    ttl: timedelta | None, beside: Filled | None, kept: timedelta | None
) -> None:
    assert kept_online(replace(VIEW, ttl=ttl), beside) == kept
