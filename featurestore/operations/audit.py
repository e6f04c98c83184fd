"""Audit: the online store's values against the point-in-time answer at the moment up to which it is filled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from featurestore.compiler.newest import sampled_keys
from featurestore.errors import NotMaterialized
from featurestore.graph.arrow_types import arrow_schema
from featurestore.graph.resolved import FeatureSet, OutputColumn, ResolvedView, ViewUse
from featurestore.operations.lookup import Asked, lookup, prepare
from featurestore.operations.point_in_time import Pull, point_in_time
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.ports.engine import Query
from featurestore.ports.online_store import Key, OnlineTable, TableRead

_ASKED_AT = "__asked_at"


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs between the two sides."""

    key: tuple[tuple[str, object], ...]
    feature: str
    online: object
    offline: object


@dataclass(frozen=True, slots=True)
class AuditReport:
    view: str
    at: datetime
    keys: int
    values: int
    differences: tuple[Difference, ...]


def audit(view: ResolvedView, sample: int, offline: OfflineSide, online: OnlineSide) -> AuditReport:
    """Compare up to `sample` keys that are online, and as many that should be, value by value.

    Raises NotMaterialized when the view is not online.
    """
    table = OnlineTable.of(view)
    filled = online.store.read([TableRead(table, [])])[0].filled
    if filled is None:
        raise NotMaterialized(f"View '{view.name}' is not in the online store. Run `knownat materialize`.")
    filled_to = filled.to
    keys = list(dict.fromkeys((*online.store.sample_keys(table, sample), *_offline_keys(view, sample, offline))))
    features = _whole_view(view)
    rows = [dict(zip((key.name for key in view.keys), values, strict=True)) for values in keys]
    answer = lookup(prepare(features), rows, Asked(filled_to), online.store, offline.engine)
    expected = _expected(view, features, keys, filled_to, offline)
    differences = tuple(
        Difference(tuple(zip((k.name for k in view.keys), key, strict=True)), column.column.reference, found, wanted)
        for column in answer.columns
        for key, found, wanted in zip(keys, column.values, expected[column.column.name].to_pylist(), strict=True)
        if not same_value(found, wanted)
    )
    return AuditReport(view.name, filled_to, len(keys), len(keys) * len(answer.columns), differences)


def same_value(left: object, right: object) -> bool:
    """Equality to the bit: NaN is NaN, and 0.0 is not -0.0."""
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return left == right and math.copysign(1.0, left) == math.copysign(1.0, right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_value, left, right))
    return type(left) is type(right) and left == right


def _whole_view(view: ResolvedView) -> FeatureSet:
    names = tuple(feature.name for feature in view.features)
    use = ViewUse(view.name, view.name, tuple(key.name for key in view.keys), names)
    outputs = tuple(
        OutputColumn(use.column(feature.name), feature.dtype, f"{view.name}:{feature.name}", feature.fingerprint)
        for feature in view.features
    )
    return FeatureSet(None, (view,), (use,), (), outputs)


def _offline_keys(view: ResolvedView, sample: int, offline: OfflineSide) -> list[Key]:
    """A sample of the keys that the offline table holds, spread by a hash: the same keys each time."""
    files = offline.tables.snapshot(view.table).files
    with offline.engine.stream(Query(sampled_keys(view, sample, rows=view.table), {view.table: files})) as rows:
        table = rows.read_all()
    return [tuple(row[key.name] for key in view.keys) for row in table.to_pylist()]


def _expected(
    view: ResolvedView, features: FeatureSet, keys: list[Key], at: datetime, offline: OfflineSide
) -> pa.Table:
    schema = arrow_schema(view.keys).append(pa.field(_ASKED_AT, pa.timestamp("us", tz="UTC")))
    columns = [[key[position] for key in keys] for position in range(len(view.keys))]
    spine = pa.table([*columns, [at] * len(keys)], schema=schema)
    files = {view.name: offline.tables.snapshot(view.table).files}
    return pa.concat_tables(point_in_time(Pull(spine, features, _ASKED_AT, files, {view.name: at}), offline))
