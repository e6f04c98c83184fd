"""Whose a place is: each project has an identity, kept in its state and left at every place that it writes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ProjectIdentity:
    """`id` is drawn once, when the state is made; `home` says where the project's folder is, for people and for
    recognizing it after its tables were lost."""

    id: str
    name: str
    home: str


class IdentityState(Protocol):
    def identity(self, proposed: ProjectIdentity) -> ProjectIdentity:
        """The project's identity; the proposed one, if the state has none yet."""
        ...

    def move(self, home: str) -> None:
        """The project's folder is there now."""
        ...


class Place(Protocol):
    """A folder, or an online store under a name, that one project alone writes to."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def setting(self) -> str:
        """The setting that names another one."""
        ...

    def owner(self) -> str | None:
        """The id of the project whose place it is; None where nobody has said so. Raises StoreUnavailable."""
        ...

    def claim(self, project: str) -> str:
        """Say that it is this project's unless somebody else has, and return whose it is. Raises StoreUnavailable."""
        ...
