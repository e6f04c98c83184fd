"""On-demand features as columns over rows that hold request inputs and features: the same tree offline and online."""

from __future__ import annotations

from sqlglot import exp, parse_one

from featurestore.compiler.trees import cast, column, items_present, named, number, table
from featurestore.graph.resolved import Column, FeatureSet, ResolvedOnDemand
from featurestore.graph.sql_text import DIALECT
from featurestore.spec.dtypes import Kind

ROWS = "rows"
ROW = "__row"


def on_demand_rows(features: FeatureSet) -> exp.Select:
    """Only the on-demand features, for the relation `rows`, in its order of `row`: what a lookup computes."""
    return (
        exp.select(*(named(_computed(feature), feature.name) for feature in features.on_demand))
        .from_(table(ROWS))
        .order_by(exp.Ordered(this=column(ROW), nulls_first=False))
    )


def probe(expression: str, name: str) -> exp.Select:
    """A query that has the expression as its only column, over the relation `rows`: to learn its type."""
    return exp.select(named(parse_one(expression, dialect=DIALECT), name)).from_(table(ROWS))


def read_columns(features: FeatureSet) -> tuple[Column, ...]:
    """What the on-demand features read: request inputs, and features by their column names."""
    from_views = {
        use.column(feature): features.view(use.view).feature(feature).dtype
        for use in features.uses
        for feature in use.features
    }
    names = {reference.replace(":", "__", 1) for feature in features.on_demand for reference in feature.features}
    read = tuple(Column(name, dtype) for name, dtype in from_views.items() if name in names)
    return (*features.request_inputs, *read)


def _computed(feature: ResolvedOnDemand) -> exp.Expr:
    value = cast(parse_one(feature.expression, dialect=DIALECT), feature.dtype)
    return _whole(value, feature.dtype.size) if feature.dtype.kind is Kind.EMBEDDING else value


def _whole(embedding: exp.Expr, size: int) -> exp.Expr:
    """An embedding is null where it would lack an item, as a sum is null where it would lack a term."""
    return exp.Case(ifs=[exp.If(this=items_present(embedding.copy()).eq(number(size)), true=embedding)])
