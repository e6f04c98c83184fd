"""Evidence on keys that have a value that differs: the answers of other moments and of earlier versions of the table.

It asks and decides nothing: what the answers mean is said in `causes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from featurestore.compiler.hops import MICROSECOND
from featurestore.errors import DatasetGone
from featurestore.graph.resolved import ResolvedView
from featurestore.operations.answers_at import Question, answers_at
from featurestore.operations.causes import RowEvidence, Values
from featurestore.operations.equality import same_value
from featurestore.operations.online_values import StoredLayout, answers_from
from featurestore.operations.sides import OfflineSide
from featurestore.operations.stored_rows import StoredRow
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.online_store import Filled, Key, OnlineRow
from featurestore.ports.state import Materialization


@dataclass(frozen=True, slots=True)
class KeyCompared:
    """Both sides of one key, at the moment they were asked for."""

    key: Key
    at: datetime
    stored: StoredRow
    expected: Values


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of a view before any key is looked at."""

    view: ResolvedView
    layout: StoredLayout
    filled: Filled
    now: datetime
    last: Materialization | None
    """What state remembers of the last materialization."""
    files: ParquetFiles
    """The table as it is now."""
    earlier: tuple[ResolvedView, ...] = ()
    """The view as it was applied at any time."""
    other_table: str | None = None


def gathered(case: Case, compared: Sequence[KeyCompared], offline: OfflineSide) -> list[RowEvidence]:
    """The evidence on each key, in order. Reads the table some times over, however many keys there are."""
    search = _Search(case, compared, offline)
    copied_files, refilled = _as_copied(case, offline)
    as_copied = search.all(lambda one: one.at, files=copied_files) if copied_files else search.nothing
    own = _own_moments(search, copied_files)
    recorded = _recorded(case)
    as_recorded = search.all(lambda _: recorded) if recorded else search.nothing
    without_ttl = search.all(lambda one: one.at, view=replace(case.view, ttl=None)) if case.view.ttl else search.nothing
    expired_under = _expired_under(search)
    return [
        RowEvidence(
            stored=one.stored,
            at=one.at,
            expected=one.expected,
            as_copied=as_copied[place],
            refilled=refilled,
            own_moment=own[place],
            as_recorded=as_recorded[place],
            recorded_to=recorded,
            without_ttl=without_ttl[place],
            expired_under=expired_under[place],
            other_table=case.other_table,
        )
        for place, one in enumerate(compared)
    ]


class _Search:
    """The same keys, asked about at other moments."""

    def __init__(self, case: Case, compared: Sequence[KeyCompared], offline: OfflineSide) -> None:
        self.case, self.compared, self._offline = case, compared, offline
        self.nothing: list[Values | None] = [None] * len(compared)

    def all(
        self,
        moment: Callable[[KeyCompared], datetime | None],
        *,
        view: ResolvedView | None = None,
        files: ParquetFiles | None = None,
    ) -> list[Values | None]:
        """The answer for each key at the moment that is told for it; None where none is."""
        asked: list[tuple[int, Question]] = [
            (place, (one.key, at)) for place, one in enumerate(self.compared) if (at := moment(one)) is not None
        ]
        questions = [question for _, question in asked]
        found = answers_at(view or self.case.view, questions, files or self.case.files, self._offline)
        answers = list(self.nothing)
        for (place, _), answer in zip(asked, found, strict=True):
            answers[place] = answer
        return answers


def _as_copied(case: Case, offline: OfflineSide) -> tuple[ParquetFiles | None, bool]:
    """The version of the table that was materialized, if it has been filled again since; and whether it has been, and
    that version can not be read any more."""
    table = case.view.table
    if case.last is None or case.last.table != table or case.last.version >= offline.coverage.coverage(table).version:
        return None, False
    try:
        return offline.tables.snapshot(table, version=case.last.version).files, False
    except DatasetGone:
        return None, True


def _own_moments(search: _Search, copied: ParquetFiles | None) -> list[datetime | None]:
    """For each key the earlier moment at which offline answered with exactly the stored row, if it did."""

    def moment(one: KeyCompared) -> datetime | None:
        if not isinstance(one.stored, OnlineRow) or _is_row(one, one.expected, search.case.layout):
            return None  # what is expected is no older row, whatever its times say
        own = answers_from(one.stored, search.case.view)
        return own if own < one.at else None

    answered = [search.all(moment)]
    if copied is not None:
        answered.append(search.all(moment, files=copied))
    return [
        moment(one) if any(_is_row(one, answers[place], search.case.layout) for answers in answered) else None
        for place, one in enumerate(search.compared)
    ]


def _is_row(one: KeyCompared, answer: Values | None, layout: StoredLayout) -> bool:
    """Whether an answer is the stored row, all of it: a row is written as a whole."""
    if answer is None or not isinstance(one.stored, OnlineRow):
        return False
    return all(same_value(*pair) for pair in zip(layout.values(one.stored), answer, strict=True))


def _recorded(case: Case) -> datetime | None:
    """Up to when the last materialization that was recorded copied, if the store claims to be filled beyond it."""
    if case.last is None or case.last.table != case.view.table or case.last.filled_to >= case.filled.to:
        return None
    return case.last.filled_to


def _expired_under(search: _Search) -> list[timedelta | None]:
    """For each key without a row how long the store keeps rows, if the time of the one that should be there is over."""
    case = search.case
    keeps = case.filled.keeps
    if keeps is None:
        return [None] * len(search.compared)
    # Kept until now is what happened within that time before now, of what counts at the moment compared.
    left = max(keeps - (case.now - case.filled.to), MICROSECOND)
    answers = search.all(lambda one: one.at if one.stored is None else None, view=replace(case.view, ttl=left))
    gone = [answer is not None and all(value is None for value in answer) for answer in answers]
    return [keeps if one else None for one in gone]
