"""What the service `everything` of `tests/property/catalogue.py` must answer, by the oracle alone.

Rows are sorted into the views' keys once; for each row of a spine, each view then looks at all rows of its key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from tests.property.catalogue import (
    HOUR,
    LAST,
    PERCENTILES,
    ROW_LEVEL,
    VALUES,
    WINDOWED,
    Choices,
    Rows,
    Windows,
    aggregate_name,
    window_name,
)
from tests.property.oracle import EPOCH, NOTHING, Row, aggregate, in_order, in_window, last_of, newest, percentile_of

_Key = tuple[object, ...]


class Expected:
    """Every column that the service gives, when its views were filled at `now`."""

    def __init__(self, events: Sequence[dict[str, Any]], choices: Choices, now: datetime) -> None:
        self._choices = choices
        self._ends = {view.name: filled_to(now, view.known, view.every(choices), choices) for view in WINDOWED}
        self._rows: dict[str, dict[_Key, list[Row]]] = {}
        for view in WINDOWED:
            rows = _rows(events, view.keys, view.known, {name: name for name in VALUES}, choices)
            self._rows[view.name] = _by_key(row for row in rows if row.event < self._ends[view.name])
        for table in ROW_LEVEL:
            rows = _rows(events, table.keys, table.known, table.columns, choices)
            end = filled_to(now, table.known, HOUR, choices)
            self._rows[table.name] = _by_key(row for row in rows if row.event <= end)

    def answer(self, asked: dict[str, Any]) -> dict[str, object]:
        """The columns for one row of the spine."""
        found: dict[str, object] = {}
        for view in WINDOWED:
            for prefix, keys in _roles(view.name, view.keys):
                found |= self._windowed(prefix, view, tuple(asked[name] for name in keys), asked["at"])
        for table in ROW_LEVEL:
            for prefix, keys in _roles(table.name, table.keys):
                found |= self._newest(prefix, table, tuple(asked[name] for name in keys), asked["at"])
        return found | {"ratio": _ratio(asked["note"], found["all__rows_6h"], found["newest_by_k__x"])}

    def _windowed(self, prefix: str, view: Windows, key: _Key, moment: datetime) -> Iterator[tuple[str, object]]:
        choices, rows = self._choices, self._rows[view.name].get(key, [])
        every, last = view.every(choices), last_boundary(self._ends[view.name], view, choices)
        for window in view.windows:
            inside = in_window(
                rows, key, moment, every=every, window=window, last=last, publish_delay=choices.publish_delay
            )
            counted = {False: inside, True: [row for row in inside if (row.values["n"] or 0) > 0]}  # type: ignore[operator]
            for column, function, filtered in view.aggregates:
                name = f"{prefix}__{aggregate_name(column, function, filtered)}_{window_name(window)}"
                if column == "*":
                    yield name, len(counted[filtered])
                else:
                    yield name, _aggregated(function, in_order(counted[filtered], column))

    def _newest(self, prefix: str, table: Rows, key: _Key, moment: datetime) -> Iterator[tuple[str, object]]:
        row = newest(
            self._rows[table.name].get(key, []),
            key,
            moment,
            ttl=self._choices.ttl if table.mortal else None,
            publish_delay=self._choices.publish_delay,
        )
        for name in table.columns:
            yield f"{prefix}__{name}", None if row is None else row.values[name]


def _aggregated(function: str, values: Sequence[object]) -> object:
    if function in PERCENTILES:
        return percentile_of(values, PERCENTILES[function])
    return last_of(values, LAST[function]) if function in LAST else aggregate(function, values)


def filled_to(now: datetime, known: str, step: timedelta, choices: Choices) -> datetime:
    """What happened before this is filled at `now`: whole steps, and only what is known by then. Of a row-level view
    what happened just then is filled, too."""
    known_to = now - (choices.delay if known == "delay" else NOTHING)
    return EPOCH + (known_to - EPOCH) // step * step


def last_boundary(end: datetime, view: Windows, choices: Choices) -> datetime:
    """The last boundary before which everything that was known by then is filled. What happens at `end` is not."""
    if view.known != "delay" or not choices.delay:
        return end
    known = end + choices.delay - timedelta(microseconds=1)
    return EPOCH + (known - EPOCH) // view.every(choices) * view.every(choices)


def _ratio(note: float | None, rows: object, newest_x: object) -> float | None:
    """The on-demand feature, by the rules of floating-point numbers."""
    assert isinstance(rows, int)
    assert newest_x is None or isinstance(newest_x, float)
    if note is None:
        return None
    with np.errstate(all="ignore"):
        return float(np.float64(note) / np.float64(rows) + np.float64(0.0 if newest_x is None else newest_x))


def _roles(name: str, keys: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield name, keys
    if name in ("newest_by_k", "late_by_k"):
        yield f"other_{name}", ("other",)


def _by_key(rows: Iterator[Row]) -> dict[_Key, list[Row]]:
    found = defaultdict(list)
    for row in rows:
        found[row.key].append(row)
    return found


def _rows(
    events: Sequence[dict[str, Any]], keys: tuple[str, ...], known: str, columns: dict[str, str], choices: Choices
) -> list[Row]:
    """The events as rows of a view, without those that can not be stored."""
    rows = []
    for event in events:
        key = tuple(event.get(name) for name in keys)
        happened, arrived = event["happened"], event["known"]
        if known == "delay" and happened is not None:
            arrived = happened + choices.delay
        if happened is None or arrived is None or None in key or (known == "sql" and event.get("b") is False):
            continue
        rows.append(Row(key, happened, arrived, {name: event.get(column) for name, column in columns.items()}))
    return rows
