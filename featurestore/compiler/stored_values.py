"""What is stored of a view's values: each exactly in its type, or the query fails and says which is not.

The engine has more values than the types that they are stored as: moments in no year from 1 to 9999 (`infinity`, before
Christ, milliseconds taken for seconds), which no client could be told, whole numbers of 39 digits, embeddings that lack
an item. And it has more types: a UUID or JSON is text to others, so that text is what is stored.
"""

from __future__ import annotations

from sqlglot import exp

from featurestore.compiler.trees import cast, column, function, items_present, moment, named, number
from featurestore.graph.resolved import ResolvedView
from featurestore.graph.sql_types import sql_type
from featurestore.intervals import FIRST_MOMENT, LAST_MOMENT
from featurestore.spec.dtypes import DType, Kind

_ITEM = "item"


def stored_value(view: ResolvedView, name: str, dtype: DType) -> exp.Expr:
    """A column of the view's rows as it is stored. A timestamp without a zone is read as UTC, in a list too."""
    match dtype.kind:
        case Kind.DATE | Kind.TIMESTAMP | Kind.DECIMAL:
            return named(_fitting(view, name, dtype), name)
        case Kind.LIST if dtype.item is not None and dtype.item.kind in (Kind.DATE, Kind.TIMESTAMP, Kind.DECIMAL):
            return named(_fitting_items(view, name, dtype.item), name)
        case Kind.EMBEDDING:
            return named(_whole(view, name, dtype), name)
        case Kind.STRING | Kind.LIST:
            return named(cast(column(name), dtype), name)
        case _:
            return column(name)


def unlike_a_moment(value: exp.Expr) -> exp.Expr:
    """Whether a timestamp is in no year from 1 to 9999."""
    return _is_beyond(value, DType.TIMESTAMP)


def refused(view: ResolvedView, name: str, value: exp.Expr, dtype: DType) -> exp.Expr:
    """What fails the query over a value that a column can not store, and shows it."""
    if dtype.kind is Kind.DECIMAL:
        why = f", which has no place in {dtype.value}: CAST it to another type"
    else:
        why = ", which is in no year from 1 to 9999: correct it, leave the row out, or make it null"
    where = next((f.name for f in view.features if f.window is not None and f.window.input == name), name)
    shown = exp.Cast(this=value, to=sql_type(DType.STRING))
    told = [exp.Literal.string(f"'{where}' of view '{view.name}' holds "), shown, exp.Literal.string(why)]
    return function("ERROR", function("CONCAT", *told))


def _fitting(view: ResolvedView, name: str, dtype: DType) -> exp.Expr:
    value = column(name)
    failing = exp.If(this=_has_no_place(value, dtype), true=refused(view, name, value.copy(), dtype))
    return exp.Case(ifs=[failing], default=_tried(value, dtype))


def _fitting_items(view: ResolvedView, name: str, item: DType) -> exp.Expr:
    value, one = column(name), column(_ITEM)
    test = exp.Lambda(this=_has_no_place(one, item), expressions=[one.this.copy()])
    without_place = function("LIST_FILTER", value, test)
    first = function("LIST_EXTRACT", without_place.copy(), number(1))
    failing = exp.If(this=function("LEN", without_place) > number(0), true=refused(view, name, first, item))
    listed = exp.DataType(this=exp.DType.ARRAY, expressions=[sql_type(item)], nested=True)
    return exp.Case(ifs=[failing], default=exp.TryCast(this=value.copy(), to=listed))


def _has_no_place(value: exp.Expr, dtype: DType) -> exp.Expr:
    is_refused = exp.and_(value.copy().is_(exp.null()).not_(), _tried(value, dtype).is_(exp.null()))
    if dtype.kind is Kind.DECIMAL:
        return is_refused
    return exp.or_(is_refused, _is_beyond(_tried(value, dtype), dtype))


def _is_beyond(value: exp.Expr, dtype: DType) -> exp.Expr:
    edges: list[exp.Expr] = [moment(FIRST_MOMENT), moment(LAST_MOMENT)]
    if dtype.kind is Kind.DATE:
        edges = [cast(exp.Literal.string(edge.date().isoformat()), DType.DATE) for edge in (FIRST_MOMENT, LAST_MOMENT)]
    return exp.or_(value.copy() < edges[0], value.copy() > edges[1])


def _tried(value: exp.Expr, dtype: DType) -> exp.Expr:
    return exp.TryCast(this=value.copy(), to=sql_type(dtype))


def _whole(view: ResolvedView, name: str, dtype: DType) -> exp.Expr:
    """An embedding; the query fails where one lacks an item, which no model could use and nobody would notice."""
    value = cast(column(name), dtype)
    message = f"'{name}' of view '{view.name}' is an embedding with a null item: give it a number, or none of them"
    lacking = items_present(value.copy()) < number(dtype.size)
    return exp.Case(ifs=[exp.If(this=lacking, true=function("ERROR", exp.Literal.string(message)))], default=value)
