"""Point-in-time: features as they were known, for rows that each ask about a moment.

What is to be joined is one description; each engine carries it out in its own way, with the same outcome to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

import pyarrow as pa

from featurestore.graph.resolved import FeatureSet, ResolvedFeature, ResolvedView
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.publications import PushSpan

MOMENT = "__moment"
"""The spine's column that says when each row asks: UTC, microseconds, no nulls."""


class Knowledge(Enum):
    """What decides whether a row counts: that it was known and published, or only that it had happened. The second is
    what everybody else joins by, and leaks: it is here to be compared with."""

    KNOWN = "known"
    EVENT_TIME_ONLY = "event time only"


@dataclass(frozen=True, slots=True)
class ServedRun:
    """From `published_at` on, a view's online table answered as of `as_of`, or of a later moment.

    Where rows are pushed: it began at `began_at` to copy what was visible from `copied_from` (None: ever) to `as_of`,
    and of what became known after `filled_at` (None: nobody knows) the table held only what was pushed to the view."""

    published_at: datetime
    as_of: datetime
    began_at: datetime | None = None
    copied_from: datetime | None = None
    filled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NamedRows:
    """Rows of a table that did not come in time to be copied by each run that their times fit, by keys and times.

    `arrived_at`: runs that began before did not copy it; None: it had come before, and what is said of rows that are
    not named goes for it, too. `shown_at`: it was online then, by a push; None: only a run could bring it.
    """

    keys: tuple[tuple[str, ...], ...]
    """For each key column the rows' values, as text."""
    event_timestamp: tuple[datetime, ...]
    known_at: tuple[datetime, ...]
    arrived_at: tuple[datetime | None, ...]
    shown_at: tuple[datetime | None, ...]


@dataclass(frozen=True, slots=True)
class ServedView:
    """What an online store's answers about a view were taken from.

    At a moment *t* it answered as of the greatest `as_of` among the runs with `published_at` <= *t*: the *effective
    moment*. Without such a run, the view was not online. A row that was visible by the effective moment was online. Of
    views whose rows can be pushed straight into the table it is said row by row:

    - rows that are known at the first of a pair in `stamped` were pushed: online from the first run on that is as of a
      moment at which they were visible, and from the second of the pair on (None: never), if they were visible by then;
    - `named` rows were pushed, too, and are online as is said of each;
    - other rows are online from the first run on whose table held them: that was filled after they were known;
    - where no more is known of pushes than `pushed`: from `pushed.first_at` on all that was visible at the earlier of
      *t* and `pushed.last_at`.
    """

    runs: tuple[ServedRun, ...]
    pushed: PushSpan | None = None
    stamped: tuple[tuple[datetime, datetime | None], ...] = ()
    named: NamedRows | None = None


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A spine (MOMENT and the join columns, already of the keys' types) and the views' tables, by the views' names.
    A table's file holds rows of one UTC day, its partition, in any order; a day may lie in several files.

    `answers_until` says, by view, the last moment that its table answers in full. Asked about later ones, a windowed
    view answers with its values at that moment, as the online store does that is filled so far.

    `served`, by view, asks for what an online store answered instead of what was known and published: each row gets
    the answer at its effective moment, expired by the moment at which it asks, and nothing while the view was not
    online.
    """

    features: FeatureSet
    spine: pa.Table
    tables: Mapping[str, ParquetFiles]
    answers_until: Mapping[str, datetime]
    knowledge: Knowledge = Knowledge.KNOWN
    served: Mapping[str, ServedView] | None = None


class PointInTimeJoin(Protocol):
    """In this process, or on a cluster. Memory grows with the spine given, not with the tables."""

    def join(self, request: JoinRequest) -> pa.Table:
        """A row for each of the spine, in its order: the features of every use of a view, named by `ViewUse.column`."""
        ...

    def window_values(
        self, view: ResolvedView, features: tuple[ResolvedFeature, ...], points: pa.Table, tiles: ParquetFiles
    ) -> pa.Table:
        """The features of a windowed view for each of `points` (its keys, and HOP), in their order."""
        ...
