"""Which objects the storey above keeps, asked without knowing what it keeps them for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectUse:
    """An object that someone needs: `user` is a URN, such as `model:arrival_delay@1`."""

    sha256: str
    size: int
    user: str


class ObjectUsage(Protocol):
    def objects(self) -> tuple[ObjectUse, ...]:
        """Every object that someone needs, in the order of the users' URNs."""
        ...
