"""How long an online store has to keep a row."""

from __future__ import annotations

from datetime import timedelta

from featurestore.graph.resolved import ResolvedView
from featurestore.ports.online_store import Filled

_SLACK = timedelta(days=1)
"""How much longer than its TTL a row is kept online: to be told as expired, and for a TTL that is raised a little."""


def kept_online(view: ResolvedView, beside: Filled | None) -> timedelta | None:
    """How long after it happened the online store keeps a row of the view; None: for ever. Rows that are written beside
    others are kept at least as long as those: a model may still be asked for by a TTL that was longer."""
    wanted = None if view.ttl is None else view.ttl + _SLACK
    if wanted is None or beside is None:
        return wanted
    return None if beside.keeps is None else max(wanted, beside.keeps)
