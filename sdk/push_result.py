"""What a push gives back, the same whichever transport brought it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class PushResult:
    """Rows that are durable, and where they can be seen.

    `online` is "now", "later" (from `online_from` on, when the view is next materialized), "not_materialized" (the view
    was never brought online) or "unavailable" (the online store did not take them; the same push again brings them).
    """

    view: str
    table: str
    source: str
    key: str
    rows: int
    feature_rows: int | None
    """Rows of the view that they lead to; None for a windowed view."""
    rejected: int
    """Rows without a key or a time, which can never be a feature's value."""
    is_new: bool
    """False where the key had been pushed before, and nothing was added."""
    known_at: datetime | None
    """When the rows are known, where they did not say it themselves."""
    source_version: str
    table_version: int | None
    """The version of the view's table that has them; None until the next fill."""
    online: str
    online_from: datetime | None
    reason: str | None

    @property
    def is_online(self) -> bool:
        """Whether every row that is visible by now is online."""
        return self.online == "now"


def push_result(document: Mapping[str, Any]) -> PushResult:
    moments = {name: document[name] for name in ("known_at", "online_from")}
    told = {name: None if text is None else datetime.fromisoformat(text) for name, text in moments.items()}
    return PushResult(**{**document, **told})
