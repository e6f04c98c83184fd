"""How far behind the present the online store is, view by view: one question to the store, none to anything else."""

from __future__ import annotations

from datetime import datetime, timedelta

from featurestore.graph.resolved import Graph
from featurestore.ports.online_store import OnlineReader, OnlineTable, TableRead


def online_freshness(graph: Graph, store: OnlineReader, *, now: datetime) -> dict[str, timedelta]:
    """For each view that is in the store, the time since the moment it is filled up to. Raises StoreUnavailable."""
    if not graph.views:
        return {}
    found = store.read([TableRead(OnlineTable.of(view), []) for view in graph.views])
    return {
        view.name: now - answer.filled.to
        for view, answer in zip(graph.views, found, strict=True)
        if answer.filled is not None
    }
