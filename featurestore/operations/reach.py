"""How far a view's table reaches: the moment up to which it holds everything that is visible."""

from __future__ import annotations

from datetime import datetime, timedelta

from featurestore.compiler.hops import MICROSECOND, boundary, hop_at
from featurestore.graph.resolved import ResolvedView


def answers_until(view: ResolvedView, filled_to: datetime) -> datetime:
    """The last moment that a table filled for event time before `filled_to` answers in full.

    What happens from then on is known after the view's delay and online after its publish delay. Where rows say
    themselves when they are known, one can be visible the moment it happens. What happens at `filled_to` itself is not
    filled, so a row-level view answers until just before that is visible.
    """
    known_to = filled_to + (view.delay or timedelta(0))
    if view.every is not None:
        # With a delay, what happens at `filled_to` itself counts at the boundary `known_to`, and is not filled.
        whole = known_to - MICROSECOND if view.delay else known_to
        return boundary(hop_at(whole, view.every), view.every) + view.publish_delay
    visible = known_to if view.delay is None else known_to + view.publish_delay
    return visible - MICROSECOND


def settled_until(view: ResolvedView, filled_to: datetime) -> datetime:
    """The last moment whose answer stays what it is when the table is filled further: a windowed view answers with its
    last boundary until just before the next."""
    last = answers_until(view, filled_to)
    return last if view.every is None else last + view.every - MICROSECOND
