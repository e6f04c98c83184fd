"""On-demand features: computed when asked for, from the request's own values and other features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from featurestore.errors import InvalidDeclaration
from featurestore.spec.dtypes import DType
from featurestore.spec.names import check_list, check_name, declaration_site


@dataclass(frozen=True, slots=True, init=False)
class OnDemandFeature:
    """An SQL expression over request inputs and feature references, the same offline and online.

    `inputs` are the columns that a spine or a request brings, with their types; features are written `view:feature`.
    """

    name: str
    expression: str
    inputs: tuple[tuple[str, DType], ...]
    description: str
    owner: str
    tags: tuple[str, ...]
    declared_at: str = field(compare=False, repr=False)

    def __init__(
        self,
        name: str,
        *,
        expression: str,
        inputs: Mapping[str, DType] | None = None,
        description: str = "",
        owner: str = "",
        tags: tuple[str, ...] | list[str] = (),
    ) -> None:
        site = declaration_site()
        if not isinstance(expression, str) or not expression.strip():
            raise InvalidDeclaration(f"{site}: on-demand feature '{name}' needs an expression")
        for column, dtype in (inputs or {}).items():
            check_name("request input", column)
            if not isinstance(dtype, DType):
                raise InvalidDeclaration(
                    f"{site}: input '{column}' of '{name}' needs a type such as Float64, got {dtype!r}"
                )
        object.__setattr__(self, "name", check_name("on-demand feature", name))
        object.__setattr__(self, "expression", expression)
        object.__setattr__(self, "inputs", tuple((inputs or {}).items()))
        object.__setattr__(self, "description", description)
        object.__setattr__(self, "owner", owner)
        object.__setattr__(self, "tags", check_list(f"tags of on-demand feature '{name}'", tags))
        object.__setattr__(self, "declared_at", site)
