"""The resolved graph: what the declarations mean together, as plain values that can be stored and read back.

A record here refers to nothing outside itself but names: SQL is canonical text, types are names, and a `FeatureSet`
holds all that a training set, a lookup or a rebuild needs, however the definitions change later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from featurestore.errors import UnknownName
from featurestore.spec.aggregate import Function
from featurestore.spec.dtypes import DType
from featurestore.spec.source import RemovedRows


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    dtype: DType


class EdgeKind(Enum):
    """DIRECT: the value is made of this column. INDIRECT: it decides which rows count (filter, key, time, join)."""

    DIRECT = "direct"
    INDIRECT = "indirect"


@dataclass(frozen=True, slots=True, order=True)
class SourceColumn:
    source: str
    column: str


@dataclass(frozen=True, slots=True)
class ColumnEdge:
    """A feature depends on a source's column."""

    column: SourceColumn
    kind: EdgeKind


@dataclass(frozen=True, slots=True)
class SourceField:
    """A column of a source as it was when the definitions were resolved; `type` is the name of its Arrow type."""

    name: str
    type: str


class SourceKind(Enum):
    PARQUET = "parquet"
    CSV = "csv"
    DELTA = "delta"
    SQL = "sql"
    FRAME = "frame"


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """How the text of CSV files is read."""

    header: bool
    delimiter: str
    null_text: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatabaseRows:
    """Where a SQL source's rows are: a table or a SELECT, behind a connection that the settings know by this name."""

    connection: str
    table: str | None
    query: str | None


@dataclass(frozen=True, slots=True)
class ResolvedSource:
    name: str
    path: str
    """Of files; empty for rows that are not in files of their owner's."""
    event_timestamp: str
    known_at: str | None
    delay: timedelta
    fields: tuple[SourceField, ...]
    description: str = ""
    owner: str = ""
    kind: SourceKind = SourceKind.PARQUET
    columns: tuple[Column, ...] = ()
    """Those that were declared with a type: of folders (Parquet), or of rows that say no types themselves."""
    csv: CsvFormat | None = None
    version: int | None = None
    """The only version of a Delta table that is read; None: the newest."""
    database: DatabaseRows | None = None
    removed_rows: RemovedRows = RemovedRows.HOLD
    """What it means that stored rows are gone from it. Rows that were pushed never are."""


@dataclass(frozen=True, slots=True)
class TileInput:
    """One aggregated column of a windowed view's query. Null where an event does not count.

    Its tiles hold one mergeable state for it, whatever the windows; `functions` says what the state must support.
    """

    name: str
    dtype: DType
    functions: tuple[Function, ...]
    recent: int = 0
    """How many of the last values a tile keeps, for `last_n`."""


@dataclass(frozen=True, slots=True)
class WindowOf:
    """How a windowed feature is made: `function` of the input over the trailing `window`, None being the lifetime."""

    input: str
    function: Function
    window: timedelta | None
    parameter: float | None = None
    """The percent of a percentile, the number of `last_n`."""


@dataclass(frozen=True, slots=True)
class ResolvedFeature:
    name: str
    dtype: DType
    fingerprint: str
    edges: tuple[ColumnEdge, ...]
    window: WindowOf | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class ResolvedView:
    """A view whose every name is settled. `query` is canonical SQL over what it reads, one row for each row of that:
    the keys, `event_timestamp`, `known_at`, and the features (row-level) or the inputs of the tiles (windowed)."""

    name: str
    fingerprint: str
    entity: str | None
    keys: tuple[Column, ...]
    query: str
    sources: tuple[ResolvedSource, ...]
    features: tuple[ResolvedFeature, ...]
    every: timedelta | None
    inputs: tuple[TileInput, ...]
    ttl: timedelta | None
    publish_delay: timedelta
    delay: timedelta | None
    """How long after it happened a row is known, so that what happened since is not there to be filled yet; None where
    each row says it itself."""
    description: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    lateness: timedelta | None = None
    """How long after they were known rows still come to the sources; None where nothing is said."""
    upstreams: tuple[ResolvedView, ...] = ()
    """The views that the query reads as it reads sources: their stored rows, known to others after their publish delay.
    Whole, so that the tables that are needed are known however the definitions change later."""
    source_delay: timedelta | None = None
    """Of a view that keeps removed rows: how long after it happened a source's row is known; None where each says that
    itself."""

    @property
    def keeps_removed(self) -> bool:
        """Whether its rows stay as they were known, whatever becomes of the sources' rows."""
        return any(source.removed_rows is RemovedRows.KEEP for source in self.sources)

    @property
    def table(self) -> str:
        """The name of this view's table, offline and online: it changes when stored values would."""
        return f"{self.name}@{self.fingerprint[:8]}"

    @property
    def is_windowed(self) -> bool:
        return self.every is not None

    @property
    def stored_values(self) -> tuple[Column, ...]:
        """The features in the order of their names: reordering a view's features changes nothing that is stored."""
        values = (Column(feature.name, feature.dtype) for feature in self.features)
        return tuple(sorted(values, key=lambda value: value.name))

    def feature(self, name: str) -> ResolvedFeature:
        for feature in self.features:
            if feature.name == name:
                return feature
        raise UnknownName(f"feature of view '{self.name}'", name, [feature.name for feature in self.features])


