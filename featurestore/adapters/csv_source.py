"""CSV files as sources, read by the names of their columns.

Every file is read once to the end before any of its rows is used: for its number of rows, its span of time, the types
of its columns, and what is wrong with it. That is remembered for as long as the file stays as it is. As with Parquet,
the newest file says which columns there are.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from io import TextIOWrapper

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from featurestore.adapters.csv_text import INFERRED, NotOfType, possible_types, preferred, values_of
from featurestore.adapters.event_times import as_moment, rows_within
from featurestore.adapters.source_files import SourceFile, SourceFiles, WantedFiles, version_of
from featurestore.errors import SourceError
from featurestore.graph.arrow_types import arrow_type
from featurestore.intervals import Interval
from featurestore.ports.engine import RowScan
from featurestore.ports.source_reader import SourcePart, SourceSnapshot
from featurestore.spec.dtypes import DType
from featurestore.spec.source import CsvSource

_BLOCK_BYTES = 1 << 24
_LONGEST_REASON = 200
_ROW = re.compile(r"Row #(\d+): ")
_MOMENT = arrow_type(DType.TIMESTAMP)


@dataclass(slots=True)
class _Profile:
    """What one file holds."""

    names: tuple[str, ...]
    rows: int = 0
    first: datetime | None = None
    last: datetime | None = None
    possible: dict[str, frozenset[DType]] = field(default_factory=dict)
    valued: set[str] = field(default_factory=set)
    """Columns with any value."""
    wrong: dict[str, str] = field(default_factory=dict)
    """Columns with a text that is not of the declared type, and the first such text."""


class CsvSources:
    """Reads each file once to its end, and again for its rows; what it found is kept while the file stays the same."""

    def __init__(self, files: SourceFiles) -> None:
        self._files = files
        self._known: dict[tuple[CsvSource, str, str], _Profile] = {}

    def read(self, source: CsvSource, *, within: Interval | None = None) -> SourceSnapshot:
        files = self._files.find(WantedFiles(source.name, source.path, ".csv", may_be_none=bool(source.columns)))
        if not files:
            return _empty(source)
        profiles = [self._profile(source, file) for file in files]
        newest = max(range(len(files)), key=lambda number: (files[number].modified, files[number].shown))
        schema = _schema(source, profiles[newest].names, profiles)
        known = [p for p in profiles if p.first is not None and p.last is not None]
        return SourceSnapshot(
            source=source.name,
            relation=_relation(source, list(zip(files, profiles, strict=True)), schema, within),
            schema=schema,
            version=version_of(files),
            rows=sum(profile.rows for profile in profiles),
            first=min((p.first for p in known if p.first), default=None),
            last=max((p.last for p in known if p.last), default=None),
            parts=tuple(
                SourcePart(file.name, file.digest, profile.rows, profile.first, profile.last)
                for file, profile in zip(files, profiles, strict=True)
            ),
            mixed={name: told for profile in profiles for name, told in profile.wrong.items()},
        )

    def _profile(self, source: CsvSource, file: SourceFile) -> _Profile:
        key = (source, file.shown, file.version)
        if key not in self._known:
            self._known = {k: p for k, p in self._known.items() if k[:2] != key[:2]}
            self._known[key] = _profiled(source, file)
        return self._known[key]


def _empty(source: CsvSource) -> SourceSnapshot:
    """A source that declares its columns, and has no files yet."""
    schema = pa.schema([pa.field(name, arrow_type(dtype)) for name, dtype in source.columns])
    return SourceSnapshot(source.name, schema.empty_table(), schema, version_of([]), 0, None, None)


def _profiled(source: CsvSource, file: SourceFile) -> _Profile:
    """Read the whole file. Raises SourceError, with the line, where it is not CSV."""
    declared = dict(source.columns)
    reader = _reader(source, file)
    names = tuple(reader.schema.names)
    if repeated := {name for name in names if names.count(name) > 1}:
        raise SourceError(f"source '{source.name}': {file.shown} has the column '{min(repeated)}' twice")
    profile = _Profile(names, possible={} if declared else dict.fromkeys(names, frozenset(INFERRED)))
    for batch in _batches(source, file, reader):
        for name in names:
            texts = batch[name]
            if texts.null_count < len(texts):
                profile.valued.add(name)
            if not declared:
                profile.possible[name] = possible_types(texts, profile.possible[name])
            elif name in declared and name not in profile.wrong:
                _check(texts, name, declared[name], (source, file, profile))
        if source.event_timestamp in names:
            _widen(profile, batch[source.event_timestamp])
        profile.rows += batch.num_rows
    return profile


def _check(texts: pa.Array, name: str, dtype: DType, place: tuple[CsvSource, SourceFile, _Profile]) -> None:
    source, file, profile = place
    try:
        values_of(texts, arrow_type(dtype))
    except NotOfType as error:
        line = _line(source, file, profile.rows + error.position + 1 + source.header)
        profile.wrong[name] = f"'{error.text}' in line {line} of {file.shown}, which is no {dtype.value}"


def _widen(profile: _Profile, texts: pa.Array) -> None:
    """Widen the profile's span. Texts that are no moments are told elsewhere, as the type of the column."""
    try:
        span = pc.min_max(values_of(texts, _MOMENT)).as_py()
    except NotOfType:
        return
    if span["min"] is not None:
        first, last = as_moment(span["min"]), as_moment(span["max"])
        profile.first = min(profile.first or first, first)
        profile.last = max(profile.last or last, last)


