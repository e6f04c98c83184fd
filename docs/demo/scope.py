"""How much of the year the story is told on: all of it for `make demo`, one month in its test."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from featurestore.intervals import Interval


@dataclass(frozen=True, slots=True)
class Scope:
    """`train` and `replay` are intervals of moments of prediction."""

    months: tuple[int, ...] | None
    """The months of flights that are prepared; None: the year."""
    clock: datetime
    """Where the project's time stands still: the data ends here."""
    train: Interval
    replay: Interval

    @property
    def replay_hours(self) -> int:
        return int((self.replay.end - self.replay.start) / timedelta(hours=1))


YEAR = Scope(
    months=None,
    clock=datetime(2014, 1, 1, tzinfo=UTC),
    train=Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 10, 1, tzinfo=UTC)),
    replay=Interval(datetime(2013, 12, 24, tzinfo=UTC), datetime(2013, 12, 31, tzinfo=UTC)),
)
