"""Entities: what features describe, and the columns that identify one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from featurestore.errors import InvalidDeclaration
from featurestore.spec.dtypes import DType
from featurestore.spec.names import check_list, check_name, declaration_site


@dataclass(frozen=True, slots=True, init=False)
class Entity:
    """Something features describe, with one or more typed join keys.

    >>> route = Entity("route", join_keys={"origin": DType.STRING, "dest": DType.STRING})
    >>> [key for key, dtype in route.join_keys]
    ['origin', 'dest']
    """

    name: str
    join_keys: tuple[tuple[str, DType], ...]
    description: str
    owner: str
    tags: tuple[str, ...]
    declared_at: str = field(compare=False, repr=False)

    def __init__(
        self,
        name: str,
        *,
        join_keys: Mapping[str, DType],
        description: str = "",
        owner: str = "",
        tags: tuple[str, ...] | list[str] = (),
    ) -> None:
        site = declaration_site()
        if not isinstance(join_keys, Mapping) or not join_keys:
            raise InvalidDeclaration(f"{site}: entity '{name}' needs at least one join key: join_keys={{'id': String}}")
        for key, dtype in join_keys.items():
            check_name("join key", key)
            if not isinstance(dtype, DType) or not dtype.can_be_key:
                raise InvalidDeclaration(
                    f"{site}: join key '{key}' of entity '{name}' can not be of type {dtype!r}: keys are compared for "
                    "equality, so they are bool, integer, string, date or timestamp"
                )
        object.__setattr__(self, "name", check_name("entity", name))
        object.__setattr__(self, "join_keys", tuple(join_keys.items()))
        object.__setattr__(self, "description", description)
        object.__setattr__(self, "owner", owner)
        object.__setattr__(self, "tags", check_list(f"tags of entity '{name}'", tags))
        object.__setattr__(self, "declared_at", site)
