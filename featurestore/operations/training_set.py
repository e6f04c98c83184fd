"""Training sets: features joined to a spine as they were known, with a manifest that can bring them back."""

from __future__ import annotations

import platform
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import file_digest, sha256
from importlib.metadata import version as library_version

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.errors import DatasetGone, NotApplied, UnknownName
from featurestore.graph.fingerprint import fingerprint
from featurestore.graph.resolved import FeatureSet
from featurestore.intervals import EPOCH, show_moment
from featurestore.operations.as_served import PinnedHistory, ServedHistory, pin_history, served_warnings
from featurestore.operations.fitted_column import as_moments
from featurestore.operations.open_table import content_at, open_table
from featurestore.operations.point_in_time import Pull, point_in_time
from featurestore.operations.pull_warnings import beyond_filled, spine_warnings
from featurestore.operations.reach import answers_until
from featurestore.operations.result_file import ResultFile, passing_file, write_result, write_table
from featurestore.operations.sides import OfflineSide
from featurestore.operations.spine import as_kept, check_spine
from featurestore.ports.engine import ParquetFiles
from featurestore.ports.objects import ObjectReference, ObjectStore
from featurestore.ports.state import DatasetState, Manifest, PinnedTable

_LIBRARIES = ("duckdb", "pyarrow", "deltalake", "sqlglot", "knownat")


@dataclass(frozen=True, slots=True)
class TrainingSetRequest:
    """Which features, for which rows. `timestamp` names the spine's column that says when each row asks.

    `served` asks for what an online store with this history answered, instead of what was known and published.
    """

    spine: pa.Table
    features: FeatureSet
    timestamp: str = "event_timestamp"
    label: str | None = None
    keep_spine: bool = True
    served: ServedHistory | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """Where datasets and their bytes are kept."""

    datasets: DatasetState
    objects: ObjectStore


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a pull is made from, beside what was asked for: the sha256 of the spine, and that of the online store's
    history where it is joined by one."""

    tables: tuple[PinnedTable, ...]
    spine: str
    served: str | None


def training_set(request: TrainingSetRequest, offline: OfflineSide, archive: Archive, *, now: datetime) -> Manifest:
    """Join the features to the spine and keep the result: `archive.objects` then has it as `manifest.result`.

    The same pull (features, table versions, spine, label) is done once: its manifest is returned as it is.
    Raises SpineError, or NotApplied when a view has nothing filled.
    """
    check_spine(request.spine, request.features, timestamp=request.timestamp, label=request.label)
    offline.claim()
    request = replace(request, spine=as_kept(request.spine))
    tables, files = pin_tables(request.features, offline)
    spine = _spine_sha256(request, archive.objects)
    served = _pinned_history(request, archive.objects)
    inputs = _Inputs(tables, spine, None if served is None else served.sha256)
    identity = _identity(request, inputs)
    with suppress(UnknownName):
        return _same_tables(archive.datasets.get(identity), tables)
    pull = Pull(
        request.spine,
        request.features,
        request.timestamp,
        files,
        ends_of(tables),
        served=None if served is None else served.views,
    )
    written, result = run_pull(pull, offline, archive.objects)
    return archive.datasets.put(_manifest(request, identity, inputs, (written, result), now))


def _same_tables(kept: Manifest, tables: tuple[PinnedTable, ...]) -> Manifest:
    """The kept dataset, unless a table was lost and filled anew since: versions are counted from 0 again then."""
    commits = {table.table: table.commit for table in tables}
    for table in kept.tables:
        if table.commit not in (None, commits[table.table]):
            raise DatasetGone(
                f"Dataset {kept.id[:12]} would be this pull, but was pulled before the table {table.table} was lost "
                f"and filled anew. Run `knownat datasets delete {kept.id[:12]}`, or pull with another spine."
            )
    return kept


def run_pull(pull: Pull, offline: OfflineSide, objects: ObjectStore) -> tuple[ResultFile, ObjectReference]:
    """Join the features to the spine, and store the result's bytes."""
    with passing_file("result.parquet") as path:
        written = write_result(pull.spine, point_in_time(pull, offline), path)
        with path.open("rb") as content:
            return written, objects.put(content)


