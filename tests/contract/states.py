"""What contract tests of state begin with: a graph, a manifest, and every keeper of state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from featurestore.graph.resolved import (
    Column,
    ColumnEdge,
    EdgeKind,
    FeatureSet,
    Graph,
    OutputColumn,
    ResolvedFeature,
    ResolvedSource,
    ResolvedView,
    SourceColumn,
    SourceField,
    TileInput,
    ViewUse,
    WindowOf,
)
from featurestore.ports.publications import PublicationState
from featurestore.ports.state import (
    CatalogState,
    ColumnProfile,
    CoverageState,
    DatasetState,
    Manifest,
    MaterializationState,
    PinnedTable,
)
from featurestore.spec.aggregate import Function
from featurestore.spec.dtypes import DType

NOON = datetime(2013, 3, 10, 12, 0, 0, 123457, tzinfo=UTC)
HOUR = timedelta(hours=1)

FLIGHTS = ResolvedSource("flights", "flights/*.parquet", "landed_at", None, HOUR, (SourceField("dep_time", "int32"),))
DELAYS = ResolvedView(
    name="delays",
    fingerprint="f" * 64,
    entity="aircraft",
    keys=(Column("tailnum", DType.STRING),),
    query="SELECT tailnum, 'é' AS x FROM flights",
    sources=(FLIGHTS,),
    features=(
        ResolvedFeature(
            name="late_7d",
            dtype=DType.FLOAT64,
            fingerprint="a" * 64,
            edges=(ColumnEdge(SourceColumn("flights", "arr_delay"), EdgeKind.DIRECT),),
            window=WindowOf("late", Function.MEAN, timedelta(days=7)),
        ),
    ),
    every=HOUR,
    inputs=(TileInput("late", DType.FLOAT64, (Function.MEAN, Function.COUNT)),),
    ttl=None,
    publish_delay=timedelta(minutes=10),
    delay=HOUR,
    tags=("tier-1",),
)
GRAPH = Graph(sources=(FLIGHTS,), views=(DELAYS,))
MANIFEST = Manifest(
    id="abcdef" + "0" * 58,
    features=FeatureSet(
        service="delay_v1",
        views=(DELAYS,),
        uses=(ViewUse("delays", "delays", ("tailnum",), ("late_7d",)),),
        on_demand=(),
        outputs=(OutputColumn("delays__late_7d", DType.FLOAT64, "delays:late_7d", "a" * 64),),
    ),
    tables=(PinnedTable("delays@ffffffff", "delays", "f" * 64, 3, NOON, (("flights", "9"),)),),
    spine="5" * 64,
    spine_kept=True,
    timestamp="at",
    label="late",
    rows=10,
    first=NOON,
    last=None,
    result="6" * 64,
    result_size=2**40,
    profile=(ColumnProfile("delays__late_7d", "float64", nulls=2, minimum=-0.0, maximum=1e300, mean=0.1 + 0.2),),
    libraries=(("duckdb", "2.0.0"),),
    warnings=(),
    created_at=NOON,
)


@dataclass(frozen=True)
class State:
    catalog: CatalogState
    coverage: CoverageState
    materializations: MaterializationState
    datasets: DatasetState
    publications: PublicationState
