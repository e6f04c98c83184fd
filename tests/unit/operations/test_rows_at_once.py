"""Wide rows are joined fewer at a time, so that a piece of a training set fits in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest

from featurestore.graph.resolved import FeatureSet, ResolvedFeature, ResolvedView, ViewUse, WindowOf
from featurestore.operations.point_in_time import rows_at_once
from featurestore.spec.aggregate import Function
from featurestore.spec.dtypes import DType, Embedding, List


def features(*dtypes: DType, window: WindowOf | None = None) -> FeatureSet:
    found = tuple(ResolvedFeature(f"f{n}", dtype, "0", (), window) for n, dtype in enumerate(dtypes))
    view = ResolvedView("view", "0" * 64, None, (), "SELECT 1", (), found, None, (), None, timedelta(0), timedelta(0))
    return FeatureSet(None, (view,), (ViewUse("view", "view", (), tuple(one.name for one in found)),), (), ())


@pytest.mark.parametrize(
    ("chosen", "rows"),
    [
        (features(DType.INT64), 8_000_000),
        (features(*[DType.FLOAT64] * 60), 2**30 // 480),
        (features(Embedding(768)), 2**30 // 3072),
        (features(DType.STRING, List(DType.INT64)), 2**30 // 256),
        (features(*[Embedding(65_536)] * 10), 65_536),
    ],
)
def test_the_wider_a_row_the_fewer_are_joined_at_once(chosen: FeatureSet, rows: int) -> None:
    assert rows_at_once(chosen) == rows


def test_the_last_few_values_count_as_many_as_they_can_be() -> None:
    window = WindowOf("input", Function.LAST_N, timedelta(days=1), 500)

    assert rows_at_once(features(List(DType.INT64), window=window)) == 2**30 // 4000
