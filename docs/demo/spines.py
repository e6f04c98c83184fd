"""Which flights are asked about, and when: the spine, parts of it, and the mistake of joining on the calendar date."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.intervals import Interval

MOMENT = "event_timestamp"
LABEL = "late"
PREDICTED_AT = "predicted_at"
"""In the naive spine: when the question is really asked, next to the midnight at which it is answered."""

_HOME = "America/New_York"
_AHEAD = timedelta(hours=2)  # flights are asked about two hours before their scheduled departure


def within(flights: pa.Table, span: Interval, *, column: str = MOMENT) -> pa.Table:
    """The flights that are asked about in `span`, in their order."""
    moments = flights[column]
    return flights.filter(pc.and_(pc.greater_equal(moments, span.start), pc.less(moments, span.end)))


def naive(flights: pa.Table) -> pa.Table:
    """The spine of a join on the calendar date: every flight gets what its date's last minute knew, its own landing
    included, because each row asks at the midnight (in New York) that ends the day of its departure."""
    moments = flights[MOMENT]
    local = pc.add(moments, pa.scalar(_AHEAD)).cast(pa.timestamp("us", tz=_HOME))
    next_day = pc.add(pc.floor_temporal(pc.local_timestamp(local), unit="day"), pa.scalar(timedelta(days=1)))
    midnight = pc.assume_timezone(next_day, _HOME).cast(pa.timestamp("us", tz="UTC"))
    position = flights.column_names.index(MOMENT)
    return flights.set_column(position, MOMENT, midnight).append_column(PREDICTED_AT, moments)


def labeled(flights: pa.Table) -> pa.Table:
    """The flights that were late or not: canceled and diverted ones were neither."""
    return flights.filter(pc.is_valid(flights[LABEL]))
