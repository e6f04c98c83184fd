"""`knownat status`: how far each view is filled, offline and online, and how late it gets there."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sdk.cli.invocation import Invocation, client_command
from sdk.cli.output import lines, table

if TYPE_CHECKING:
    from rich.console import RenderableType

_HEADERS = (
    "view", "table", "version", "rows", "offline to", "online to", "rows too late", "publish delay", "true delay"
)  # fmt: skip
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


@client_command
def status(call: Invocation) -> None:
    """Show for each view its rows, up to when it is filled offline and online, rows that came too late for it, and how
    long values really take until they are online: the median of the last runs, and the worst."""
    with call.client() as client:
        views = client.status()
    call.output.answer({"views": views}, lambda: _text(views))


def _text(views: list[dict[str, Any]]) -> RenderableType:
    from rich.console import Group

    rows = [
        (
            one["view"], one["table"], one["version"], one["rows"], _moment(one["offline_to"]),
            _moment(one["online_to"]), one["late_rows"], one["publish_delay"], _true_delay(one["true_publish_delay"]),
        )
        for one in views
    ]  # fmt: skip
    late = [one for one in views if one["exceeds_declared"]]
    told = [
        f"'{one['view']}' took up to {shown_duration(one['true_publish_delay']['worst_seconds'])} until it was online, "
        f"and declares a publish_delay of {one['publish_delay']}."
        for one in late
    ]
    if late:
        told.append(
            "Training sets hold values sooner than serving had them. Next: knownat training-set --as-served joins what "
            "was online."
        )
    for one in views:
        if one["held_rows"]:
            told.append(
                f"'{one['view']}' holds {one['held_rows']:,} rows or tiles that are gone from its sources. "
                f"Next: knownat backfill {one['view']} tells which, and what to do."
            )
    told += [
        f"'{one['view']}' was filled as of {one['filled_ahead']}, which has not come by this clock. If it was the "
        f"other one that was ahead: knownat run --due --set-back {one['view']} fills it as of now."
        for one in views
        if one["filled_ahead"]
    ]
    return Group(table(_HEADERS, rows), *([lines(*told)] if told else []))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _true_delay(delay: dict[str, Any] | None) -> str | None:
    if delay is None:
        return None
    return f"{shown_duration(delay['median_seconds'])}, worst {shown_duration(delay['worst_seconds'])}"


def shown_duration(seconds: float) -> str:
    """The two greatest units, never less than it was: `3h 12m`."""
    left = math.ceil(seconds)
    for place, (_, size) in enumerate(_UNITS[:-2]):
        if left >= size:  # the third unit is rounded up into the second
            step = _UNITS[place + 1][1]
            left = math.ceil(left / step) * step
            break
    parts = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"
