"""What a client gives back: training sets and online answers as Arrow, pandas or Polars, and smaller records.

pandas and Polars are loaded here only, and only when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from featurestore.errors import InvalidRequest, UnsupportedOperation
from featurestore.spec.dtypes import DType, Kind

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import polars as pl

_NUMBERS = frozenset({
    Kind.BOOL, Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.FLOAT32, Kind.FLOAT64, Kind.DECIMAL
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """A dataset: its manifest, and its rows when they are asked for. The rows are the same bytes every time."""

    manifest: Mapping[str, Any]
    _read: Callable[[], pa.Table] = field(repr=False, compare=False)
    _save: Callable[[Path, bool], None] = field(repr=False, compare=False)

    def __repr__(self) -> str:
        features = len(self.manifest["features"])
        return f"TrainingSet({self.id[:12]}, {self.rows} rows, {features} features)"

    @property
    def id(self) -> str:
        return str(self.manifest["id"])

    @property
    def rows(self) -> int:
        return int(self.manifest["rows"])

    @property
    def sha256(self) -> str:
        """Of the Parquet file that `to_parquet` writes."""
        return str(self.manifest["result"])

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self.manifest["warnings"])

    def to_arrow(self) -> pa.Table:
        """The spine's columns, then the features', in the spine's order."""
        return self._read()

    def to_pandas(self) -> pd.DataFrame:
        return pandas_frame(self.to_arrow())

    def to_polars(self) -> pl.DataFrame:
        return polars_frame(self.to_arrow())

    def to_parquet(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the rows to `path`: exactly the bytes that `sha256` is of.

        Where they are there already, nothing changes. Raises OutputExists, changing nothing, where a file with other
        bytes is, unless `overwrite`.
        """
        target = Path(path)
        self._save(target, overwrite)
        return target


@dataclass(frozen=True, slots=True)
class OnlineColumn:
    """One feature of an answer: a value, a status and an event timestamp for each row asked for."""

    name: str
    reference: str
    dtype: str
    fingerprint: str
    values: tuple[object, ...]
    statuses: tuple[str, ...]
    event_timestamps: tuple[datetime | None, ...]


class OnlineResult:
    """The features of each entity, in the order they were asked for, as of `at`. `columns` are the features' names.

    Values are there at once; statuses and timestamps are made when they are asked for.
    """

    __slots__ = ("_describe", "_details", "_values", "at", "columns", "rows")

    def __init__(
        self,
        at: datetime,
        rows: int,
        columns: tuple[str, ...],
        values: Sequence[Sequence[object]],
        describe: Callable[[], tuple[OnlineColumn, ...]],
    ) -> None:
        self.at = at
        self.rows = rows
        self.columns = columns
        self._values = values
        self._describe = describe
        self._details: tuple[OnlineColumn, ...] | None = None

    def __repr__(self) -> str:
        return f"OnlineResult({self.rows} rows, {len(self.columns)} features, as of {self.at.isoformat()})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OnlineResult):
            return NotImplemented
        return (self.rows, self.at, self.details) == (other.rows, other.at, other.details)

    __hash__ = None  # type: ignore[assignment]  # values may be lists

    @property
    def details(self) -> tuple[OnlineColumn, ...]:
        """Everything there is about each column."""
        if self._details is None:
            self._details = self._describe()
        return self._details

    def to_dicts(self) -> list[dict[str, object]]:
        """For each entity: column to value."""
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*self._values, strict=True)]

    def to_columns(self) -> dict[str, list[object]]:
        """For each column: a value for each entity."""
        return {name: list(values) for name, values in zip(self.columns, self._values, strict=True)}

    def to_numpy(self) -> npt.NDArray[np.float64]:
        """A row for each entity and a column for each feature, in the order in which they were asked for: of a model,
        that of its training set. Nulls are NaN; integers beyond 2**53 are rounded. Raises InvalidRequest, naming the
        features that are no numbers."""
        import numpy as np

        kinds = {column.name: DType.parse(column.dtype).kind for column in self.details}
        if others := [f"{name} ({kind.value})" for name, kind in kinds.items() if kind not in _NUMBERS]:
            raise InvalidRequest(f"A matrix holds numbers, and these features are none: {', '.join(others)}")
        matrix = np.empty((self.rows, len(self.columns)), np.float64)
        for index, values in enumerate(self._values):
            matrix[:, index] = np.array(values, dtype=np.float64)  # None becomes NaN
        return matrix

    def statuses(self) -> list[dict[str, str]]:
        """For each entity: column to `present`, `null`, `missing`, `expired` or `unreadable`."""
        return [{column.name: column.statuses[row] for column in self.details} for row in range(self.rows)]

    def event_timestamps(self) -> list[dict[str, datetime | None]]:
        """For each entity: column to when the row behind the value happened."""
        return [{column.name: column.event_timestamps[row] for column in self.details} for row in range(self.rows)]

    def to_arrow(self) -> pa.Table:
        arrays = [
            pa.array(values, arrow_type(column.dtype))
            for column, values in zip(self.details, self._values, strict=True)
        ]
        return pa.table(arrays, names=list(self.columns))

    def to_pandas(self) -> pd.DataFrame:
        return pandas_frame(self.to_arrow())

    def to_polars(self) -> pl.DataFrame:
        return polars_frame(self.to_arrow())


@dataclass(frozen=True, slots=True)
class FeatureDifference:
    """In how many rows of a training set a feature would be another value."""

    name: str
    reference: str
    differing: int


@dataclass(frozen=True, slots=True)
class KnownReport:
    """What event time alone would have made of a training set: how many of its cells would differ, by feature."""

    rows: int
    cells: int
    differing: int
    features: tuple[FeatureDifference, ...]

    @property
    def share(self) -> float:
        """Of the cells that would differ, from 0 to 1."""
        return self.differing / self.cells if self.cells else 0.0


@dataclass(frozen=True, slots=True)
class LineageTree:
    """A node with what lies beyond it. `kind` is `direct`, or `indirect` where it only decides which rows count.

    `repeated`: its branches stand where the node was first shown.
    """

    urn: str
    kind: str
    branches: tuple[LineageTree, ...]
    repeated: bool = False

    def urns(self) -> Iterator[str]:
        """Every URN of the tree, the root first."""
        yield self.urn
        for branch in self.branches:
            yield from branch.urns()


class Record(Mapping[str, Any]):
    """A document of the registry: a mapping that can not be changed, as the HTTP interface describes it."""

    __slots__ = ("_document",)

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = dict(document)

    def __getitem__(self, key: str) -> Any:
        return self._document[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._document)

    def __len__(self) -> int:
        return len(self._document)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._document!r})"


class ModelVersion(Record):
    """One registered version; `version["params"]` and so on beside the attributes. Metrics are floats, NaN too."""

    __slots__ = ()

    @property
    def model(self) -> str:
        return str(self["model"])

    @property
    def version(self) -> int:
        return int(self["version"])

    @property
    def reference(self) -> str:
        """Such as `fraud@3`."""
        return str(self["reference"])

    @property
    def urn(self) -> str:
        return f"model:{self.reference}"

    @property
    def dataset(self) -> str | None:
        dataset: str | None = self["dataset"]
        return dataset

    @property
    def metrics(self) -> dict[str, float]:
        return dict(self["metrics"])


class RegisteredModel(Record):
    """A model, and when it was asked for by name, its `versions` and `aliases`."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return str(self["name"])

    @property
    def versions(self) -> tuple[ModelVersion, ...]:
        return tuple(self.get("versions", ()))

    @property
    def aliases(self) -> dict[str, int]:
        return {alias["name"]: alias["version"] for alias in self.get("aliases", ())}


def arrow_type(dtype: str) -> pa.DataType:
    """The Arrow type of one of our types, by its text."""
    return _arrow_type(DType.parse(dtype))


def _arrow_type(dtype: DType) -> pa.DataType:
    match dtype.kind:
        case Kind.DATE:
            return pa.date32()
        case Kind.TIMESTAMP:
            return pa.timestamp("us", tz="UTC")
        case Kind.DECIMAL:
            return pa.decimal128(dtype.precision, dtype.scale)
        case Kind.LIST:
            assert dtype.item is not None  # noqa: S101 - a list has items
            return pa.list_(pa.field("element", _arrow_type(dtype.item)))
        case Kind.EMBEDDING:
            return pa.list_(pa.field("element", pa.float32()), dtype.size)
        case _:
            return pa.type_for_alias(dtype.value)


def pandas_frame(table: pa.Table) -> pd.DataFrame:
    """Integers and booleans with nulls become pandas' nullable types, because floats would round them. Lists of them
    with nulls become Python's lists, for the same reason; other lists are arrays of NumPy."""
    import pandas as pd

    frame = table.to_pandas()
    nullable = {
        field.name: pd.array(table[index].to_pylist(), dtype=_nullable(field.type))
        for index, field in enumerate(table.schema)
        if table[index].null_count and _is_whole(field.type)
    }
    lists = {
        field.name: pd.Series(table[index].to_pylist(), dtype=object)
        for index, field in enumerate(table.schema)
        if _is_list(field.type) and _is_whole(field.type.value_type) and _null_items(table[index])
    }
    return frame.assign(**nullable, **lists) if nullable or lists else frame


def polars_frame(table: pa.Table) -> pl.DataFrame:
    try:
        import polars as pl
    except ModuleNotFoundError as error:
        raise UnsupportedOperation("Polars is not installed: pip install 'knownat[polars]'") from error
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table never becomes a Series
    return frame


def _is_whole(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _null_items(lists: pa.ChunkedArray) -> int:
    return sum(chunk.flatten().null_count for chunk in lists.chunks)


def _nullable(kind: pa.DataType) -> str:
    """`Int64` for int64, `UInt8` for uint8, `boolean` for bool."""
    text = str(kind)
    return "boolean" if text == "bool" else text.replace("uint", "UInt").replace("int", "Int")
