"""Sources: where raw rows come from, when they happened, and when they could be known."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from featurestore.errors import InvalidDeclaration
from featurestore.spec.names import check_name, declaration_site, parse_duration


@dataclass(frozen=True, slots=True, init=False)
class ParquetSource:
    """Parquet files: one file, a folder or a glob, relative to the data folder of the settings.

    `event_timestamp` names the column that says when a row happened (UTC; a naive timestamp is read as UTC).
    `known_at` names the column that says when the system could know it; without one, a row is known `delay` after it
    happened.
    """

    name: str
    path: str
    event_timestamp: str
    known_at: str | None
    delay: timedelta
    description: str
    owner: str
    declared_at: str = field(compare=False, repr=False)

    def __init__(
        self,
        name: str,
        *,
        path: str,
        event_timestamp: str,
        known_at: str | None = None,
        delay: str | timedelta = timedelta(0),
        description: str = "",
        owner: str = "",
    ) -> None:
        site = declaration_site()
        for what, value in (("path", path), ("event_timestamp", event_timestamp)):
            if not isinstance(value, str) or not value:
                raise InvalidDeclaration(f"{site}: source '{name}' needs {what}=, a text that is not empty")
        parsed_delay = parse_duration(f"delay of source '{name}'", delay)
        if known_at is not None and parsed_delay:
            raise InvalidDeclaration(f"{site}: source '{name}' has known_at and delay: declare one of them")
        object.__setattr__(self, "name", check_name("source", name))
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "event_timestamp", event_timestamp)
        object.__setattr__(self, "known_at", known_at)
        object.__setattr__(self, "delay", parsed_delay)
        object.__setattr__(self, "description", description)
        object.__setattr__(self, "owner", owner)
        object.__setattr__(self, "declared_at", site)


Source = ParquetSource
"""The kinds of source there are."""
