"""Sources kept with a graph: turned back into what was declared, and read from graphs that know one kind only."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest

from featurestore.adapters.sql_values import from_json, to_json
from featurestore.graph.declared_sources import declared_source, resolved_source
from featurestore.graph.fingerprint import source_identity
from featurestore.graph.resolved import ResolvedSource, SourceKind
from featurestore.spec.dtypes import Date, Float64, String, Timestamp
from featurestore.spec.source import CsvSource, DeltaSource, FrameSource, ParquetSource, Source, SqlSource

SCHEMA = pa.schema([("at", pa.timestamp("us", tz="UTC")), ("v", pa.float64())])
SOURCES: list[Source] = [
    ParquetSource("s", path="x", event_timestamp="at", delay="1h"),
    ParquetSource("s", path="x", event_timestamp="at", known_at="seen", partitions={"day": Date}),
    CsvSource("s", path="x.csv", event_timestamp="at"),
    CsvSource(
        "s", path="x.csv", event_timestamp="at", header=False, delimiter=";", null_text=["", "NA"],
        columns={"at": Timestamp, "v": Float64},
    ),
    DeltaSource("s", path="x", event_timestamp="at", version=3),
    DeltaSource("s", path="x", event_timestamp="at"),
    SqlSource("s", connection="shop", table="orders", event_timestamp="at"),
    SqlSource("s", connection="shop", query="SELECT 1", event_timestamp="at"),
    FrameSource("s", columns={"at": Timestamp, "k": String}, event_timestamp="at"),
]  # fmt: skip
FOLLOWED: list[Source] = [
    ParquetSource("s", path="x", event_timestamp="at", removed_rows="follow"),
    CsvSource("s", path="x.csv", event_timestamp="at", removed_rows="follow"),
    DeltaSource("s", path="x", event_timestamp="at", removed_rows="follow"),
    SqlSource("s", connection="shop", table="orders", event_timestamp="at", removed_rows="follow"),
]
OLD = """{"name": "s", "path": "x", "event_timestamp": "at", "known_at": null, "delay": "PT3600S",
    "fields": [{"name": "at", "type": "timestamp[us, tz=UTC]"}], "description": "", "owner": ""}"""


@pytest.mark.parametrize("source", [*SOURCES, *FOLLOWED], ids=repr)
def test_a_source_comes_back_from_state_as_it_was_declared(source: Source) -> None:
    kept = from_json(to_json(resolved_source(source, SCHEMA)), ResolvedSource)

    assert declared_source(kept) == source


def test_a_source_that_was_kept_before_there_were_kinds_is_parquet() -> None:
    old = from_json(OLD, ResolvedSource)

    assert old.kind is SourceKind.PARQUET
    assert declared_source(old) == SOURCES[0]


def test_parquet_without_partitions_is_identified_as_it_always_was() -> None:
    source = resolved_source(ParquetSource("s", path="x", event_timestamp="at", delay="1h"), SCHEMA)

    assert source_identity([source]) == [["s", "x", "at", None, 3600]]


def test_where_rows_come_from_is_part_of_a_source_s_identity() -> None:
    resolved = [replace(resolved_source(source, SCHEMA), delay=timedelta(0), known_at=None) for source in SOURCES]

    identities = [str(source_identity([source])) for source in resolved]

    assert len(set(identities)) == len(SOURCES)
