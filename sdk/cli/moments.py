"""Moments as people write and read them on the command line: ISO 8601, UTC unless an offset says otherwise."""

from __future__ import annotations

from datetime import UTC, datetime

import typer


def parse_moment(text: str | None) -> datetime | None:
    """An option's text as a moment in UTC; one without an offset is read as UTC. Raises BadParameter.

    >>> parse_moment("2013-12-31T18:00-05:00").isoformat()
    '2013-12-31T23:00:00+00:00'
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a moment: write 2013-12-31 or 2013-12-31T18:00Z") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def show_moment(moment: datetime | None) -> str:
    """ISO 8601 in UTC with `Z`, seconds and their fraction only where there are any; a dash for None."""
    if moment is None:
        return "-"
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    detail = "microseconds" if utc.microsecond else "seconds" if utc.second else "minutes"
    return utc.replace(tzinfo=None).isoformat(timespec=detail) + "Z"
