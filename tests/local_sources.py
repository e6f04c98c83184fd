"""Sources of every kind on this machine's disk, as tests that wire their own parts read them."""

from __future__ import annotations

from pathlib import Path

from featurestore.adapters.csv_source import CsvSources
from featurestore.adapters.delta_frames import DeltaFrames
from featurestore.adapters.delta_source import DeltaSources
from featurestore.adapters.parquet_source import ParquetSources
from featurestore.adapters.postgres_source import PostgresSources
from featurestore.adapters.source_files import SourceFiles
from featurestore.adapters.source_kinds import SourceKinds


def local_sources(folder: Path) -> SourceKinds:
    """Paths are relative to `folder`."""
    files = SourceFiles(folder)
    return SourceKinds(
        ParquetSources(files),
        CsvSources(files),
        DeltaSources(folder),
        PostgresSources({}),
        DeltaFrames(folder / "frames"),
    )
