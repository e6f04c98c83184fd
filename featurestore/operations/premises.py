"""The premises: everything that verifying and collecting garbage look at, and who depends on what of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from featurestore.operations.make_plan import Project
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.operations.training_set import Archive
from featurestore.ports.commits import CommitUpkeep
from featurestore.ports.kept_rows import KeptRows
from featurestore.ports.object_usage import ObjectUsage
from featurestore.ports.objects import ObjectShelf
from featurestore.ports.state import Manifest


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What nobody but the caretaker uses."""

    shelf: ObjectShelf
    object_usage: ObjectUsage
    commits: CommitUpkeep


@dataclass(frozen=True, slots=True)
class Premises:
    project: Project
    offline: OfflineSide
    online: OnlineSide
    archive: Archive
    upkeep: Upkeep
    kept_rows: tuple[KeptRows, ...] = ()
    """What state keeps no record of."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A dataset was pulled from this version of a table."""

    table: str
    version: int
    dataset: str
    commit: str | None = None
    """The sha256 of the version's log entry as it was then."""


@dataclass(frozen=True, slots=True)
class Dependents:
    """Which datasets and models depend on which tables and objects."""

    manifests: tuple[Manifest, ...]
    pinned: Mapping[str, tuple[Pin, ...]]
    """For each table that has any, who pins it; oldest dataset first."""
    users: Mapping[str, tuple[str, ...]]
    """For each dataset that has any, the URNs of the models that were trained on it."""

    def pins(self, table: str) -> tuple[Pin, ...]:
        return self.pinned.get(table, ())

    def tables(self) -> tuple[str, ...]:
        """Every table that a dataset pins."""
        return tuple(sorted(self.pinned))

    def datasets(self, table: str, holds: Callable[[int], bool]) -> tuple[str, ...]:
        """The datasets that pin a version of the table for which `holds` is true."""
        return tuple(dict.fromkeys(pin.dataset for pin in self.pins(table) if holds(pin.version)))

    def models(self, datasets: Iterable[str]) -> tuple[str, ...]:
        """The models that were trained on any of them, by URN."""
        return tuple(sorted({user for dataset in datasets for user in self.users.get(dataset, ())}))


def dependents(project: Project) -> Dependents:
    """Who depends on what now. Models are read after datasets: one that is registered meanwhile is among them."""
    manifests = project.datasets.all()
    pinned: dict[str, list[Pin]] = {}
    for manifest in manifests:
        for one in manifest.tables:
            pinned.setdefault(one.table, []).append(Pin(one.table, one.version, manifest.id, one.commit))
    users: dict[str, list[str]] = {}
    for use in project.usage.users_of([manifest.id for manifest in manifests]):
        users.setdefault(use.dataset, []).append(use.user)
    return Dependents(
        manifests,
        {table: tuple(pins) for table, pins in pinned.items()},
        {dataset: tuple(sorted(urns)) for dataset, urns in users.items()},
    )
