"""Parts of dates and timestamps, and differences between them, in UTC."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from featurestore.expressions.calendar_years import within
from featurestore.expressions.terms import TWELVE, Datum, Evaluate, LeftToEngine, Term, cast_kernel, kernel

_PARTS: dict[str, tuple[str, pc.FunctionOptions | None]] = {
    "YEAR": ("year", None),
    "QUARTER": ("quarter", None),
    "MONTH": ("month", None),
    "WEEK": ("iso_week", None),
    "DAY": ("day", None),
    "DAYOFYEAR": ("day_of_year", None),
    "DAYOFWEEK": ("day_of_week", pc.DayOfWeekOptions(count_from_zero=True, week_start=7)),
    "ISODOW": ("day_of_week", pc.DayOfWeekOptions(count_from_zero=False, week_start=1)),
}
_PARTS_OF_DAYS = {"HOUR": ("hour", None), "MINUTE": ("minute", None), "SECOND": ("second", None)}
_ALIASES = {"DOY": "DAYOFYEAR", "DOW": "DAYOFWEEK", "WEEKDAY": "DAYOFWEEK"}
_BETWEEN = {
    "YEAR": "years_between",
    "QUARTER": "quarters_between",
    "DAY": "days_between",
}
_BETWEEN_MOMENTS = {
    "HOUR": "hours_between",
    "MINUTE": "minutes_between",
    "SECOND": "seconds_between",
    "MILLISECOND": "milliseconds_between",
    "MICROSECOND": "microseconds_between",
}
_TRUNCATED = ("SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
_subtract, _multiply, _add, _divide = kernel("subtract"), kernel("multiply"), kernel("add"), kernel("divide")
_int64, _double = cast_kernel(pa.int64()), cast_kernel(pa.float64(), safe=False)


def part(term: Term, unit: str) -> Evaluate:
    """EXTRACT. `unit` is as the engine writes it."""
    unit = _ALIASES.get(unit, unit)
    known = _PARTS if types.is_date(term.type) else _PARTS | _PARTS_OF_DAYS
    if unit not in known:
        raise LeftToEngine(f"the {unit} of {term.type}")
    value, guard, take = _moment(term), within(term.type), kernel(*known[unit])

    def taken(row: Mapping[str, Datum]) -> Datum:
        given = value(row)
        guard(given)
        return take(given)

    return taken


def seconds_since_1970(term: Term) -> Evaluate:
    """EXTRACT(EPOCH): the engine adds milliseconds, as seconds, and the microseconds below them."""
    if not types.is_timestamp(term.type):
        raise LeftToEngine(f"the epoch of {term.type}")
    value, guard = term.evaluate, within(term.type)
    floor, thousand = kernel("floor_temporal", pc.RoundTemporalOptions(1, "millisecond")), pa.scalar(1000)
    thousands, millions = pa.scalar(1000.0), pa.scalar(1e6)

    def seconds(row: Mapping[str, Datum]) -> Datum:
        given = value(row)
        guard(given)
        whole = _int64(floor(given))
        rest = _divide(_double(_subtract(_int64(given), whole)), millions)
        return _add(_divide(_double(_divide(whole, thousand)), thousands), rest)

    return seconds


def difference(start: Term, end: Term, unit: str) -> Evaluate:
    """date_diff: how many boundaries of the unit lie between."""
    if start.type != end.type:
        raise LeftToEngine("dates and timestamps together")
    known = _BETWEEN if types.is_date(start.type) else _BETWEEN | _BETWEEN_MOMENTS
    first, last, guard = _moment(start), _moment(end), within(start.type)
    count = _months if unit == "MONTH" else kernel(_known(unit, known))

    def between(row: Mapping[str, Datum]) -> Datum:
        begin, finish = first(row), last(row)
        guard(begin)
        guard(finish)
        return count(begin, finish)

    return between


def truncated(term: Term, to: pa.DataType, unit: str) -> Evaluate:
    """date_trunc of timestamps."""
    if unit not in _TRUNCATED or not types.is_timestamp(term.type) or to != term.type:
        raise LeftToEngine(f"{term.type} cut to {unit}")
    value, guard = term.evaluate, within(term.type)
    floor = kernel("floor_temporal", pc.RoundTemporalOptions(1, unit.lower(), week_starts_monday=True))

    def cut(row: Mapping[str, Datum]) -> Datum:
        given = value(row)
        guard(given)
        return floor(given)

    return cut


_year, _month = kernel("year"), kernel("month")


def _months(start: Datum, end: Datum) -> Datum:
    years, months = _subtract(_year(end), _year(start)), _subtract(_month(end), _month(start))
    return _add(_multiply(years, TWELVE), months)


def _known(unit: str, known: dict[str, str]) -> str:
    if unit not in known:
        raise LeftToEngine(f"differences in {unit}")
    return known[unit]


def _moment(term: Term) -> Evaluate:
    if not (types.is_date(term.type) or types.is_timestamp(term.type)):
        raise LeftToEngine(f"{term.type} as a moment")
    return term.evaluate
