"""Rows that came after their day was filled: which days have any, and how many rows a day has."""

from __future__ import annotations

from datetime import datetime

from sqlglot import exp

from featurestore.compiler.stored_rows import EVENT_DAY, readable_rows
from featurestore.compiler.trees import cast_to, column, moment, named, not_null
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.written import EVENT_TIMESTAMP, KNOWN_AT
from featurestore.intervals import Interval, IntervalSet

ROWS = "rows"


def late_days(view: ResolvedView, *, since: datetime, until: datetime) -> exp.Select:
    """Each day of event time that has rows which became known after `since` and not after `until`, and when the last
    of them did: columns `event_day` and `known_at`."""
    day = cast_to(column(EVENT_TIMESTAMP), "DATE")
    return (
        exp.select(named(day, EVENT_DAY), named(exp.Max(this=column(KNOWN_AT)), KNOWN_AT))
        .from_(readable_rows(view).subquery("source_rows"))
        .where(
            column(KNOWN_AT) > moment(since),
            column(KNOWN_AT) <= moment(until),
            *not_null([EVENT_TIMESTAMP, *(key.name for key in view.keys)]),
        )
        .group_by(day.copy())
    )


def rows_of_days(view: ResolvedView, intervals: IntervalSet) -> exp.Select:
    """How many rows each day of event time has in the intervals: columns `event_day` and `rows`. Rows that are never
    stored do not count."""
    day = cast_to(column(EVENT_TIMESTAMP), "DATE")
    inside = exp.or_(*(_inside(interval) for interval in intervals))
    return (
        exp.select(named(day, EVENT_DAY), named(exp.Count(this=exp.Star()), ROWS))
        .from_(readable_rows(view).subquery("source_rows"))
        .where(inside, *not_null([KNOWN_AT, *(key.name for key in view.keys)]))
        .group_by(day.copy())
    )


def _inside(interval: Interval) -> exp.Expr:
    event = column(EVENT_TIMESTAMP)
    return exp.and_(event >= moment(interval.start), event.copy() < moment(interval.end))
