"""What whoever pulls a training set should know of its spine, with the number of rows it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.graph.resolved import FeatureSet
from featurestore.intervals import show_moment
from featurestore.ports.state import PinnedTable


def spine_warnings(spine: pa.Table, timestamp: str, features: FeatureSet) -> Iterator[str]:
    """What is to be said of the spine itself."""
    kind = spine.schema.field(timestamp).type
    if pa.types.is_timestamp(kind) and kind.tz is None and spine.num_rows:
        yield f"'{timestamp}' has no time zone and was read as UTC"
    for column in features.join_columns:
        if nulls := spine[column.name].null_count:
            yield f"{nulls} rows have no '{column.name}': a null key matches nothing"


def beyond_filled(moments: pa.ChunkedArray, tables: Iterable[PinnedTable]) -> Iterator[str]:
    """Rows that ask about moments which views are not filled for yet: they hold what is known so far."""
    views: dict[datetime, list[str]] = {}
    for table in tables:
        views.setdefault(table.answers_until, []).append(f"'{table.view}'")
    for until, names in sorted(views.items()):
        late = pc.sum(pc.greater(moments, pa.scalar(until, pa.timestamp("us", tz="UTC")))).as_py() or 0
        if late:
            what = f"{late} rows ask about moments after {show_moment(until)}"
            yield f"{what}, up to which {', '.join(names)} can answer"
