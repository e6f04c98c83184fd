"""What each step came to, as a record that can be kept and that knows how to say itself. Every number is a real one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Facts(Protocol):
    def lines(self) -> tuple[str, ...]:
        """What the reader sees of it."""
        ...


@dataclass(frozen=True, slots=True)
class SourcesPrepared:
    files: tuple[tuple[str, int], ...]

    def lines(self) -> tuple[str, ...]:
        return aligned((name, f"{rows:,} rows") for name, rows in self.files)


@dataclass(frozen=True, slots=True)
class PlanMade:
    changes: int
    fills: tuple[tuple[str, str, int], ...]
    """Table, the intervals to fill, source rows to read (an estimate)."""

    def lines(self) -> tuple[str, ...]:
        if not self.changes and not self.fills:
            return ("Nothing to do.",)
        told = aligned((table, f"fill {span}", f"about {rows:,} rows") for table, span, rows in self.fills)
        return (f"{self.changes} declarations are new or changed.", *told)


@dataclass(frozen=True, slots=True)
class Applied:
    tables: tuple[tuple[str, int], ...]
    """Views, and the rows or tiles that their tables hold."""

    @property
    def rows(self) -> int:
        return sum(rows for _, rows in self.tables)

    def lines(self) -> tuple[str, ...]:
        total = f"{self.rows:,} rows stored in {len(self.tables)} Delta tables"
        return (*aligned((view, f"{rows:,} rows") for view, rows in self.tables), total)


@dataclass(frozen=True, slots=True)
class Pulled:
    """A training set. Its id is a hash of all that went into it."""

    id: str
    rows: int
    columns: int
    sha256: str
    warnings: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        notes = tuple(f"note: {warning}" for warning in self.warnings[:1])
        more = (f"      and {len(self.warnings) - 1} more like it",) if len(self.warnings) > 1 else ()
        return (f"dataset {self.id[:12]}: {self.rows:,} rows, {self.columns} columns", *notes, *more)


@dataclass(frozen=True, slots=True)
class Trained:
    rows: int
    late: int
    inputs: int

    def lines(self) -> tuple[str, ...]:
        return (f"{self.rows:,} flights, {self.late / self.rows:.1%} of them late, {self.inputs} inputs",)


@dataclass(frozen=True, slots=True)
class PromiseKept:
    flights: int
    hours: int
    lookups: int
    features: int
    cells: int
    differences: int

    def lines(self) -> tuple[str, ...]:
        return (
            f"{self.hours} hours materialized one by one, {self.flights:,} flights in {self.lookups:,} lookups",
            f"{self.cells:,} cells compared ({self.features} features of each flight), {self.differences} differ",
        )


@dataclass(frozen=True, slots=True)
class Leak:
    """Two models, each measured on the data its maker would have measured it on, and then as served."""

    naive_dataset: str
    flights: int
    naive_offline: float
    naive_served: float
    honest_offline: float
    honest_served: float

    def lines(self) -> tuple[str, ...]:
        return (
            *aligned(
                (
                    ("AUC of the same model", "offline", "as served"),
                    ("(a) trained on the naive join", f"{self.naive_offline:.4f}", f"{self.naive_served:.4f}"),
                    ("(b) trained point-in-time", f"{self.honest_offline:.4f}", f"{self.honest_served:.4f}"),
                )
            ),
            f"over {self.flights:,} flights of the replay that were late or not; 0.5 is guessing",
        )


@dataclass(frozen=True, slots=True)
class Registered:
    model: str
    version: int
    alias: str
    dataset: str
    features: int
    sha256: str
    size: int

    def lines(self) -> tuple[str, ...]:
        return (
            f"{self.model}@{self.version}, now also {self.model}@{self.alias}",
            f"trained on dataset {self.dataset[:12]}, {self.features} features with their fingerprints",
            f"artifact of {self.size / 1000:,.0f} kB, sha256 {self.sha256[:12]}",
        )


@dataclass(frozen=True, slots=True)
class Online:
    views: tuple[tuple[str, str], ...]
    """Views, and up to when they are online."""

    def lines(self) -> tuple[str, ...]:
        return aligned((view, f"online up to {moment}") for view, moment in self.views)


@dataclass(frozen=True, slots=True)
class LookedUp:
    model: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def lines(self) -> tuple[str, ...]:
        return aligned((self.columns, *self.rows))


@dataclass(frozen=True, slots=True)
class LineageRead:
    tree: tuple[str, ...]
    """The tree up from the model, shortened."""
    upstream: tuple[tuple[str, int], ...]
    """Kinds of nodes above the model, and how many there are of each."""

    def lines(self) -> tuple[str, ...]:
        counted = ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in self.upstream)
        return (*self.tree, f"in full: {counted}")


@dataclass(frozen=True, slots=True)
class Audited:
    views: tuple[tuple[str, int, int, int], ...]
    """View, keys, values compared, differences."""

    @property
    def values(self) -> int:
        return sum(values for _, _, values, _ in self.views)

    @property
    def differences(self) -> int:
        return sum(differences for _, _, _, differences in self.views)

    def lines(self) -> tuple[str, ...]:
        return aligned(
            (view, f"{keys:,} keys", f"{values:,} values", f"{differences} differ")
            for view, keys, values, differences in self.views
        )


@dataclass(frozen=True, slots=True)
class Rebuilt:
    id: str
    sha256: str

    def lines(self) -> tuple[str, ...]:
        return (f"dataset {self.id[:12]} again: sha256 {self.sha256[:16]}…, equal to the byte",)


def aligned(rows: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Rows as text, in columns: the first to the left, the others to the right."""
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return tuple(
        "   ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
