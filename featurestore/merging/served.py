"""Effective moments: up to when an online table was filled at the moments at which somebody asked it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurestore.merging.keys import Integers

NOT_ONLINE = np.iinfo(np.int64).min
"""The effective moment of those who asked before the first run."""


@dataclass(frozen=True, slots=True)
class Pushes:
    """The first and the last moment, in microseconds."""

    first: int
    last: int


def effective_moments(asked: Integers, published: Integers, filled: Integers, pushes: Pushes | None = None) -> Integers:
    """For each moment the greatest of `filled` among the runs that were `published` by then, or NOT_ONLINE.

    Between the first and the last push, what is visible by the view's declaration is online: a push brings no row
    before its publish delay is over. Pushes alone put no table online.
    """
    order = np.argsort(published, kind="stable")
    reached = np.concatenate([[NOT_ONLINE], np.maximum.accumulate(filled[order])])
    effective = reached[np.searchsorted(published[order], asked, "right")]
    if pushes is None:
        return effective
    pushed = np.minimum(asked, pushes.last)
    has_both = (effective != NOT_ONLINE) & (asked >= pushes.first)
    return np.where(has_both, np.maximum(effective, pushed), effective)
