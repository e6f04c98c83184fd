"""What a push is answered with, over HTTP and in this process."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from featurestore.operations.entity_rows import Row
from featurestore.operations.push import PushRequest, PushResult, push, pushable_source
from featurestore.operations.pushed_rows import rows_table
from featurestore.service.served import ServedFeatures
from featurestore.service.wire import Document, moment_json


def pushed(served: ServedFeatures, view: str, rows: pa.Table | Sequence[Row], *, key: str) -> Document:
    """Push rows to the view as it is applied now: a table, or rows of plain values that are taken at their word."""
    now = served.clock()  # before anything is looked at: rows are known when they arrive
    resolved = served.lookups.applied().graph.view(view)
    frame = rows if isinstance(rows, pa.Table) else rows_table(pushable_source(resolved), rows)
    return push_document(push(PushRequest(resolved, frame, key, now), served.frames, served.offline, served.online))


def push_document(result: PushResult) -> Document:
    return {
        "view": result.view,
        "table": result.table,
        "source": result.source,
        "key": result.key,
        "rows": result.rows,
        "feature_rows": result.feature_rows,
        "rejected": result.rejected,
        "is_new": result.is_new,
        "known_at": moment_json(result.known_at),
        "source_version": result.source_version,
        "table_version": result.table_version,
        "online": result.online.value,
        "online_from": moment_json(result.online_from),
        "reason": result.reason,
    }
