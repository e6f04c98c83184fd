"""A view as its author wrote it: the base query it reads from, and each of its columns as a tree over the base rows.

Nothing is qualified here; what can be told from names alone is checked, so that a misspelled column is reported with
the feature that uses it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

from featurestore.errors import Problem, suggestion
from featurestore.graph.arrow_types import is_moment
from featurestore.graph.resolved import WindowOf
from featurestore.graph.spelled_out import spelled_out
from featurestore.graph.sql_text import (
    DIALECT,
    UnreadableSql,
    canonical_sql,
    parse_expression,
    parse_query,
    path_of,
    quoting_hint,
    with_fields,
)
from featurestore.graph.upstream_view import Readable, UpstreamView, kept_problems
from featurestore.spec.aggregate import Aggregate, Feature, Function
from featurestore.spec.feature_view import FeatureView
from featurestore.spec.names import is_name

EVENT_TIMESTAMP = "event_timestamp"
KNOWN_AT = "known_at"
RESERVED = frozenset({EVENT_TIMESTAMP, KNOWN_AT, "event_day", "event_hop", "known_hop"})
_SHOWN_LENGTH = 80


@dataclass(frozen=True, slots=True)
class WrittenColumn:
    """A column over the base rows: `value` where `where` holds (always, if None)."""

    name: str
    value: exp.Expr
    where: exp.Expr | None = None
    declared_at: str = ""
    written_as: str = ""
    """The name its author knows it by, where `name` is one of ours."""

    @property
    def known_as(self) -> str:
        return self.written_as or self.name

    def alone(self) -> exp.Select:
        """Its trees as a query of nothing else: to ask what is in them."""
        return exp.select(*(part for part in (self.value, self.where) if part is not None))


@dataclass(frozen=True, slots=True)
class WrittenInput:
    """An aggregated column and every function over it."""

    column: WrittenColumn
    functions: tuple[Function, ...]
    recent: int = 0
    """How many of the last values are wanted at most."""


@dataclass(frozen=True, slots=True)
class WrittenFeature:
    """A feature: a column of its own, or a window over an input."""

    name: str
    column: str
    window: WindowOf | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class WrittenView:
    """`base` yields the rows; `columns` are the keys, both times, then the values, all over the base's columns."""

    base: exp.Query
    as_written: exp.Query
    """The base query before anything in it was spelled out: what the engine makes of it tells whether it was right."""
    offered: tuple[str, ...]
    """The columns of the base rows."""
    sources: tuple[Readable, ...]
    delay: timedelta | None
    """How long after it happened a row is known; None where each row says it itself."""
    columns: tuple[WrittenColumn, ...]
    inputs: tuple[WrittenInput, ...]
    features: tuple[WrittenFeature, ...]


def read_view(view: FeatureView, sources: Mapping[str, Readable], schemas: Mapping[str, pa.Schema]) -> WrittenView:
    """The view's trees, over sources and other views. Raises UnreadableSql where its text is not SQL; `view_problems`
    tells what else is wrong."""
    as_written = _base(view)
    base = spelled_out(as_written, schemas)
    used = tuple(sources[name] for name in tables(base) if name in sources and name in schemas)
    offered = offered_columns(base, schemas)
    aggregated = [(one, _aggregated(one, offered)) for one in view.features if isinstance(one, Aggregate)]
    inputs = _inputs(aggregated)
    if view.is_windowed:
        values = tuple(entry.column for entry in inputs)
        features = _windowed_features(aggregated, inputs)
    else:
        values = _row_values(view, base, schemas, offered)
        features = tuple(WrittenFeature(column.name, column.name) for column in values)
    keys = tuple(WrittenColumn(key, _named(key), declared_at=view.declared_at) for key in _keys(view))
    delay = _delay(view, used, offered)
    return WrittenView(base, as_written, offered, used, delay, (*keys, *_times(view, delay), *values), inputs, features)