def _schema(source: CsvSource, names: tuple[str, ...], profiles: list[_Profile]) -> pa.Schema:
    """The columns of the newest file, those that are declared if any are."""
    if source.columns:
        return pa.schema([pa.field(name, arrow_type(dtype)) for name, dtype in source.columns if name in names])
    fields = []
    for name in names:
        having = [profile for profile in profiles if name in profile.possible]
        possible = frozenset(INFERRED).intersection(*(profile.possible[name] for profile in having))
        dtype = preferred(possible, any_value=any(name in profile.valued for profile in having))
        fields.append(pa.field(name, arrow_type(dtype)))
    return pa.schema(fields)


def _relation(
    source: CsvSource, files: list[tuple[SourceFile, _Profile]], schema: pa.Schema, within: Interval | None
) -> RowScan:
    timestamp = source.event_timestamp
    dated = within if timestamp in schema.names else None

    def rows(columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        wanted = dict.fromkeys((*columns, *([timestamp] if dated else [])))
        for file, profile in files:
            if dated and (profile.first is None or profile.last is None):
                continue
            if dated and profile.first and profile.last and not _touches(dated, profile.first, profile.last):
                continue
            present = [name for name in wanted if name in profile.names]
            for batch in _batches(source, file, _reader(source, file, present)):
                table = _typed(batch, schema, tuple(wanted))
                table = rows_within(table, timestamp, dated) if dated else table
                yield from table.select(list(columns)).to_batches()

    return RowScan(schema, rows)


def _touches(interval: Interval, first: datetime, last: datetime) -> bool:
    return first < interval.end and interval.start <= last


def _typed(batch: pa.RecordBatch, schema: pa.Schema, names: tuple[str, ...]) -> pa.Table:
    """The columns as values; one that the file lacks is null."""
    texts: Mapping[str, pa.Array] = dict(zip(batch.schema.names, batch.columns, strict=True))
    kinds = [schema.field(name).type for name in names]
    values = [
        values_of(texts[name], kind) if name in texts else pa.nulls(batch.num_rows, kind)
        for name, kind in zip(names, kinds, strict=True)
    ]
    return pa.table(dict(zip(names, values, strict=True)))


def _reader(source: CsvSource, file: SourceFile, columns: list[str] | None = None) -> pa_csv.CSVStreamingReader:
    """The file's rows as text. One thread, so that a row that is wrong has a number."""
    options = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(_names(source, file), pa.string()), include_columns=columns,
        null_values=list(source.null_text), strings_can_be_null=True, quoted_strings_can_be_null=False,
    )  # fmt: skip
    return _opened(source, file, options)


def _names(source: CsvSource, file: SourceFile) -> list[str]:
    if not source.header:
        return [name for name, _ in source.columns]
    with _opened(source, file, pa_csv.ConvertOptions()) as reader:
        return list(reader.schema.names)


def _opened(source: CsvSource, file: SourceFile, options: pa_csv.ConvertOptions) -> pa_csv.CSVStreamingReader:
    names = None if source.header else [name for name, _ in source.columns]
    try:
        return pa_csv.open_csv(
            file.files.open_input_stream(file.key),
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, column_names=names),
            parse_options=pa_csv.ParseOptions(delimiter=source.delimiter, newlines_in_values=True),
            convert_options=options,
        )
    except (pa.ArrowException, OSError) as error:
        raise _not_csv(source, file, error) from error


def _batches(source: CsvSource, file: SourceFile, reader: pa_csv.CSVStreamingReader) -> Iterator[pa.RecordBatch]:
    try:
        yield from reader
    except (pa.ArrowException, OSError) as error:
        raise _not_csv(source, file, error) from error


def _not_csv(source: CsvSource, file: SourceFile, error: Exception) -> SourceError:
    reason = str(error).removeprefix("CSV parse error: ")
    if row := _ROW.match(reason):
        where = f"line {_line(source, file, int(row[1]))} of {file.shown}"
        return SourceError(f"source '{source.name}': {where} is malformed: {reason[row.end() :][:_LONGEST_REASON]}")
    return SourceError(f"source '{source.name}': {file.shown} is not readable CSV: {reason[:_LONGEST_REASON]}")


def _line(source: CsvSource, file: SourceFile, row: int) -> int:
    """The line at which a row begins, counting from 1: rows may have several lines, and empty lines are no rows."""
    with TextIOWrapper(file.files.open_input_stream(file.key), errors="replace", newline="") as text:
        reader = csv.reader(text, delimiter=source.delimiter)
        seen, start = 0, 1
        for fields in reader:
            seen += bool(fields)
            if seen == row:
                return start
            start = reader.line_num + 1
    return start
