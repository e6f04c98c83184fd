"""Own places: two projects never mix, whatever they share.

A project's state, the folders that it writes to and its online store carry its identity. A place that carries another
one is refused before anything is written. One that carries none is taken, as those of earlier releases are, unless it
stands for tables that lie elsewhere: then the state is another project's, or this folder a copy without its tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from featurestore.errors import ProjectsMixed, StoreUnavailable
from featurestore.ports.identity import IdentityState, Place, ProjectIdentity


@dataclass(frozen=True, slots=True)
class OwnPlaces:
    """`identity` as the state has it. `here`: the home of the project that is open. `tables` is among `folders`.
    `lacks_tables`: whether something is applied, and `tables` has nothing of it."""

    state: IdentityState
    state_name: str
    identity: ProjectIdentity
    here: str
    tables: Place
    folders: tuple[Place, ...]
    online: Place
    lacks_tables: Callable[[], bool]

    def check_folders(self) -> None:
        """Raises ProjectsMixed when one of the folders is another project's. Asks nothing outside of this machine."""
        for place in self.folders:
            self._check(place, place.owner())

    def check_online(self) -> None:
        """Raises ProjectsMixed when the online store is another project's. One that does not answer says nothing."""
        try:
            owner = self.online.owner()
        except StoreUnavailable:
            return
        self._check(self.online, owner)

    def check(self) -> None:
        """Raises ProjectsMixed when any place, or the state, is another project's. Changes nothing."""
        self._check_home()
        self.check_online()

    def claim(self) -> None:
        """Before anything is written: make sure that all places but the online store are this project's, and say so.

        Raises ProjectsMixed, writing nothing.
        """
        self._check_home()
        for place in self.folders:
            self._check(place, place.claim(self.identity.id))
        if self.identity.home != self.here:
            self.state.move(self.here)

    def _check_home(self) -> None:
        self.check_folders()
        is_marked = self.tables.owner() is not None
        if not is_marked and self.identity.home != self.here and self.lacks_tables():
            raise ProjectsMixed(
                f"{_sentence(self.state_name)} belongs to the project '{self.identity.name}' of {self.identity.home}, "
                f"and {self.tables.name} has none of its tables. Nothing was written. If this is another project, give "
                "it a state of its own ([state] path or url in knownat.toml). If it is that project, moved or on "
                "another machine, bring its tables here, or name the folder in which they are ([offline] tables)."
            )

    def claim_online(self) -> None:
        """As `claim`, of the online store. Raises StoreUnavailable, too."""
        self._check(self.online, self.online.claim(self.identity.id))

    def _check(self, place: Place, owner: str | None) -> None:
        if owner in (None, self.identity.id):
            return
        raise ProjectsMixed(
            f"{_sentence(place.name)} belongs to another project (its identity begins with {str(owner)[:8]}), and "
            f"{self.state_name} to '{self.identity.name}' ({self.identity.id[:8]}). Nothing was written: projects that "
            f"share a place would destroy each other's rows. Give this one a place of its own ({place.setting} in "
            "knownat.toml), or the state that belongs to it ([state] path or url)."
        )


def _sentence(name: str) -> str:
    return name[:1].upper() + name[1:]