def view_problems(
    view: FeatureView, written: WrittenView, sources: Mapping[str, Readable], schemas: Mapping[str, pa.Schema]
) -> Iterator[Problem]:
    """Everything wrong with a view that its names alone tell."""
    if hidden := list(_hidden_source_problems(view, written, sources)):
        yield from hidden
        return
    unknown = [name for name in tables(written.base) if name not in sources]
    for name in unknown:
        what = f"view '{view.name}' reads '{name}', which is neither a source nor a view"
        hint = "declare files as a source, write UNNEST(RANGE(…)) AS t(n) for numbers" if "(" in name else ""
        yield Problem(view.declared_at, what, hint or suggestion(name, sources))
    for name in tables(written.base):
        if isinstance(upstream := sources.get(name), UpstreamView) and upstream.is_windowed:
            what = f"view '{view.name}' reads view '{name}', which is windowed and can not be read by another view yet"
            yield Problem(view.declared_at, what, "read its source")
    yield from kept_problems(view, written.sources)
    for source in written.sources:
        yield from _source_time_problems(source, schemas[source.name])
    yield from _known_at_problems(view, written)
    if not unknown and len(written.sources) == len(tables(written.base)):
        yield from _name_problems(view, written)
        yield from _column_problems(view, written)


def tables(base: exp.Query) -> tuple[str, ...]:
    """The names in FROM and JOIN that no CTE of the query defines."""
    found = (
        source.name or source.sql(dialect=DIALECT)
        for scope in traverse_scope(base)
        for source in scope.sources.values()
        if isinstance(source, exp.Table)
    )
    return tuple(dict.fromkeys(found))


def offered_columns(base: exp.Query, schemas: Mapping[str, pa.Schema]) -> tuple[str, ...]:
    """The columns of the base rows, stars spelled out. Of sources without a schema, stars stand for nothing."""
    if not any(select.is_star for select in base.selects):
        return tuple(base.named_selects)
    read = {table: schemas[table].names for table in tables(base) if table in schemas}
    schema: dict[str, object] = {table: dict.fromkeys(names, "UNKNOWN") for table, names in read.items()}
    try:
        qualified = qualify(base.copy(), schema=schema, dialect=DIALECT, validate_qualify_columns=False)
    except SqlglotError:
        return tuple(dict.fromkeys(name for names in read.values() for name in names))
    assert isinstance(qualified, exp.Query)  # noqa: S101 - qualifying a query gives one
    written = [select.alias_or_name for select in base.find_all(exp.Alias, exp.Column)]
    spelling = {name.lower(): name for name in (*written, *(name for names in read.values() for name in names))}
    return tuple(spelling.get(name.lower(), name) for name in qualified.named_selects if name != "*")


def _base(view: FeatureView) -> exp.Query:
    if view.source is not None:
        return exp.select("*").from_(exp.Table(this=exp.to_identifier(view.source.name)))
    return parse_query(view.sql or "")


def _keys(view: FeatureView) -> tuple[str, ...]:
    return tuple(key for key, _ in view.entity.join_keys) if view.entity else ()


def _delay(view: FeatureView, used: tuple[Readable, ...], offered: tuple[str, ...]) -> timedelta | None:
    """The longest delay of the sources, unless rows say themselves when they are known."""
    says_itself = view.source.known_at is not None if view.source else KNOWN_AT in map(str.lower, offered)
    return None if says_itself else max((source.delay for source in used), default=timedelta(0))


def _times(view: FeatureView, delay: timedelta | None) -> tuple[WrittenColumn, WrittenColumn]:
    """When a row happened and when it was known: from the source's declaration, or from the columns SQL selects."""
    happened = _moment(view.source.event_timestamp if view.source else EVENT_TIMESTAMP)
    if delay is None:
        known = _moment(view.source.known_at or KNOWN_AT if view.source else KNOWN_AT)
    else:
        known = _plus(happened, delay)
    return (
        WrittenColumn(EVENT_TIMESTAMP, happened, declared_at=view.declared_at),
        WrittenColumn(KNOWN_AT, known, declared_at=view.declared_at),
    )


def _moment(column: str) -> exp.Expr:
    return exp.cast(exp.column(column, quoted=True), "TIMESTAMPTZ", dialect=DIALECT)


