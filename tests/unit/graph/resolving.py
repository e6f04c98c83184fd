"""Definitions over sources that have columns and no rows, resolved by the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.errors import DefinitionsError
from featurestore.graph.resolved import Graph, ResolvedView
from featurestore.intervals import Interval
from featurestore.operations.resolve import resolve_definitions
from featurestore.ports.source_reader import SourceSnapshot
from featurestore.spec.declarations import Declaration
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.source import ParquetSource, Source
from tests.property.project import Declared

MOMENT = pa.timestamp("us", tz="UTC")
FLIGHTS = pa.schema(
    [
        ("tail", pa.string()),
        ("landed", MOMENT),
        ("loaded", MOMENT),
        ("delay", pa.float64()),
        ("seats", pa.int32()),
        ("carrier", pa.string()),
        ("Gate", pa.string()),
        ("fare", pa.decimal128(10, 2)),
    ]
)


class Columns:
    """A SourceReader of sources without rows."""

    def __init__(self, **schemas: pa.Schema) -> None:
        self._schemas = schemas

    def read(self, source: Source, *, within: Interval | None = None) -> SourceSnapshot:  # noqa: ARG002 - the port's signature
        schema = self._schemas.get(source.name, FLIGHTS)
        return SourceSnapshot(source.name, schema.empty_table(), schema, "", 0, None, None)


@contextmanager
def engine(kind: type[DuckDBEngine] = DuckDBEngine) -> Iterator[DuckDBEngine]:
    """One engine, small and alone."""
    with TemporaryDirectory(prefix="knownat-") as folder:
        opened = kind(memory_limit="500MB", threads=1, spill_folder=Path(folder))
        yield opened
        opened.close()


def resolve(*declarations: Declaration, **schemas: pa.Schema) -> Graph:
    """The graph. A source that `schemas` does not name has the columns of FLIGHTS."""
    with engine() as alone:
        return resolve_definitions(Declared(*declarations), Columns(**schemas), alone).graph


def problems(*declarations: Declaration, **schemas: pa.Schema) -> list[str]:
    """What is wrong with the definitions: each problem with its hint, without the place."""
    try:
        resolve(*declarations, **schemas)
    except DefinitionsError as error:
        return [str(problem).removeprefix(f"{problem.where}: ") for problem in error.problems]
    return []


def flights(**changes: Any) -> ParquetSource:
    return ParquetSource("flights", **{"path": "flights.parquet", "event_timestamp": "landed", **changes})


def aircraft(**keys: DType) -> Entity:
    return Entity("aircraft", join_keys=keys or {"tail": DType.STRING})


def view_of(sql: str, *sources: ParquetSource, **changes: Any) -> ResolvedView:
    """The view `v` of this SQL, over `flights` unless other sources are given."""
    view = FeatureView("v", **{"entity": aircraft(), "sql": sql, **changes})
    return resolve(*(sources or (flights(),)), view).view("v")


def problems_of(sql: str, *sources: ParquetSource, **changes: Any) -> list[str]:
    view = FeatureView("v", **{"entity": aircraft(), "sql": sql, **changes})
    return problems(*(sources or (flights(),)), view)


def names(view: ResolvedView) -> list[str]:
    return [feature.name for feature in view.features]


def edges(view: ResolvedView, feature: str) -> dict[str, list[str]]:
    """The source columns behind a feature, by the kind of their edge."""
    found: dict[str, list[str]] = {"direct": [], "indirect": []}
    for edge in view.feature(feature).edges:
        found[edge.kind.value].append(f"{edge.column.source}.{edge.column.column}")
    return found
