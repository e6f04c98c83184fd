"""Answers as strict JSON."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from featurestore.intervals import Interval
from featurestore.plan.stages import Change, ChangeKind
from sdk.cli.json_text import json_text

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), '"NaN"'),
        (-float("inf"), '"-Infinity"'),
        (NOON, '"2026-01-31T12:00:00Z"'),
        (NOON.replace(microsecond=5, tzinfo=None), '"2026-01-31T12:00:00.000005Z"'),
        (date(2026, 1, 31), '"2026-01-31"'),
        (Decimal("1E-10"), '"0.0000000001"'),
        ([Decimal("1.50"), None], '["1.50", null]'),
        (timedelta(hours=1), '"1h"'),
        (Path("a/b"), '"a/b"'),
        (2**60, "1152921504606846976"),
        ("\ud800", r'"\ud800"'),
        ({1: (True, None)}, '{"1": [true, null]}'),
        (Interval(NOON, NOON + timedelta(days=1)), '{"start": "2026-01-31T12:00:00Z", "end": "2026-02-01T12:00:00Z"}'),
        (
            Change(ChangeKind.ADDED, "view:a", ("x",)),
            '{"kind": "added", "what": "view:a", "features": ["x"], "because": []}',
        ),
    ],
)
def test_every_value_has_a_form_in_json(value: object, text: str) -> None:
    assert json_text(value, indent=None) == text
    json.loads(text)


def test_what_has_no_form_is_not_guessed() -> None:
    with pytest.raises(TypeError, match="object has no form in JSON"):
        json_text(object())
