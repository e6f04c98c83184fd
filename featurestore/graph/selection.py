"""A choice of features as a feature set: by feature service, or by references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from featurestore.errors import InvalidReference, UnknownName
from featurestore.graph.resolved import FeatureSet, Graph, OutputColumn, ResolvedOnDemand, ResolvedView, ViewUse
from featurestore.spec.names import FeatureReference


def service_features(graph: Graph, name: str) -> FeatureSet:
    """The features of a service, in its order. Raises UnknownName."""
    entry = graph.service(name)
    return _feature_set(graph, entry.members, {use.name: use for use in entry.uses}, service=name)


def referenced_features(graph: Graph, references: Sequence[str]) -> FeatureSet:
    """The features named `view:feature`, `view:*`, `role_view:feature` for a role that a service declares, or by an
    on-demand feature's name. Raises UnknownName or InvalidReference."""
    if not references:
        raise InvalidReference("no features were asked for: name at least one, as view:feature")
    uses = {use.name: use for service in graph.services for use in service.uses}
    uses |= {view.name: ViewUse(view.name, view.name, tuple(key.name for key in view.keys), ()) for view in graph.views}
    members: list[str] = []
    for text in references:
        if text.endswith(":*"):
            use = _use(uses, text[:-2])
            members += [f"{use.name}:{feature.name}" for feature in graph.view(use.view).features]
        else:
            members.append(text)
    if twice := sorted(member for member, count in Counter(members).items() if count > 1):
        raise InvalidReference(f"'{twice[0]}' is asked for twice")
    return _feature_set(graph, tuple(members), uses, service=None)


def _feature_set(
    graph: Graph, members: tuple[str, ...], uses: dict[str, ViewUse], *, service: str | None
) -> FeatureSet:
    on_demand = {feature.name: feature for feature in graph.on_demand}
    chosen = tuple(on_demand[member] for member in members if member in on_demand)
    if unknown := [member for member in members if ":" not in member and member not in on_demand]:
        raise UnknownName("on-demand feature", unknown[0], on_demand)
    wanted = [member for member in members if ":" in member]
    read = [reference for feature in chosen for reference in feature.features]
    views = {view.name: view for view in graph.views}
    needed = _needed(views, tuple(dict.fromkeys((*wanted, *read))), uses)
    outputs = tuple(_output(views, member, uses, on_demand) for member in members)
    used = dict.fromkeys(use.view for use in needed)
    return FeatureSet(service, tuple(views[name] for name in used), needed, chosen, outputs)


def _needed(
    views: Mapping[str, ResolvedView], references: tuple[str, ...], uses: dict[str, ViewUse]
) -> tuple[ViewUse, ...]:
    features: dict[str, list[str]] = {}
    # An on-demand feature may read a view that its service leaves out, under the view's own name.
    plain = {name: ViewUse(name, name, tuple(key.name for key in view.keys), ()) for name, view in views.items()}
    known = plain | uses
    for text in references:
        reference = FeatureReference.parse(text)
        use = _use(known, reference.view)
        views[use.view].feature(reference.feature)
        features.setdefault(use.name, []).append(reference.feature)
    return tuple(
        ViewUse(known[name].view, name, known[name].join_columns, tuple(chosen)) for name, chosen in features.items()
    )


def _use(uses: dict[str, ViewUse], name: str) -> ViewUse:
    if name not in uses:
        raise UnknownName("feature view", name, uses)
    return uses[name]


def _output(
    views: Mapping[str, ResolvedView], member: str, uses: dict[str, ViewUse], on_demand: dict[str, ResolvedOnDemand]
) -> OutputColumn:
    if member in on_demand:
        feature = on_demand[member]
        return OutputColumn(feature.name, feature.dtype, feature.name, feature.fingerprint)
    reference = FeatureReference.parse(member)
    found = views[_use(uses, reference.view).view].feature(reference.feature)
    return OutputColumn(reference.column, found.dtype, member, found.fingerprint)
