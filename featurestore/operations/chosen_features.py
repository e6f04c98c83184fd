"""The features a caller chooses: by feature service, by references, or as a model was trained on them."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.errors import InvalidRequest, NotApplied
from featurestore.graph.resolved import FeatureSet, Graph
from featurestore.graph.selection import referenced_features, service_features
from featurestore.ports.state import AppliedGraph, CatalogState

MOST_REFERENCES = 2_000
"""In one request; `view:*` is one. A feature service may have more."""
LONGEST_NAME = 1_000


@dataclass(frozen=True, slots=True)
class FeatureChoice:
    """Exactly one way of choosing. Raises InvalidRequest for none or several, and for more than a request may have."""

    service: str | None = None
    features: tuple[str, ...] | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        if (self.service is not None) + (self.features is not None) + (self.model is not None) != 1:
            ways = {"service": self.service, "features": self.features, "model": self.model}
            given = [name for name, value in ways.items() if value is not None]
            found = f"got {' and '.join(given)}" if given else "got none of them"
            raise InvalidRequest(f"Features are chosen by exactly one of service, features and model: {found}.")
        _check_bounds(self.features or (), self.service or self.model or "")


def _check_bounds(references: tuple[str, ...], name: str) -> None:
    if len(references) > MOST_REFERENCES:
        raise InvalidRequest(
            f"{len(references):,} features are asked for, and {MOST_REFERENCES:,} is the most: ask in parts, by "
            "view:*, or declare a feature service."
        )
    longest = max(references, key=len, default="") if references else name
    if len(longest) > LONGEST_NAME:
        raise InvalidRequest(
            f"A name has {len(longest):,} characters, and {LONGEST_NAME:,} is the most: {longest[:80]!r} …"
        )


def applied_graph(catalog: CatalogState) -> AppliedGraph:
    """What readers see now. Raises NotApplied before the first apply."""
    current = catalog.current()
    if current is None:
        raise NotApplied("Nothing has been applied yet: there are no features. Run `knownat apply`.")
    return current


def chosen_features(choice: FeatureChoice, graph: Graph) -> FeatureSet:
    """The chosen features as they are applied now. Raises UnknownName, InvalidReference; InvalidRequest for a model,
    whose features do not depend on what is applied."""
    if choice.service is not None:
        return service_features(graph, choice.service)
    if choice.features is not None:
        return referenced_features(graph, choice.features)
    raise InvalidRequest("Choose the features by service or by references here: a model's are those of its dataset.")
