"""Why an online value is not what it should be: decided from evidence that others have gathered. Pure.

The order in which causes are tried is that of docs/decisions/0021: from what leaves no doubt to what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import assert_never

from featurestore.intervals import show_moment
from featurestore.operations.equality import lossy_conversion, same_value
from featurestore.operations.stored_rows import StoredRow, UnreadableRow
from featurestore.ports.online_store import OnlineRow
from featurestore.spec.names import show_duration


class Cause(Enum):
    """Why a value differs, in the order in which they are told."""

    CHANGED_DEFINITION = "changed_definition"
    LATE_ROW = "late_row"
    STALE_MATERIALIZATION = "stale_materialization"
    EXPIRED = "expired"
    ENCODING = "encoding"
    TAMPERED = "tampered"


class Answered(Enum):
    """Why an online value is what it is: the statuses of a lookup, and rows that can not be read at all."""

    PRESENT = "present"
    NULL = "null"
    MISSING = "missing"
    EXPIRED = "expired"
    UNREADABLE = "unreadable"


Values = tuple[object, ...]
"""The values of one key, in the order of the view's features."""


@dataclass(frozen=True, slots=True)
class RowEvidence:
    """What was found out about one key that has a value that differs. What does not apply is None or empty."""

    stored: StoredRow
    at: datetime
    """The moment that both sides were asked for."""
    expected: Values
    as_copied: Values | None = None
    """The answer of the table's version that was materialized last, where it has been filled again since."""
    refilled: bool = False
    """It has been filled again since, and that version can not be read any more."""
    own_moment: datetime | None = None
    """The earlier moment at which offline answered exactly the stored row, all of it."""
    as_recorded: Values | None = None
    """The answer at the moment of the last recorded materialization, where the store claims to be filled beyond it."""
    recorded_to: datetime | None = None
    without_ttl: Values | None = None
    """The answer if nothing ever expired."""
    expired_under: timedelta | None = None
    """How long the store keeps rows, where the time of the row that is missing is over by now."""
    other_table: str | None = None
    """The table that is online instead of the one asked for."""


@dataclass(frozen=True, slots=True)
class ValueCompared:
    """One value that differs: what online answers, why, and which of the view's features it is."""

    online: object
    status: Answered
    feature: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """A cause, and a sentence on what it was seen by."""

    cause: Cause
    evidence: str


def verdict(value: ValueCompared, row: RowEvidence) -> Verdict:
    """The first cause whose evidence is there; what nothing explains was tampered with."""
    for judge in (
        _unreadable,
        _changed_definition,
        _never_copied,
        _late,
        _stale,
        _expired,
        _encoded,
        _late_without_proof,
    ):
        if found := judge(value, row):
            return found
    return Verdict(Cause.TAMPERED, _tampered(row))


def remedy(cause: Cause, view: str) -> str:
    """What to do about differences of this cause."""
    full = f"knownat materialize {view} --full"
    match cause:
        case Cause.CHANGED_DEFINITION:
            return f"{full} puts what is asked for online."
        case Cause.LATE_ROW:
            return f"knownat materialize {view} copies what was filled since."
        case Cause.STALE_MATERIALIZATION:
            return f"{full} writes every key again."
        case Cause.EXPIRED:
            return f"{full} writes again what the store let go."
        case Cause.ENCODING:
            return f"{full} writes every key again. If it comes back, see who else writes to the store."
        case Cause.TAMPERED:
            return f"See who else can write to the store; {full} writes every key again."
        case _:
            assert_never(cause)


def _unreadable(_: ValueCompared, row: RowEvidence) -> Verdict | None:
    return Verdict(Cause.ENCODING, row.stored.reason) if isinstance(row.stored, UnreadableRow) else None


def _changed_definition(_: ValueCompared, row: RowEvidence) -> Verdict | None:
    if row.other_table is None:
        return None
    return Verdict(Cause.CHANGED_DEFINITION, f"Online is {row.other_table}, of another definition.")


def _stale(_: ValueCompared, row: RowEvidence) -> Verdict | None:
    if row.own_moment is None or row.refilled:
        return None  # where rows are known to have come since, an older row is no surprise
    return Verdict(
        Cause.STALE_MATERIALIZATION,
        f"The stored row is the answer of {show_moment(row.own_moment)}; a newer one was never copied.",
    )


def _late(value: ValueCompared, row: RowEvidence) -> Verdict | None:
    if row.as_copied is None or not same_value(row.as_copied[value.feature], value.online):
        return None
    return Verdict(Cause.LATE_ROW, "It was right for what had been filled when it was copied; rows came since.")


def _never_copied(value: ValueCompared, row: RowEvidence) -> Verdict | None:
    if row.recorded_to is None or row.as_recorded is None:
        return None
    if not same_value(row.as_recorded[value.feature], value.online):
        return None
    return Verdict(
        Cause.STALE_MATERIALIZATION,
        f"The last materialization that was finished copied up to {show_moment(row.recorded_to)}, and this is the "
        "answer of then.",
    )


def _expired(value: ValueCompared, row: RowEvidence) -> Verdict | None:
    expected = row.expected[value.feature]
    if row.stored is None and expected is not None and row.expired_under is not None:
        kept = show_duration(row.expired_under)
        return Verdict(Cause.EXPIRED, f"The store let the row go: it keeps each for {kept} after it happened.")
    if value.status is Answered.EXPIRED and isinstance(row.stored, OnlineRow):
        happened = show_moment(row.stored.event_timestamp)
        return Verdict(Cause.EXPIRED, f"Online the row happened at {happened} and has expired; offline it has not.")
    if expected is None and row.without_ttl is not None and same_value(row.without_ttl[value.feature], value.online):
        return Verdict(Cause.EXPIRED, "Offline the row has expired; online it seems to have happened later.")
    return None


def _encoded(value: ValueCompared, row: RowEvidence) -> Verdict | None:
    if not isinstance(row.stored, OnlineRow):
        return None
    told = lossy_conversion(row.expected[value.feature], value.online)
    return Verdict(Cause.ENCODING, f"What a conversion left of it: {told}.") if told else None


def _late_without_proof(_: ValueCompared, row: RowEvidence) -> Verdict | None:
    if not row.refilled:
        return None
    return Verdict(
        Cause.LATE_ROW, "Rows were filled since it was copied; what the table held then can not be read any more."
    )


def _tampered(row: RowEvidence) -> str:
    if row.stored is None:
        return "The row is not in the store, and offline has had it since before it was copied."
    if all(value is None for value in row.expected):
        return "The store has a row for this key, and offline never had this one."
    return "Offline never had these values at the stored row's time, and nothing else explains them."
