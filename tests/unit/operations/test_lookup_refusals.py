"""Values for which an on-demand feature has no answer are the asker's, not the server's, to mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.errors import EntityRowsError
from featurestore.operations.lookup import Asked, lookup, prepare
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import ParquetSource
from tests.property.project import open_small_project
from tests.unit.operations.test_lookup import FLIGHTS, NOON


@pytest.mark.parametrize("expression", ["seats // parts", "seats * 9000000000000000000"])
def test_a_request_that_a_feature_can_not_be_computed_of_is_refused_by_its_name(
    tmp_path: Path, expression: str
) -> None:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path / "spill")
    project = open_small_project(tmp_path, engine)
    project.write("flights.parquet", FLIGHTS)
    source = ParquetSource("flights", path="flights.parquet", event_timestamp="landed")
    plane = Entity("plane", join_keys={"tail": DType.STRING})
    last = FeatureView("last", entity=plane, source=source, features=["delay"])
    inputs = {"seats": DType.INT64, "parts": DType.INT64}
    share = OnDemandFeature("share", expression=expression, inputs=inputs)
    project.apply(source, last, FeatureService("all", features=[last, share]), now=NOON)
    project.materialize(NOON)
    prepared = prepare(project.service("all"), engine)

    with pytest.raises(EntityRowsError, match="share"):
        lookup(prepared, [{"tail": "N1", "seats": 7, "parts": 0}], Asked(NOON), project.online.store)
    engine.close()
