"""The history of an online table as the join in this process reads it: arrays of microseconds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import numpy as np
import pyarrow as pa

from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import ResolvedView
from featurestore.merging.asked import Asked
from featurestore.merging.keys import Integers, KeyIndex, whole_numbers
from featurestore.merging.served import (
    NEVER,
    NOT_ONLINE,
    Named,
    OnlineFrom,
    Pushes,
    Runs,
    Stamped,
    effective_moments,
)
from featurestore.ports.joins import NamedRows, ServedView


def as_served(asked: Asked, view: ResolvedView, served: ServedView) -> Asked:
    """The same rows, answered as of the moments whose answers the online store gave when they ask. Where each row of
    the table has a moment of its own (`online_from`), they only have to ask after the first run."""
    published = _microseconds(run.published_at for run in served.runs)
    as_of = _microseconds(run.as_of for run in served.runs)
    pushes = None if view.is_windowed else _pushes(served)  # windows change at boundaries alone
    effective = effective_moments(asked.asked_at, published, as_of, pushes)
    if _tells_rows_apart(view, served):
        return asked.as_of(np.where(effective == NOT_ONLINE, NOT_ONLINE, asked.asked_at))
    return asked.as_of(effective)


def _tells_rows_apart(view: ResolvedView, served: ServedView) -> bool:
    return not view.is_windowed and any(run.filled_at is not None for run in served.runs)


def online_from(asked: Asked, view: ResolvedView, served: ServedView) -> OnlineFrom | None:
    """From when on each row of the table was online, where that is more than one moment can say."""
    if not _tells_rows_apart(view, served):
        return None
    runs = Runs(
        _microseconds(run.published_at for run in served.runs),
        _microseconds((run.began_at for run in served.runs), missing=NOT_ONLINE),
        _microseconds((run.copied_from for run in served.runs), missing=NOT_ONLINE),
        _microseconds(run.as_of for run in served.runs),
        _microseconds(run.as_of if run.filled_at is None else run.filled_at for run in served.runs),
    )
    stamped = Stamped(
        _microseconds(known for known, _ in served.stamped),
        _microseconds((shown for _, shown in served.stamped), missing=NEVER),
    )
    return OnlineFrom(runs, _pushes(served), stamped, _named(asked.index, view, served.named))


def _pushes(served: ServedView) -> Pushes | None:
    if served.pushed is None:
        return None
    first, last = _microseconds((served.pushed.first_at, served.pushed.last_at))
    return Pushes(int(first), int(last))


def _named(index: KeyIndex, view: ResolvedView, named: NamedRows | None) -> Named:
    """The named rows of keys that are asked for."""
    if named is None:
        return Named(*(np.zeros(0, np.int64) for _ in range(5)))
    types = [field.type for field in arrow_schema(view.keys)]
    keys = [pa.array(texts, pa.string()).cast(type_) for texts, type_ in zip(named.keys, types, strict=True)]
    numbers = index.locate(keys, len(named.event_timestamp))
    arrays = (
        numbers,
        _microseconds(named.event_timestamp),
        _microseconds(named.known_at),
        _microseconds(named.arrived_at, missing=NOT_ONLINE),
        _microseconds(named.shown_at, missing=NEVER),
    )
    return Named(*(array[numbers >= 0] for array in arrays))


def _microseconds(moments: Iterable[datetime | None], *, missing: int = 0) -> Integers:
    array = pa.array(moments, pa.timestamp("us", tz="UTC"))
    return whole_numbers(array.cast(pa.int64()).fill_null(missing)) if array.null_count else whole_numbers(array)
