"""Random small histories whose times lie on edges, and whose values are the ones that go wrong.

All the times come from one pool of hours and their neighbors, so that events, known timestamps and moments meet each
other, the hops, the ends of windows and of lives exactly.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")

# Midnights nearby, so that a history spans several days, and the zone that the source's timestamps are written with.
ORIGINS = {
    datetime(1969, 12, 31, 14, tzinfo=UTC): "UTC",  # where numbers of hops change their sign
    datetime(2013, 3, 9, 14, tzinfo=UTC): "America/New_York",  # clocks go forward at 7:00 UTC of the next day
    datetime(2024, 10, 26, 14, tzinfo=UTC): "Europe/Berlin",  # clocks go back at 1:00 UTC of the next day
    datetime(2024, 2, 28, 14, tzinfo=UTC): "UTC",  # the next day is a leap day
    datetime(2023, 12, 31, 4, tzinfo=UTC): "Asia/Kolkata",  # a year ends, in a zone of half an hour
}
MANY = 25
"""Compiling costs more than rows do, so each example has many of them."""
KEYS = ("a", "b", "B", "", "é", "e\u0301", "a:b", "\U0001f6eb", None)
NUMBERS = (None, 0, 1, -1, 7, 2**31 - 1, -(2**53) - 1, 2**53 + 1, 2**40)
HUGE = (None, 2**63 - 1, -(2**63), -(2**63) + 1, 2**53 + 1, 0)
DATES = (None, date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31))
DECIMALS = (None, *(Decimal(text) for text in ("0.0000", "0.0001", "-99999999999999.9999", "7.1000", "7.0999")))
LISTS: tuple[list[float | None] | None, ...] = (
    None,
    [],
    [1.5],
    [1.5, None],
    [1.5, 2.0],
    [None],
    [math.nan],
    [-1.0, math.inf],
)
VECTORS = (None, [0.5, -2.5], [math.nan, 1.0], [0.5, 3.0], [math.inf, -math.inf])
SMALL = (None, 0, 1, -1)
FLOATS = (None, math.nan, math.inf, -math.inf, -0.0, 0.0, 1.0, -1.5, 0.1, 1 / 3, 1e-13, 98765432.123, -7.25e9, 4.7e17)
SINGLES = (None, *(struct.unpack("f", struct.pack("f", value))[0] for value in (0.1, -0.0, 0.0, 3e7, -2.5)), math.nan)
TEXTS = (None, "", "z", "Z", "é", "\U0001f6eb")

EVENTS = pa.schema(
    [
        ("happened", UTC_MICROSECONDS),
        ("known", UTC_MICROSECONDS),
        ("k", pa.string()),
        ("n", pa.int64()),
        ("i", pa.int8()),
        ("x", pa.float64()),
        ("f", pa.float32()),
        ("s", pa.string()),
        ("b", pa.bool_()),
        ("t", UTC_MICROSECONDS),
        ("h", pa.int64()),
        ("d", pa.date32()),
        ("m", pa.decimal128(18, 4)),
        ("l", pa.list_(pa.float64())),
        ("e", pa.list_(pa.float32(), 2)),
    ]
)
SPINE = pa.schema(
    [("at", UTC_MICROSECONDS), ("k", pa.string()), ("n", pa.int64()), ("other", pa.string()), ("note", pa.float64())]
)


@dataclass(frozen=True)
class History:
    """What a source holds, and who asks when. `origin` is an hour; everything happens in the thirty after it."""

    origin: datetime
    events: list[dict[str, Any]]
    spine: list[dict[str, Any]]

    def table(self) -> pa.Table:
        """The source, its moments written with the zone of the origin."""
        return in_zone(pa.Table.from_pylist(self.events, schema=EVENTS), ORIGINS[self.origin])

    def larger(self, chance: Random, times: int) -> History:
        """A history of so many times as many rows, made of parts of the rows there are: the values of one, the times
        of another, the keys of a third."""
        events, spine = [*self.events], [*self.spine]
        for _ in range((times - 1) * len(self.events)):
            values, moment, key = chance.choices(self.events, k=3)
            times_of = {name: moment[name] for name in ("happened", "known")}
            events.append({**values, **times_of, "k": key.get("k")})
        for _ in range((times - 1) * len(self.spine)):
            key, moment, role = chance.choices(self.spine, k=3)
            spine.append({**key, "at": moment["at"], "other": role["other"]})
        return History(self.origin, events, spine)

    def spine_table(self) -> pa.Table:
        return pa.Table.from_pylist(self.spine, schema=SPINE)


def in_zone(events: pa.Table, zone: str) -> pa.Table:
    """The same moments, told by another clock."""
    moment = pa.timestamp("us", tz=zone)
    fields = [field.with_type(moment) if field.name in ("happened", "known") else field for field in events.schema]
    return events.cast(pa.schema(fields))


def moments(origin: datetime) -> st.SearchStrategy[datetime]:
    """A full hour, just before it, just after it, or ten minutes past, now and then any moment."""
    nearby = st.sampled_from([timedelta(0), timedelta(0), timedelta(0), -TICK, TICK, 10 * MINUTE, 10 * MINUTE - TICK])
    on_edges = st.builds(lambda hour, off: origin + hour * HOUR + off, st.integers(0, 30), nearby)
    return st.one_of(
        on_edges, on_edges, on_edges, st.integers(0, 30 * 3600).map(lambda s: origin + s * timedelta(seconds=1))
    )


def events(origin: datetime) -> st.SearchStrategy[dict[str, Any]]:
    """A row of the source. It becomes known when it happens, or later, or (a forecast) before."""
    lateness = st.sampled_from([0, 0, 0, 0, 30, 60, 61, 120, 600, 6000, -60, -1500, None])

    def event(happened: datetime | None, late: int | None, values: dict[str, Any]) -> dict[str, Any]:
        known = None if happened is None or late is None else happened + late * MINUTE
        return {"happened": happened, "known": known, **values}

    happened = st.one_of(*([moments(origin)] * 15), st.none())
    return st.builds(event, happened, lateness, st.fixed_dictionaries(_values(origin)))


def histories() -> st.SearchStrategy[History]:
    return st.sampled_from(tuple(ORIGINS)).flatmap(_history)


def _history(origin: datetime) -> st.SearchStrategy[History]:
    asked = st.fixed_dictionaries(
        {
            "at": moments(origin),
            "k": _one_of_few(KEYS),
            "n": _one_of_few(SMALL),
            "other": _one_of_few((*KEYS, "unseen")),
            "note": st.sampled_from(FLOATS),
        }
    )
    # The first row is nobody's: it makes every table begin on the same day, whatever else is drawn.
    nobody = {"happened": origin, "known": origin, "k": "nobody"}
    return st.builds(
        lambda rows, spine: History(origin, [nobody, *rows], spine),
        st.lists(events(origin), min_size=MANY, max_size=2 * MANY),
        st.lists(asked, min_size=MANY, max_size=2 * MANY),
    )


def _values(origin: datetime) -> dict[str, st.SearchStrategy[Any]]:
    return {
        "k": _one_of_few(KEYS),
        "n": st.one_of(_one_of_few(SMALL), st.sampled_from(NUMBERS)),
        "i": st.sampled_from((None, 0, 1, -128, 127)),
        "x": st.one_of(st.sampled_from(FLOATS), st.sampled_from(FLOATS), st.floats(-1e6, 1e6)),
        "f": st.sampled_from(SINGLES),
        "s": st.sampled_from(TEXTS),
        "b": st.sampled_from((None, True, False)),
        "t": st.one_of(st.none(), moments(origin)),
        "h": st.sampled_from(HUGE),
        "d": st.sampled_from(DATES),
        "m": st.sampled_from(DECIMALS),
        "l": st.sampled_from(LISTS),
        "e": st.sampled_from(VECTORS),
    }


def _one_of_few(values: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    """Mostly the first two, so that rows meet; now and then any."""
    return st.one_of(st.sampled_from(values[:2]), st.sampled_from(values[:2]), st.sampled_from(values))