def ends_of(tables: tuple[PinnedTable, ...]) -> dict[str, datetime]:
    """Up to when each view's table answers in full."""
    return {table.view: table.answers_until for table in tables}


def pin_tables(features: FeatureSet, offline: OfflineSide) -> tuple[tuple[PinnedTable, ...], dict[str, ParquetFiles]]:
    """The newest version of each view's table, and its files."""
    pinned: list[PinnedTable] = []
    files: dict[str, ParquetFiles] = {}
    for view in features.views:
        coverage = offline.coverage.coverage(view.table)
        if coverage.filled_to is None:
            raise NotApplied(
                f"View '{view.name}' has nothing filled yet, not even that there are no rows: run `knownat backfill "
                f"{view.name}`, which says what is wrong if that does not help."
            )
        snapshot = open_table(view.table, offline)
        files[view.name] = snapshot.files
        sources = dict.fromkeys(version for fill in coverage.fills for version in fill.source_versions)
        until = answers_until(view, coverage.filled_to)
        commit = sha256(content_at(view.table, snapshot.version, offline.ledger)).hexdigest()
        pinned.append(
            PinnedTable(view.table, view.name, view.fingerprint, snapshot.version, until, tuple(sources), commit)
        )
    return tuple(pinned), files


def _spine_sha256(request: TrainingSetRequest, objects: ObjectStore) -> str:
    """The digest of the spine's bytes, which are kept unless the caller says no."""
    with passing_file("spine.parquet") as path:
        write_table(request.spine, path)
        with path.open("rb") as content:
            return objects.put(content).sha256 if request.keep_spine else file_digest(content, "sha256").hexdigest()


def _pinned_history(request: TrainingSetRequest, objects: ObjectStore) -> PinnedHistory | None:
    if request.served is None:
        return None
    first, last = _span(request)
    return pin_history(request.served, (first, last), objects)


def _span(request: TrainingSetRequest) -> tuple[datetime | None, datetime | None]:
    """The first and the last moment that is asked about; None of an empty spine."""
    span = pc.min_max(as_moments(request.spine[request.timestamp])).as_py()
    return span["min"], span["max"]


def _identity(request: TrainingSetRequest, inputs: _Inputs) -> str:
    """A hash of everything that decides the result, and of nothing else."""
    features = request.features
    _, last = _span(request)
    return fingerprint(
        "dataset",
        [[output.name, output.dtype.value, output.fingerprint] for output in features.outputs],
        [[use.name, use.view, use.join_columns, use.features] for use in features.uses],
        [
            [view.name, view.fingerprint, None if view.ttl is None else view.ttl.total_seconds()]
            for view in features.views
        ],
        [[table.table, table.version, show_moment(_asked_until(table, last))] for table in inputs.tables],
        [inputs.spine, request.timestamp, request.label],
        *([] if inputs.served is None else [["as served", inputs.served]]),
    )


def _asked_until(table: PinnedTable, last: datetime | None) -> datetime:
    """How far a table matters: what it answers after the last row asks is nothing to this pull. It reaches further with
    every minute in which nothing happens."""
    return EPOCH if last is None else min(table.answers_until, last)


def _manifest(
    request: TrainingSetRequest,
    identity: str,
    inputs: _Inputs,
    outcome: tuple[ResultFile, ObjectReference],
    now: datetime,
) -> Manifest:
    written, result = outcome
    first, last = _span(request)
    return Manifest(
        id=identity,
        features=request.features,
        tables=inputs.tables,
        spine=inputs.spine,
        spine_kept=request.keep_spine,
        timestamp=request.timestamp,
        label=request.label,
        rows=written.rows,
        first=first,
        last=last,
        result=result.sha256,
        result_size=result.size,
        profile=written.profile,
        libraries=(("python", platform.python_version()), *((name, library_version(name)) for name in _LIBRARIES)),
        warnings=_warnings(request, inputs.tables, now),
        created_at=now,
        served=inputs.served,
    )


def _warnings(request: TrainingSetRequest, tables: tuple[PinnedTable, ...], now: datetime) -> tuple[str, ...]:
    moments = as_moments(request.spine[request.timestamp])
    told = spine_warnings(request.spine, request.timestamp, request.features)
    if request.served is not None:
        return (*told, *served_warnings(request.served, moments, now=now))
    return (*told, *beyond_filled(moments, tables))
