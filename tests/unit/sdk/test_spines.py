"""Spines as people have them become the same values in Arrow, or are refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import InvalidRequest, SpineError
from sdk.spines import frame_table, spine_table


def mixed(*values: object) -> pd.DataFrame:
    return pd.DataFrame({"x": pd.Series(values, dtype=object)})


@pytest.mark.parametrize(
    ("frame", "values"),
    [
        (mixed(1.5, 1, None), [1.5, 1.0, None]),
        (mixed(True, None), [True, None]),
        (mixed(Decimal("1.5"), 1), [Decimal("1.5"), Decimal("1.0")]),
        (pd.DataFrame({"x": [2**63, 1]}), [2**63, 1]),
        (pd.DataFrame({"x": ["a", None]}, dtype="category"), ["a", None]),
        (pl.DataFrame({"x": pl.Series(["a", None], dtype=pl.Categorical)}), ["a", None]),
    ],
)
def test_a_frame_is_read_as_it_is(frame: Any, values: list[object]) -> None:
    assert spine_table(frame)["x"].to_pylist() == values


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (mixed(1.5, True), "column 'x' has both numbers and true or false: convert it"),
        (mixed(1, True), "can not be read as a table"),
        (mixed(2**53 + 1, 1.5), "can not be read as a table"),
        (mixed("\ud800"), "can not be read as a table"),
        (pd.DataFrame({"x": [2**64, 1]}), "can not be read as a table"),
        (pl.DataFrame({"x": [object()]}), "column 'x' holds objects of Python: convert it"),
        (pl.DataFrame({"x": pl.Series([2**100], dtype=pl.Int128)}), "can not be read as a table"),
    ],
)
def test_a_frame_whose_values_arrow_would_change_is_refused(frame: Any, told: str) -> None:
    with pytest.raises(SpineError, match=told):
        spine_table(frame)
    with pytest.raises(InvalidRequest, match=told):
        frame_table(frame)


def test_a_file_whose_texts_are_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "spine.parquet"
    pq.write_table(pa.table({"x": ["spine"]}), file, compression="none", use_dictionary=False, write_statistics=False)
    content = file.read_bytes()
    assert content.count(b"spine") == 1
    file.write_bytes(content.replace(b"spine", b"sp\xffne"))

    with pytest.raises(SpineError, match=r"is not a readable Parquet file: .*UTF8"):
        spine_table(file)
