"""What every keeper of a stream's rows promises, run on the one in memory and on Delta tables."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from featurestore.adapters.delta_streamed_frames import DeltaStreamedFrames
from featurestore.adapters.memory_frames import MemoryFrames
from featurestore.errors import InvalidRequest, SourceError
from featurestore.ports.entries import EntryId, EntrySpans, Span
from featurestore.ports.frames import Batch, StreamedFrames, Taken
from featurestore.spec.dtypes import DType
from featurestore.spec.source import FrameSource

VISITS = FrameSource("visits", columns={"at": DType.TIMESTAMP, "visitors": DType.INT64}, event_timestamp="at")
NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)


def rows(*visitors: int) -> pa.Table:
    moments = pa.array([NOON] * len(visitors), pa.timestamp("us", "UTC"))
    return pa.table({"at": moments, "visitors": pa.array(visitors, pa.int64())})


def spans(*ends: tuple[int, int]) -> EntrySpans:
    return EntrySpans.of(Span(EntryId(first, 0), EntryId(last, 7)) for first, last in ends)


def kept(frames: Any) -> list[int]:
    if isinstance(frames, MemoryFrames):
        return sorted(value for _, batch in frames.batches for value in batch.rows["visitors"].to_pylist())
    scan = frames.read(VISITS).relation
    return sorted(value for batch in scan.open(("visitors",)) for value in batch["visitors"].to_pylist())


def batch(*visitors: int) -> Batch:
    """The entries of a batch have its numbers."""
    return Batch(rows(*visitors), spans(*((number, number) for number in visitors)))


Open = Callable[[], StreamedFrames]


@pytest.fixture(params=["memory", "delta"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same again and again, as several processes would."""
    memory = MemoryFrames()
    return (lambda: memory) if request.param == "memory" else (lambda: DeltaStreamedFrames(tmp_path))


def test_nothing_is_taken_at_first(opened: Open) -> None:
    assert opened().taken(VISITS, "clicks") == Taken("clicks", EntrySpans(), 0)


def test_rows_are_kept_together_with_what_was_taken(opened: Open) -> None:
    before = opened().taken(VISITS, "clicks")

    version = opened().take(VISITS, batch(1, 2), Taken("clicks", spans((1, 4), (6, 6)), before.version))

    assert version == 1
    assert opened().taken(VISITS, "clicks") == Taken("clicks", spans((1, 4), (6, 6)), 1)
    assert kept(opened()) == [1, 2]


def test_a_source_that_has_changed_since_keeps_nothing(opened: Open) -> None:
    before = opened().taken(VISITS, "clicks")
    opened().take(VISITS, batch(1), Taken("clicks", spans((1, 1)), before.version))

    assert opened().take(VISITS, batch(2), Taken("clicks", spans((2, 2)), before.version)) is None

    assert opened().taken(VISITS, "clicks").entries == spans((1, 1))
    assert kept(opened()) == [1]


def test_streams_are_kept_apart(opened: Open) -> None:
    opened().taken(VISITS, "clicks")

    for number, stream in enumerate(("clicks", "sales", "clicks")):
        opened().take(VISITS, batch(number), Taken(stream, spans((number, number)), number))

    assert opened().taken(VISITS, "clicks") == Taken("clicks", spans((2, 2)), 3)
    assert opened().taken(VISITS, "sales") == Taken("sales", spans((1, 1)), 3)


def test_of_many_at_once_each_takes_after_another(opened: Open) -> None:
    def take(number: int) -> None:
        frames = opened()
        while True:
            taken = frames.taken(VISITS, "clicks")
            entries = taken.entries | spans((number, number))
            if frames.take(VISITS, batch(number), Taken("clicks", entries, taken.version)) is not None:
                return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take, range(12)))

    assert opened().taken(VISITS, "clicks").entries == spans(*((one, one) for one in range(12)))
    assert kept(opened()) == list(range(12))


def test_what_was_taken_is_found_after_more_commits_than_a_checkpoint_holds(tmp_path: Path) -> None:
    frames = DeltaStreamedFrames(tmp_path)
    frames.take(VISITS, batch(0), Taken("rare", spans((5, 5)), frames.taken(VISITS, "rare").version))

    for number in range(1, 120):
        frames.take(VISITS, batch(number), Taken("clicks", spans((1, number)), number))

    assert list((tmp_path / "visits" / "_delta_log").glob("*.checkpoint.parquet"))
    assert frames.taken(VISITS, "rare") == Taken("rare", spans((5, 5)), 120)
    assert frames.taken(VISITS, "clicks").entries == spans((1, 119))


def test_a_take_that_comes_too_late_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = DeltaStreamedFrames(tmp_path)
    before = frames.taken(VISITS, "clicks")
    commit = DeltaTable.create_write_transaction

    def overtaken(table: DeltaTable, *arguments: Any, **options: Any) -> None:
        monkeypatch.undo()
        frames.take(VISITS, batch(1), Taken("clicks", spans((1, 1)), before.version))
        commit(table, *arguments, **options)

    monkeypatch.setattr(DeltaTable, "create_write_transaction", overtaken)

    assert frames.take(VISITS, batch(2), Taken("clicks", spans((2, 2)), before.version)) is None
    assert len(list((tmp_path / "visits").glob("*.parquet"))) == 1
    assert kept(frames) == [1]


def test_a_log_entry_that_says_nothing_of_the_stream_any_more_stops_everything(tmp_path: Path) -> None:
    frames = DeltaStreamedFrames(tmp_path)
    frames.take(VISITS, batch(1), Taken("clicks", spans((1, 1)), frames.taken(VISITS, "clicks").version))
    entry = tmp_path / "visits" / "_delta_log" / f"{1:020d}.json"
    entry.write_text(entry.read_text().replace("knownat.taken", "something.else"))

    with pytest.raises(SourceError, match=r"log entry of version 1 .* can not be read"):
        frames.taken(VISITS, "clicks")


def test_a_source_that_declares_other_columns_now_is_refused(tmp_path: Path) -> None:
    frames = DeltaStreamedFrames(tmp_path)
    frames.taken(VISITS, "clicks")
    changed = FrameSource("visits", columns={"at": DType.TIMESTAMP}, event_timestamp="at")

    with pytest.raises(InvalidRequest, match="other columns than it declares now"):
        frames.taken(changed, "clicks")


def test_the_rows_of_entries_are_found_in_their_batches(opened: Open) -> None:
    for version, (stream, numbers) in enumerate(
        (("clicks", (1, 2)), ("sales", (3,)), ("clicks", (4,)), ("clicks", (5,)))
    ):
        taken = opened().taken(VISITS, stream)
        opened().take(VISITS, batch(*numbers), Taken(stream, taken.entries | batch(*numbers).entries, version))

    def found(stream: str, *numbers: int) -> list[int]:
        table = opened().kept_of(VISITS, stream, [EntryId(number, 0) for number in numbers])
        assert table.schema.equals(rows().schema)
        values: list[int] = sorted(table["visitors"].to_pylist())
        return values

    assert found("clicks", 2, 5) == [1, 2, 5]
    assert found("sales", 3, 4) == [3]
    assert found("clicks", 3) == found("sales") == found("other", 1) == []
