"""The names people declare features with, and nothing else.

Read as `import featurestore as fs`: the aggregates are called `fs.mean`, `fs.max` and so on.
"""

from featurestore.spec.aggregate import Aggregate, Feature, Function, last_n, percentile
from featurestore.spec.dtypes import (
    Bool,
    Date,
    Decimal,
    Embedding,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    List,
    String,
    Timestamp,
)
from featurestore.spec.entity import Entity
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.on_demand import OnDemandFeature
from featurestore.spec.source import CsvSource, DeltaSource, FrameSource, ParquetSource, SqlSource

count = Function.COUNT
sum = Function.SUM  # noqa: A001 - read as fs.sum
mean = Function.MEAN
min = Function.MIN  # noqa: A001 - read as fs.min
max = Function.MAX  # noqa: A001 - read as fs.max
count_distinct = Function.COUNT_DISTINCT
std = Function.STD
var = Function.VAR
first = Function.FIRST
last = Function.LAST

__all__ = [
    "Aggregate",
    "Bool",
    "CsvSource",
    "Date",
    "Decimal",
    "DeltaSource",
    "Embedding",
    "Entity",
    "Feature",
    "FeatureService",
    "FeatureView",
    "Float32",
    "Float64",
    "FrameSource",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "List",
    "OnDemandFeature",
    "ParquetSource",
    "SqlSource",
    "String",
    "Timestamp",
    "count",
    "count_distinct",
    "first",
    "last",
    "last_n",
    "max",
    "mean",
    "min",
    "percentile",
    "std",
    "sum",
    "var",
]
