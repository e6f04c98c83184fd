"""Sources in storage that speaks S3: the files a path means, their versions, and errors that come in bounded time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from featurestore.adapters.csv_source import CsvSources
from featurestore.adapters.delta_frames import DeltaFrames
from featurestore.adapters.delta_source import DeltaSources
from featurestore.adapters.parquet_source import ParquetSources
from featurestore.adapters.postgres_source import PostgresSources
from featurestore.adapters.s3_storage import S3Storage
from featurestore.adapters.source_files import SourceFiles, WantedFiles
from featurestore.adapters.source_kinds import SourceKinds
from featurestore.errors import SourceError
from featurestore.intervals import Interval
from featurestore.ports.engine import RowScan
from featurestore.ports.source_reader import SourceSnapshot
from featurestore.spec.dtypes import String
from featurestore.spec.source import CsvSource, DeltaSource, ParquetSource
from tests.s3_server import S3Server

_NUMBER = count()
MOMENTS = [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
ROWS = pa.table({"at": pa.array(MOMENTS, pa.timestamp("us", tz="UTC")), "id": [1, 2, 3], "text": ["a", None, "c"]})
HERE = Path("/nowhere")


@pytest.fixture
def place() -> str:
    """A path in the bucket for this test alone."""
    return f"data/{next(_NUMBER)}"


def write(s3: S3Server, key: str, rows: pa.Table = ROWS) -> None:
    pq.write_table(rows, key, filesystem=s3.storage.filesystem(), row_group_size=1)


def read(s3: S3Server, path: str, *, within: Interval | None = None) -> SourceSnapshot:
    source = ParquetSource("rows", path=path, event_timestamp="at")
    return ParquetSources(SourceFiles(HERE, s3.storage)).read(source, within=within)


def values(snapshot: SourceSnapshot, column: str = "id") -> list[object]:
    assert isinstance(snapshot.relation, RowScan)
    return [v for batch in snapshot.relation.open((column,)) for v in batch[column].to_pylist()]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.parquet", ["a.parquet"]),
        ("", ["a.parquet", "b.parquet"]),
        ("*.parquet", ["a.parquet", "b.parquet"]),
        ("[a]*", ["a.parquet"]),
        ("**/*.parquet", ["a.parquet", "b.parquet", "deep/c.parquet"]),
        ("*/c.*", ["deep/c.parquet"]),
    ],
)
def test_a_path_is_an_object_a_folder_or_a_glob(s3: S3Server, place: str, path: str, expected: list[str]) -> None:
    for name in ("b.parquet", "a.parquet", "deep/c.parquet", "notes.txt"):
        write(s3, f"{place}/{name}")
    wanted = WantedFiles("rows", f"s3://{place}/{path}".rstrip("/"), ".parquet")

    found = [file.shown.removeprefix(f"s3://{place}/") for file in SourceFiles(HERE, s3.storage).find(wanted)]

    assert found == expected


def test_parquet_is_read_with_its_spans_and_only_for_the_asked_time(s3: S3Server, place: str) -> None:
    write(s3, f"{place}/a.parquet")

    whole = read(s3, f"s3://{place}")
    asked = read(s3, f"s3://{place}", within=Interval(MOMENTS[1], MOMENTS[1].replace(hour=1)))

    assert values(whole) == [1, 2, 3]
    assert values(asked) == [2]
    assert (whole.rows, whole.first, whole.last) == (3, MOMENTS[0], MOMENTS[2])


def test_the_version_changes_with_the_content_though_size_and_second_are_the_same(s3: S3Server, place: str) -> None:
    write(s3, f"{place}/a.parquet")
    before = read(s3, f"s3://{place}")
    write(s3, f"{place}/a.parquet", ROWS.set_column(1, "id", pa.array([1, 2, 4])))

    after = read(s3, f"s3://{place}")

    assert before.version != after.version
    assert read(s3, f"s3://{place}").version == after.version


def test_partitioned_folders_and_csv_and_delta_are_read(s3: S3Server, place: str) -> None:
    storage, files = s3.storage, SourceFiles(HERE, s3.storage)
    pq.write_to_dataset(ROWS, f"{place}/parts", partition_cols=["text"], filesystem=storage.filesystem())
    with storage.filesystem().open_output_stream(f"{place}/rows.csv") as stream:
        pa_csv.write_csv(ROWS, stream)
    write_deltalake(f"s3://{place}/delta", ROWS, storage_options=storage.delta_options())
    parts = ParquetSource("rows", path=f"s3://{place}/parts", event_timestamp="at", partitions={"text": String})
    text = CsvSource("rows", path=f"s3://{place}/rows.csv", event_timestamp="at")
    delta = DeltaSource("rows", path=f"s3://{place}/delta", event_timestamp="at")

    snapshots = [
        ParquetSources(files).read(parts),
        CsvSources(files).read(text),
        DeltaSources(HERE, storage.delta_options()).read(delta),
    ]

    for snapshot in snapshots:
        assert sorted(map(str, values(snapshot))) == ["1", "2", "3"]
        assert sorted(map(str, values(snapshot, "text"))) == ["None", "a", "c"]
        assert (snapshot.rows, snapshot.first, snapshot.last) == (3, MOMENTS[0], MOMENTS[2])


class _Denies(BaseHTTPRequestHandler):
    """A storage that lets nobody in."""

    def do_GET(self) -> None:
        body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def denying() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Denies)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def failures(storage: S3Storage, bucket: str = "data") -> list[str]:
    """What each kind of source says of the storage."""
    files = SourceFiles(HERE, storage)
    told = []
    for source in (
        ParquetSource("rows", path=f"s3://{bucket}/x/*.parquet", event_timestamp="at"),
        CsvSource("rows", path=f"s3://{bucket}/x.csv", event_timestamp="at"),
        DeltaSource("rows", path=f"s3://{bucket}/x", event_timestamp="at"),
    ):
        with pytest.raises(SourceError) as caught:
            kinds(files, storage).read(source)
        told.append(caught.value.message)
    return told


def kinds(files: SourceFiles, storage: S3Storage) -> SourceKinds:
    delta = DeltaSources(HERE, storage.delta_options())
    return SourceKinds(ParquetSources(files), CsvSources(files), delta, PostgresSources({}), DeltaFrames(HERE))


def test_a_bucket_that_is_not_there_is_told(s3: S3Server) -> None:
    parquet, _, delta = failures(s3.storage, "nobodys")

    assert "the bucket does not exist" in parquet
    assert "s3://nobodys/x" in delta


def test_credentials_that_are_refused_are_told(s3: S3Server) -> None:
    with denying() as endpoint:
        told = failures(replace(s3.storage, endpoint=endpoint))

    assert all("access is denied" in one for one in told), told


def test_an_endpoint_that_refuses_connections_is_told(s3: S3Server) -> None:
    told = failures(replace(s3.storage, endpoint="http://127.0.0.1:1"))

    assert all("its endpoint does not answer" in one for one in told), told


def test_an_endpoint_that_never_answers_is_told_after_the_timeout(s3: S3Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        told = failures(replace(s3.storage, endpoint=endpoint, timeout_seconds=0.5))

    assert all("rows" in one for one in told)


def test_an_address_of_another_kind_is_refused(s3: S3Server) -> None:
    with pytest.raises(SourceError, match="begins with s3://, not gs://bucket/x"):
        read(s3, "gs://bucket/x")


def test_secrets_are_not_shown(s3: S3Server) -> None:
    assert "secret" not in repr(s3.storage)
