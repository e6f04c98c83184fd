"""The log as a spine: moments, keys and request inputs, and nothing that a training set would bring anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.adapters.logged_rows import logged_rows
from featurestore.adapters.memory_serving_log import MemoryLogShelf
from featurestore.errors import InvalidRequest, NothingLogged
from featurestore.graph.resolved import Column, FeatureSet
from featurestore.operations.read_log import logged_pieces, write_spine
from featurestore.ports.serving_log import LogQuery, ServedAnswer
from featurestore.spec.dtypes import DType
from tests.logged_answers import NOON, SCORES, answer_of, scores

HOUR = timedelta(hours=1)


def shelf_of(*answers: ServedAnswer) -> MemoryLogShelf:
    shelf = MemoryLogShelf()
    for answer in answers:
        shelf.append(answer.features, logged_rows(answer.features, [answer]))
    return shelf


def spine(folder: Path, shelf: MemoryLogShelf, query: LogQuery | None = None) -> pa.Table:
    path = folder / "spine.parquet"
    rows = write_spine(query or LogQuery(), shelf, path)
    table = pq.read_table(path)
    assert table.num_rows == rows
    return table


def by_key(name: str, dtype: DType, fingerprint: str) -> FeatureSet:
    """The scores of something else than shops."""
    [view] = SCORES.views
    [use] = SCORES.uses
    [output] = SCORES.outputs
    return replace(
        SCORES,
        views=(replace(view, keys=(Column(name, dtype),), fingerprint=fingerprint),),
        uses=(replace(use, join_columns=(name,)),),
        outputs=(replace(output, fingerprint=fingerprint),),
    )


def asked_by(name: str, dtype: DType, values: list[object]) -> ServedAnswer:
    features = by_key(name, dtype, "0" * 64)
    return replace(answer_of(features, ["x"] * len(values), [1.0] * len(values)), inputs={name: values})


def test_a_spine_has_the_moments_and_the_keys_and_no_features(tmp_path: Path) -> None:
    shelf = shelf_of(scores(1.0, 2.0), scores(3.0, at=NOON + HOUR))

    assert spine(tmp_path, shelf).to_pydict() == {
        "requested_at": [NOON, NOON, NOON + HOUR], "shop": ["s0", "s1", "s0"],
    }  # fmt: skip


def test_a_spine_is_of_the_answers_that_are_asked_for(tmp_path: Path) -> None:
    shelf = shelf_of(scores(1.0, service="a"), scores(1.0, 2.0, service="b"), scores(1.0, service="b", at=NOON - HOUR))

    found = spine(tmp_path, shelf, LogQuery(service="b", since=NOON))

    assert found["shop"].to_pylist() == ["s0", "s1"]


def test_answers_by_other_keys_stand_below_each_other(tmp_path: Path) -> None:
    shelf = shelf_of(scores(1.0), asked_by("city", DType.STRING, ["Łódź"]))

    rows = {(row["city"], row["shop"]): row["requested_at"] for row in spine(tmp_path, shelf).to_pylist()}

    assert rows == {("Łódź", None): NOON, (None, "s0"): NOON}


def test_a_key_that_was_logged_with_two_types_is_no_spine(tmp_path: Path) -> None:
    shelf = shelf_of(scores(1.0), asked_by("shop", DType.INT64, [7]))

    with pytest.raises(InvalidRequest, match=r"'shop' was logged as .* no spine has both"):
        spine(tmp_path, shelf)


def test_a_key_called_as_the_moment_keeps_its_name(tmp_path: Path) -> None:
    shelf = shelf_of(asked_by("requested_at", DType.INT64, [7]))

    assert spine(tmp_path, shelf).to_pydict() == {"__requested_at": [NOON], "requested_at": [7]}


def test_a_log_without_such_answers_is_no_spine(tmp_path: Path) -> None:
    with pytest.raises(NothingLogged, match="service 'b'"):
        spine(tmp_path, shelf_of(scores(1.0, service="a")), LogQuery(service="b"))


@pytest.mark.parametrize(("rows", "expected"), [(1, [2, 1, 3]), (3, [3, 3]), (100, [6])])
def test_a_log_is_read_in_pieces_of_whole_tables(rows: int, expected: list[int]) -> None:
    shelf = shelf_of(scores(1.0, 2.0), scores(3.0), scores(4.0, 5.0, 6.0))
    [log] = shelf.logs()

    assert [piece.num_rows for piece in logged_pieces(log, LogQuery(), shelf, rows=rows)] == expected
