"""On-demand features and feature services, resolved over settled views."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from featurestore.errors import Problem, UnknownName, suggestion
from featurestore.graph.fingerprint import fingerprint, key_identity
from featurestore.graph.resolved import Column, Graph, ResolvedOnDemand, ResolvedView, ServiceEntry, ViewUse
from featurestore.graph.sql_text import (
    UnreadableSql,
    canonical_sql,
    constants_hint,
    parse_reference_expression,
    quoting_hint,
)
from featurestore.spec.declarations import Declarations
from featurestore.spec.dtypes import DType
from featurestore.spec.feature_service import FeatureService
from featurestore.spec.feature_view import ViewSelection
from featurestore.spec.names import FeatureReference
from featurestore.spec.on_demand import OnDemandFeature


@dataclass(frozen=True, slots=True)
class DraftOnDemand:
    """An on-demand feature whose references are found. `columns` are what its expression reads, typed."""

    declaration: OnDemandFeature
    expression: str
    columns: tuple[Column, ...]
    references: tuple[str, ...]
    fingerprint: str


def draft_on_demand(declarations: Declarations, graph: Graph) -> tuple[tuple[DraftOnDemand, ...], list[Problem]]:
    """Every on-demand feature with its references found, and what is wrong with the others and with the services.

    What refers to a view that is declared and not in the graph is left out: that view's problem has been told.
    """
    views = _named_views(declarations, graph)
    problems = [problem for service in declarations.services for problem in _service_problems(service, graph)]
    unsettled = _unsettled_names(declarations, graph)
    drafts = []
    for feature in declarations.on_demand:
        try:
            drafts.append(_draft(feature, views))
        except (UnreadableSql, UnknownName) as error:
            if not (isinstance(error, UnknownName) and error.name in unsettled):
                problems.append(Problem(feature.declared_at, f"on-demand feature '{feature.name}': {error}"))
    read = {draft.declaration.name: draft.references for draft in drafts}
    problems += [problem for service in declarations.services for problem in _role_problems(service, read, graph)]
    return tuple(drafts), problems


def settle_services(
    declarations: Declarations, graph: Graph, drafts: tuple[DraftOnDemand, ...], dtypes: Mapping[str, DType]
) -> Graph:
    """The whole graph: `dtypes` are the types of the on-demand features, by name."""
    on_demand = tuple(_on_demand(draft, dtypes[draft.declaration.name]) for draft in drafts)
    services = tuple(_service(service, graph) for service in declarations.services)
    return replace(graph, on_demand=on_demand, services=services)


def _named_views(declarations: Declarations, graph: Graph) -> dict[str, ResolvedView]:
    """Views by every name they go by: their own, and `{role}_{view}` for each role of a service."""
    views = {view.name: view for view in graph.views}
    roles = {member.name: views[member.view.name] for member in _selections(declarations) if member.view.name in views}
    return roles | views


def _unsettled_names(declarations: Declarations, graph: Graph) -> set[str]:
    """The names of views that are declared, and could not be settled."""
    known = {view.name for view in graph.views}
    roles = {member.name for member in _selections(declarations) if member.view.name not in known}
    return roles | ({view.name for view in declarations.views} - known)


def _selections(declarations: Declarations) -> list[ViewSelection]:
    members = (member for service in declarations.services for member in service.features)
    return [member for member in members if isinstance(member, ViewSelection)]


def _draft(feature: OnDemandFeature, views: Mapping[str, ResolvedView]) -> DraftOnDemand:
    inputs = dict(feature.inputs)
    try:
        tree, references = parse_reference_expression(feature.expression)
    except UnreadableSql as error:
        raise UnreadableSql(f"{error}{quoting_hint(feature.expression, inputs)}") from error
    if tree.find(exp.AggFunc, exp.Window):
        raise UnreadableSql("an on-demand feature is computed row by row: it can not aggregate")
    read = [_reference(text, views) for text in references]
    columns = {reference.column: dtype for reference, dtype, _ in read}
    for column in list(tree.find_all(exp.Column)):
        if column.name in references:
            column.replace(exp.column(FeatureReference.parse(column.name).column, quoted=True))
        elif column.name in inputs:
            columns[column.name] = inputs[column.name]
        else:
            hint = suggestion(column.name, [*inputs, *views])
            raise UnreadableSql(f"'{column.name}' is neither one of its inputs nor a reference view:feature. {hint}")
    if hint := constants_hint(feature.expression, inputs.keys() - columns.keys()):
        raise UnreadableSql(f"it does not read an input that stands in it{hint}")
    if isinstance(tree, exp.Column):
        raise UnreadableSql("it only repeats a column: name the feature itself in the service")
    expression = canonical_sql(tree)
    identity = fingerprint(
        "on-demand", feature.name, expression,
        key_identity(Column(*entry) for entry in sorted(inputs.items())),
        [print_ for _, _, print_ in read],
    )  # fmt: skip
    typed = tuple(Column(name, dtype) for name, dtype in columns.items())
    return DraftOnDemand(feature, expression, typed, references, identity)


def _reference(text: str, views: Mapping[str, ResolvedView]) -> tuple[FeatureReference, DType, str]:
    reference = FeatureReference.parse(text)
    if reference.view not in views:
        raise UnknownName("feature view", reference.view, views)
    feature = views[reference.view].feature(reference.feature)
    return reference, feature.dtype, feature.fingerprint


def _on_demand(draft: DraftOnDemand, dtype: DType) -> ResolvedOnDemand:
    feature = draft.declaration
    return ResolvedOnDemand(
        feature.name,
        draft.expression,
        dtype,
        tuple(Column(*entry) for entry in feature.inputs),
        draft.references,
        draft.fingerprint,
        feature.description,
        feature.owner,
        feature.tags,
    )


def _service(service: FeatureService, graph: Graph) -> ServiceEntry:
    members: list[str] = []
    uses: dict[str, ViewUse] = {}
    for member in service.features:
        if isinstance(member, OnDemandFeature):
            members.append(member.name)
            continue
        view = graph.view(member.view.name)
        chosen = member.features or tuple(feature.name for feature in view.features)
        members += [f"{member.name}:{feature}" for feature in chosen]
        earlier = uses[member.name].features if member.name in uses else ()
        features = tuple(dict.fromkeys((*earlier, *chosen)))
        uses[member.name] = ViewUse(view.name, member.name, _join_columns(member, view), features)
    return ServiceEntry(
        service.name, tuple(members), tuple(uses.values()), service.description, service.owner, service.tags
    )


def _join_columns(member: ViewSelection, view: ResolvedView) -> tuple[str, ...]:
    renamed = dict(member.join_keys)
    return tuple(renamed.get(key.name, key.name) for key in view.keys)


def _role_problems(service: FeatureService, read: Mapping[str, tuple[str, ...]], graph: Graph) -> Iterator[Problem]:
    """An on-demand feature may read any view, but a view in a role only where the service says what the role joins."""
    known = {view.name for view in graph.views}
    for member in service.features:
        if isinstance(member, ViewSelection) and member.prefix is not None and member.name in known:
            what = f"feature service '{service.name}': the role '{member.name}' has the name of a view"
            yield Problem(service.declared_at, what, "choose another prefix")
    known |= {member.name for member in service.features if isinstance(member, ViewSelection)}
    for member in service.features:
        for text in read.get(member.name, ()) if isinstance(member, OnDemandFeature) else ():
            role = FeatureReference.parse(text).view
            if role not in known:
                what = f"feature service '{service.name}' has '{member.name}', which reads '{text}' in a role"
                yield Problem(service.declared_at, what, f"add the view with that role, or one feature of it: '{role}'")


def _service_problems(service: FeatureService, graph: Graph) -> Iterator[Problem]:
    where, what = service.declared_at, f"feature service '{service.name}'"
    names: list[str] = []
    joins: dict[str, tuple[str, tuple[str, ...]]] = {}
    inputs: dict[str, DType] = {}
    settled = {view.name for view in graph.views}
    for member in service.features:
        if isinstance(member, OnDemandFeature):
            names.append(member.name)
            for column, dtype in member.inputs:
                if inputs.setdefault(column, dtype) != dtype:
                    yield Problem(where, f"{what} has the request input '{column}' with two types", "agree on one")
            continue
        if member.view.name not in settled:
            continue
        view = graph.view(member.view.name)
        known = [feature.name for feature in view.features]
        for feature in member.features or known:
            names.append(FeatureReference(member.name, feature).column)
            if feature not in known:
                yield Problem(where, f"{what} has '{member.name}:{feature}'", suggestion(feature, known))
        join = (view.name, _join_columns(member, view))
        if joins.setdefault(member.name, join) != join:
            yield Problem(where, f"{what} has '{member.name}' twice with different join keys", "give each a role")
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem(where, f"{what} has two columns named '{name}'", "list each feature once")