@dataclass(frozen=True, slots=True)
class ViewUse:
    """A view as a feature set uses it: some of its features, under a name, joined on the spine's own columns."""

    view: str
    name: str
    join_columns: tuple[str, ...]
    """One for each key of the view, in the order of its keys."""
    features: tuple[str, ...]

    def column(self, feature: str) -> str:
        return f"{self.name}__{feature}"


@dataclass(frozen=True, slots=True)
class ResolvedOnDemand:
    """`expression` is canonical SQL over request inputs and output columns such as `aircraft__delay_mean_7d`."""

    name: str
    expression: str
    dtype: DType
    inputs: tuple[Column, ...]
    features: tuple[str, ...]
    """References `view:feature` that the expression reads."""
    fingerprint: str
    description: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of the answer: a view's feature (`reference` is `view:feature`) or an on-demand feature (its name)."""

    name: str
    dtype: DType
    reference: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """A chosen set of features with everything needed to compute them: complete in itself.

    `uses` may hold features that only on-demand features read; `outputs` are what was asked for, in order.
    """

    service: str | None
    views: tuple[ResolvedView, ...]
    uses: tuple[ViewUse, ...]
    on_demand: tuple[ResolvedOnDemand, ...]
    outputs: tuple[OutputColumn, ...]

    def view(self, name: str) -> ResolvedView:
        return next(view for view in self.views if view.name == name)

    @property
    def join_columns(self) -> tuple[Column, ...]:
        """The key columns that a spine or an online request must bring."""
        columns = {
            column: key.dtype
            for use in self.uses
            for column, key in zip(use.join_columns, self.view(use.view).keys, strict=True)
        }
        return tuple(Column(name, dtype) for name, dtype in columns.items())

    @property
    def request_inputs(self) -> tuple[Column, ...]:
        """The further columns that on-demand features read from the spine or the request."""
        columns = {column.name: column.dtype for feature in self.on_demand for column in feature.inputs}
        return tuple(Column(name, dtype) for name, dtype in columns.items())


@dataclass(frozen=True, slots=True)
class ResolvedEntity:
    name: str
    keys: tuple[Column, ...]
    description: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """A feature service: references `view:feature` and on-demand names, in order, and the roles they speak of."""

    name: str
    members: tuple[str, ...]
    uses: tuple[ViewUse, ...]
    description: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """Everything a definitions folder declares, resolved."""

    entities: tuple[ResolvedEntity, ...] = ()
    sources: tuple[ResolvedSource, ...] = ()
    views: tuple[ResolvedView, ...] = ()
    on_demand: tuple[ResolvedOnDemand, ...] = ()
    services: tuple[ServiceEntry, ...] = ()

    def view(self, name: str) -> ResolvedView:
        for view in self.views:
            if view.name == name:
                return view
        raise UnknownName("feature view", name, [view.name for view in self.views])

    def service(self, name: str) -> ServiceEntry:
        for service in self.services:
            if service.name == name:
                return service
        raise UnknownName("feature service", name, [service.name for service in self.services])
