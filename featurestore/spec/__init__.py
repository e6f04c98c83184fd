"""What people declare: frozen records, checked when built."""

from featurestore.spec.aggregate import Aggregate, Feature, Function
from featurestore.spec.declarations import Declaration, Declarations
from featurestore.spec.dtypes import DType
from featurestore.spec.entity import Entity
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView, ViewSelection
from featurestore.spec.names import FeatureReference
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import CsvSource, DeltaSource, FrameSource, ParquetSource, Source, SqlSource

__all__ = [
    "Aggregate",
    "CsvSource",
    "DType",
    "Declaration",
    "Declarations",
    "DeltaSource",
    "Entity",
    "Feature",
    "FeatureReference",
    "FeatureService",
    "FeatureView",
    "FrameSource",
    "Function",
    "OnDemandFeature",
    "ParquetSource",
    "Source",
    "SqlSource",
    "ViewSelection",
]