def _plus(moment: exp.Expr, delay: timedelta) -> exp.Expr:
    if not delay:
        return moment.copy()
    seconds = exp.Literal.string(str(delay // timedelta(seconds=1)))
    return exp.Add(this=moment.copy(), expression=exp.Interval(this=seconds, unit=exp.var("SECOND")))


def _row_values(
    view: FeatureView, base: exp.Query, schemas: Mapping[str, pa.Schema], offered: tuple[str, ...]
) -> tuple[WrittenColumn, ...]:
    if view.features:
        return tuple(
            WrittenColumn(feature.name, _value(feature, offered), declared_at=feature.declared_at)
            for feature in view.features
            if isinstance(feature, Feature)
        )
    if any(select.is_star for select in base.selects) and not all(name in schemas for name in tables(base)):
        return ()
    left_out = {name.lower() for name in (*_keys(view), EVENT_TIMESTAMP, KNOWN_AT)}
    return tuple(
        WrittenColumn(name, exp.column(name, quoted=True), declared_at=view.declared_at)
        for name in offered
        if name and name.lower() not in left_out
    )


def _inputs(aggregated: Iterable[tuple[Aggregate, WrittenColumn]]) -> tuple[WrittenInput, ...]:
    """One input for each distinct expression and filter, named by their canonical order: not by how they are listed."""
    found: dict[tuple[str, str], tuple[WrittenColumn, list[Aggregate]]] = {}
    for aggregate, column in aggregated:
        found.setdefault(_identity(column), (column, []))[1].append(aggregate)
    return tuple(
        WrittenInput(
            WrittenColumn(f"__input_{number}", column.value, column.where, column.declared_at, column.name),
            tuple(sorted({one.function for one in aggregates}, key=lambda function: function.value)),
            max((int(one.parameter or 0) for one in aggregates if one.function is Function.LAST_N), default=0),
        )
        for number, (_, (column, aggregates)) in enumerate(sorted(found.items(), key=lambda item: item[0]))
    )


def _windowed_features(
    aggregated: Iterable[tuple[Aggregate, WrittenColumn]], inputs: tuple[WrittenInput, ...]
) -> tuple[WrittenFeature, ...]:
    names = {_identity(entry.column): entry.column.name for entry in inputs}
    return tuple(
        WrittenFeature(
            name, source, WindowOf(source, aggregate.function, window, aggregate.parameter), aggregate.description
        )
        for aggregate, column in aggregated
        for source in [names[_identity(column)]]
        for name, window in zip(aggregate.feature_names, aggregate.windows, strict=True)
    )


def _aggregated(aggregate: Aggregate, offered: tuple[str, ...]) -> WrittenColumn:
    counts_rows = aggregate.expression == "*"
    value = exp.true() if counts_rows else _written(aggregate.name, aggregate.expression, offered)
    where = None if aggregate.where is None else _written(aggregate.name, aggregate.where, offered)
    return WrittenColumn(aggregate.name, value, where, aggregate.declared_at)


def _value(feature: Feature, offered: tuple[str, ...]) -> exp.Expr:
    if feature.expression == feature.name:
        return _named(feature.name)
    return _written(feature.name, feature.expression, offered)


def _written(name: str, text: str, offered: tuple[str, ...]) -> exp.Expr:
    """A text that is the plain name of a column is that column, whatever else it means in SQL. Another name of a column
    (`net amount`) is one where it can be nothing else. All other text is SQL."""
    known = {column.lower() for column in offered}
    if text.lower() in known and (text.isidentifier() or not _reads_only(text, known)):
        return _named(text)
    try:
        tree = parse_expression(text)
    except UnreadableSql as error:
        hint = quoting_hint(text, offered)
        raise UnreadableSql(f"feature '{name}': {_shown(text)}: {error}{hint}") from error
    if tree.find(exp.AggFunc, exp.Window):
        what = f"feature '{name}': {_shown(text)} aggregates"
        raise UnreadableSql(f"{what}; declare an Aggregate, or write sql= for the view")
    return with_fields(tree)


def _reads_only(text: str, known: set[str]) -> bool:
    """Whether the text is an expression over known columns."""
    try:
        read = parse_expression(text).find_all(exp.Column)
    except UnreadableSql:
        return False
    return all(column.name.lower() in known and not column.table for column in read)


def _named(column: str) -> exp.Expr:
    """The column of that name: as an identifier, which is never read as a word of SQL."""
    return exp.Column(this=exp.Identifier(this=column, quoted=not column.isidentifier()))


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…")


def _identity(column: WrittenColumn) -> tuple[str, str]:
    return canonical_sql(column.value), "" if column.where is None else canonical_sql(column.where)


def _source_time_problems(source: Readable, schema: pa.Schema) -> Iterator[Problem]:
    for column in filter(None, (source.event_timestamp, source.known_at)):
        if column not in schema.names:
            what = f"source '{source.name}' has no column '{column}'"
            yield Problem(source.declared_at, what, suggestion(column, schema.names))
        elif not is_moment(schema.field(column).type):
            what = f"column '{column}' of source '{source.name}' is {schema.field(column).type}, not a timestamp"
            yield Problem(source.declared_at, what, "convert it where the source is prepared")


def _known_at_problems(view: FeatureView, written: WrittenView) -> Iterator[Problem]:
    if view.sql is None or written.delay is None:
        return
    late = [source.name for source in written.sources if source.known_at]
    if len(written.sources) > 1:
        late += [source.name for source in written.sources if source.delay]
    if late:
        yield Problem(
            view.declared_at,
            f"view '{view.name}' does not say when its rows are known, and {', '.join(late)} can be late",
            f"select the moment a row could be known AS {KNOWN_AT}",
        )


def _name_problems(view: FeatureView, written: WrittenView) -> Iterator[Problem]:
    names = [feature.name for feature in written.features]
    if not names:
        yield Problem(view.declared_at, f"view '{view.name}' has no features", "select a column beside keys and times")
    same = "capital letters make no difference"
    for name in _repeated(names):
        yield Problem(view.declared_at, f"view '{view.name}' has two features named '{name}'", same)
    for name in sorted(name for name in {*names, *_keys(view)} if name.lower() in RESERVED):
        yield Problem(view.declared_at, f"'{name}' in view '{view.name}' is a name Knownat uses itself", "rename it")
    keys = {key.lower() for key in _keys(view)}
    for name in sorted(name for name in set(names) if name.lower() in keys):
        yield Problem(view.declared_at, f"'{name}' in view '{view.name}' is both a join key and a feature", "rename it")
    for name in sorted(name for name in set(names) if name and not is_name(name)):
        what = (
            f"'{name}' in view '{view.name}' can not name a feature: names are letters, digits and single underscores"
        )
        yield Problem(view.declared_at, what, "name it with AS")
    for select in written.base.selects:
        if not select.is_star and not select.alias_or_name:
            shown = select.sql(dialect=DIALECT)
            what = f"the SQL of view '{view.name}' has a column without a name: {shown}"
            yield Problem(view.declared_at, what, "name it with AS")


def _repeated(names: list[str]) -> list[str]:
    """The first of each group of names that are the same to the engine."""
    groups = Counter(name.lower() for name in names)
    first = {name.lower(): name for name in reversed(names)}
    return sorted(first[name] for name, count in groups.items() if count > 1)


def _hidden_source_problems(
    view: FeatureView, written: WrittenView, sources: Mapping[str, Readable]
) -> Iterator[Problem]:
    """A view's name is free to everybody who does not read that view."""
    read = tables(written.base)
    hidden = {
        name.lower(): "view" if isinstance(one, UpstreamView) else "source"
        for name, one in sources.items()
        if name in read or not isinstance(one, UpstreamView)
    }
    for cte in written.base.find_all(exp.CTE):
        if cte.alias.lower() in hidden:
            kind = hidden[cte.alias.lower()]
            what = f"the SQL of view '{view.name}' defines '{cte.alias}', which is the name of a {kind}"
            yield Problem(view.declared_at, what, "rename it in WITH")


def _column_problems(view: FeatureView, written: WrittenView) -> Iterator[Problem]:
    known = {name.lower() for name in written.offered}
    # A source's own times have been checked with it, and a delay is added to a time that is checked by itself.
    checked = {EVENT_TIMESTAMP, KNOWN_AT} if view.source else {KNOWN_AT} if written.delay is not None else set()
    for column in written.columns:
        if column.name in checked:
            continue
        for part in (column.value, column.where):
            for reference in part.find_all(exp.Column) if part is not None else ():
                if reference.name.lower() not in known:
                    reader = f"'{column.known_as}' of view '{view.name}'"
                    shown = ".".join(part.name for part in path_of(reference).parts)
                    what = f"{reader} reads column '{shown}', which its rows do not have"
                    yield Problem(column.declared_at, what, suggestion(reference.name, written.offered))
