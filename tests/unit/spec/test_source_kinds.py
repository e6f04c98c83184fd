"""Declarations of sources that can not exist, refused where they are written, with what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from featurestore.errors import InvalidDeclaration
from featurestore.spec.dtypes import Embedding, Float64, List, String, Timestamp
from featurestore.spec.source import CsvSource, DeltaSource, FrameSource, ParquetSource, Source, SqlSource

COLUMNS: Any = {"at": Timestamp, "v": Float64}


def parquet(**changes: Any) -> Source:
    return ParquetSource("s", **{"path": "x", "event_timestamp": "at", **changes})


def text(**changes: Any) -> Source:
    return CsvSource("s", **{"path": "x", "event_timestamp": "at", **changes})


def delta(**changes: Any) -> Source:
    return DeltaSource("s", **{"path": "x", "event_timestamp": "at", **changes})


def sql(**changes: Any) -> Source:
    return SqlSource("s", **{"connection": "shop", "event_timestamp": "at", **changes})


def frame(**changes: Any) -> Source:
    return FrameSource("s", **{"columns": COLUMNS, "event_timestamp": "at", **changes})


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (lambda: parquet(path=""), "needs path="),
        (lambda: parquet(event_timestamp=None), "needs event_timestamp="),
        (lambda: parquet(partitions={"day": "date"}), "column 'day' needs a type such as Float64"),
        (lambda: parquet(partitions=["day"]), "partitions of source 's' is a mapping"),
        (lambda: parquet(known_at="seen", delay="1h"), "has known_at and delay"),
        (lambda: parquet(removed_rows="drop"), "removed_rows of source 's' is 'hold', 'follow' or 'keep', got 'drop'"),
        (lambda: sql(table="a", removed_rows=None), "removed_rows of source 's' is"),
        (lambda: text(header=False), "has no header, so it needs columns="),
        (lambda: text(delimiter=""), "delimiter is one character"),
        (lambda: text(delimiter='"'), "delimiter is one character"),
        (lambda: text(null_text=[1]), "null_text is a text or a list of texts"),
        (lambda: text(columns={"a": String, "A": String}), "'A' is there twice"),
        (lambda: text(columns={"": String}), "can not name a column"),
        (lambda: delta(version=-1), "version is a Delta version such as 12"),
        (lambda: delta(version=True), "version is a Delta version such as 12"),
        (sql, "needs either table= or query="),
        (lambda: sql(table="a", query="SELECT 1"), "needs either table= or query="),
        (lambda: sql(query=""), "needs query="),
        (lambda: sql(connection="postgresql://u:sesame@h/d", table="a"), "never an address"),
        (lambda: text(columns={"at": Timestamp, "tags": List(String)}), "column 'tags' can not be list(string)"),
        (lambda: parquet(partitions={"v": Embedding(3)}), "column 'v' can not be embedding(3)"),
        (lambda: frame(columns={"at": Timestamp, "v": Embedding(3)}), "column 'v' is an Embedding"),
        (lambda: frame(columns={}), "event_timestamp is 'at', which is not one of its columns"),
        (lambda: frame(known_at="seen"), "known_at is 'seen', which is not one of its columns"),
    ],
)
def test_what_can_not_be_a_source_is_refused_where_it_is_written(declare: Callable[[], Source], told: str) -> None:
    with pytest.raises(InvalidDeclaration) as caught:
        declare()

    assert told in caught.value.message
    assert f"{__file__}:" in caught.value.message
    assert "sesame" not in caught.value.message


@pytest.mark.parametrize(
    "source", [parquet(), text(), delta(), sql(table="t"), frame()], ids=lambda s: type(s).__name__
)
def test_a_source_can_not_be_changed(source: Source) -> None:
    with pytest.raises(AttributeError):
        source.name = "other"  # type: ignore[misc]
