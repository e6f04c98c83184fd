"""`knownat status`: how far each view is filled, offline and online."""

from __future__ import annotations

from datetime import datetime

from sdk.cli.invocation import Invocation, client_command
from sdk.cli.output import table


@client_command
def status(call: Invocation) -> None:
    """Show for each view its rows, up to when it is filled offline and online, and rows that came too late for it."""
    with call.client() as client:
        views = client.status()
    rows = [
        (
            one["view"], one["table"], one["version"], one["rows"], _moment(one["offline_to"]),
            _moment(one["online_to"]), one["late_rows"],
        )
        for one in views
    ]  # fmt: skip
    call.output.answer(
        {"views": views},
        lambda: table(("view", "table", "version", "rows", "offline to", "online to", "rows too late"), rows),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
