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
    """From `published_at` on, a view's online table answered as of `filled_to`, or of a later moment."""

    published_at: datetime
    filled_to: datetime


@dataclass(frozen=True, slots=True)
class ServedView:
    """What an online store's answers about a view were taken from.

    At a moment *t* it answered as of the greatest `filled_to` among the runs with `published_at` <= *t*: the *effective
    moment*. Without such a run, the view was not online. Rows that were pushed straight into the table were online when
    they were known and published: where there are pushes, the store answered at *t* from `pushed.first_at` on as of the
    earlier of *t* and `pushed.last_at`, if that is more.
    """

    runs: tuple[ServedRun, ...]
    pushed: PushSpan | None = None


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
