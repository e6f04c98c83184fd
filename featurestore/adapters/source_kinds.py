"""Every kind of source, each read by the adapter of its technology."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from featurestore.adapters.csv_source import CsvSources
from featurestore.adapters.delta_frames import DeltaFrames
from featurestore.adapters.delta_source import DeltaSources
from featurestore.adapters.parquet_source import ParquetSources
from featurestore.adapters.postgres_source import PostgresSources
from featurestore.intervals import Interval
from featurestore.ports.source_reader import SourceSnapshot
from featurestore.spec.source import CsvSource, DeltaSource, FrameSource, ParquetSource, Source, SqlSource


@dataclass(frozen=True, slots=True)
class SourceKinds:
    """A SourceReader of all kinds."""

    parquet: ParquetSources
    csv: CsvSources
    delta: DeltaSources
    postgres: PostgresSources
    frames: DeltaFrames

    def read(self, source: Source, *, within: Interval | None = None) -> SourceSnapshot:
        match source:
            case ParquetSource():
                return self.parquet.read(source, within=within)
            case CsvSource():
                return self.csv.read(source, within=within)
            case DeltaSource():
                return self.delta.read(source, within=within)
            case SqlSource():
                return self.postgres.read(source, within=within)
            case FrameSource():
                return self.frames.read(source, within=within)
            case _:
                assert_never(source)
