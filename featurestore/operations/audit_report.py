"""What audits find, as values: differences with their causes, for each view and over all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from featurestore.graph.resolved import ResolvedView
from featurestore.intervals import show_moment
from featurestore.operations.causes import Answered, Cause
from featurestore.ports.online_store import Filled

MOST_LISTED = 1_000
"""Of a view's differences. All are counted and have a cause; a store that was lost differs in every value."""


class AuditState(Enum):
    """Whether a view could be compared. NOT_MATERIALIZED: filled, and not online as it is defined."""

    COMPARED = "compared"
    NOT_MATERIALIZED = "not_materialized"
    NOTHING_FILLED = "nothing_filled"


@dataclass(frozen=True, slots=True)
class AuditedView:
    """A view, and those of its features that are compared."""

    view: ResolvedView
    features: tuple[str, ...]

    @classmethod
    def whole(cls, view: ResolvedView) -> AuditedView:
        return cls(view, tuple(feature.name for feature in view.features))


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs between the two sides, both asked for the moment `at`."""

    key: tuple[tuple[str, object], ...]
    feature: str
    online: object
    offline: object
    status: Answered
    at: datetime
    cause: Cause
    evidence: str


@dataclass(frozen=True, slots=True)
class ViewAudit:
    """What comparing one view found. `online_to`: up to when it is online, the moment compared; None where it is not.

    `causes` counts all differences; `differences` lists the first MOST_LISTED of them. `left_out` keys were written
    since, for moments that the offline table does not reach yet. `notes` are for people.
    """

    view: ResolvedView
    state: AuditState
    online_to: datetime | None
    offline_to: datetime | None
    keys: int = 0
    values: int = 0
    left_out: int = 0
    causes: tuple[tuple[Cause, int], ...] = ()
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    filled_ahead: datetime | None = None
    """What the clock said that filled the view, where that has not come by this one."""

    @property
    def differing(self) -> int:
        return sum(count for _, count in self.causes)

    @property
    def equal(self) -> bool:
        """Whether what is online is what it should be. Nothing on either side is equal."""
        is_online = self.state is not AuditState.NOT_MATERIALIZED
        return is_online and not self.differing and self.filled_ahead is None


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The audits of several views: of those named, of a feature service, or of what a model was trained on."""

    audited_at: datetime
    service: str | None
    model: str | None
    views: tuple[ViewAudit, ...]

    @property
    def equal(self) -> bool:
        return all(view.equal for view in self.views)


def ahead_note(asked: ResolvedView, filled_ahead: datetime) -> str:
    return (
        f"{asked.name} was filled as of {show_moment(filled_ahead)}, which has not come by this clock: it answers for "
        f"moments to come. If it was the other one that was ahead, knownat run --due --set-back {asked.name} fills it "
        "as of now."
    )


def notes(
    asked: ResolvedView, online: tuple[ResolvedView, Filled] | None, offline_to: datetime | None, *, left_out: int
) -> Iterable[str]:
    """What is worth saying of a view beside its differences. `online`: the definition that is online, and how
    far."""
    materialize = f"knownat materialize {asked.name}"
    if online is None and offline_to is None:
        yield f"Nothing is filled of {asked.name} yet: knownat run --due fills it, or says why not."
        return
    if online is None:
        yield f"{asked.name} ({asked.table}) is not in the online store: {materialize} puts it there."
        return
    held, filled = online
    if held.table != asked.table:
        yield f"Online is {held.table}, another definition; asked for is {asked.table}: {materialize} puts it there."
    elif not filled.keeps_for(asked.ttl):
        yield (
            f"{asked.name} was copied with a shorter TTL, so lookups are refused until {materialize} has copied it "
            "again."
        )
    elif offline_to is not None and filled.to < offline_to:
        yield (
            f"{asked.name} is online up to {show_moment(filled.to)} and filled up to {show_moment(offline_to)}: "
            f"{materialize} brings it up to date."
        )
    if left_out:
        yield (
            f"{left_out:,} keys were written after {show_moment(filled.to)} and are left out: the offline table does "
            f"not reach them yet: audit {asked.name} again after the next knownat run --due."
        )
