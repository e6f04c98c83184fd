"""Feature services: the features one model needs, under one name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from featurestore.errors import InvalidDeclaration
from featurestore.spec.feature_view import FeatureView, ViewSelection
from featurestore.spec.names import check_list, check_name, declaration_site
from featurestore.spec.on_demand import OnDemandFeature

ServiceMember = FeatureView | ViewSelection | OnDemandFeature


@dataclass(frozen=True, slots=True, init=False)
class FeatureService:
    """An ordered choice of features: whole views, `view["feature"]`, `view.role(…)` and on-demand features."""

    name: str
    features: tuple[ViewSelection | OnDemandFeature, ...]
    description: str
    owner: str
    tags: tuple[str, ...]
    declared_at: str = field(compare=False, repr=False)

    def __init__(
        self,
        name: str,
        *,
        features: Sequence[ServiceMember],
        description: str = "",
        owner: str = "",
        tags: Sequence[str] = (),
    ) -> None:
        site = declaration_site()
        members = check_list(f"features of feature service '{name}'", features)
        if not members:
            raise InvalidDeclaration(f"{site}: feature service '{name}' has no features")
        if wrong := [member for member in members if not isinstance(member, ServiceMember)]:
            raise InvalidDeclaration(
                f"{site}: feature service '{name}' takes views, view['feature'], view.role(…) and on-demand features, "
                f"got {wrong[0]!r}"
            )
        object.__setattr__(self, "name", check_name("feature service", name))
        object.__setattr__(
            self,
            "features",
            tuple(ViewSelection(member) if isinstance(member, FeatureView) else member for member in members),
        )
        object.__setattr__(self, "description", description)
        object.__setattr__(self, "owner", owner)
        object.__setattr__(self, "tags", check_list(f"tags of feature service '{name}'", tags))
        object.__setattr__(self, "declared_at", site)
