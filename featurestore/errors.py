"""Every error the feature store raises on purpose, as one tree.

KnownatError
├── DefinitionsError            the definitions folder has problems (all of them, each with file and line)
├── InvalidDeclaration          one declaration can not be built
├── SettingsError               knownat.toml or an environment override is wrong
├── UnknownName                 a service, view, feature, dataset or other name that does not exist
├── InvalidReference            text that is not a feature reference, name, duration or URN
├── InvalidRequest              a request whose shape is wrong, whatever it asks for
├── RequestTooLarge             a request with more bytes than may be sent at once
├── SpineError                  a training set's spine can not be used
├── EntityRowsError             an online request's rows can not be used
├── SourceError                 a source's files are missing or do not fit its declaration
├── SourceDrifted               a source has other columns or types than the views over it were made with
├── QueryError                  the engine refused a compiled query
│   ├── EngineTimeout           it had not understood one when its time was up
│   └── ValueRefused            it came upon a value of the rows that it can not compute with or store
├── NotApplied                  nothing has been applied yet, or a view is not whole yet
├── NotMaterialized             a view is not in the online store, or the store lost it
├── NothingLogged               the serving log has no such answers
├── LookupInThePast             the online store has moved on past the moment asked for
├── StoreUnavailable            the online store does not answer
├── StoreRefused                the online store is set up in a way that would lose rows
├── StoreCorrupted              stored bytes are not what was written
├── ProjectsMixed               a state, folder or store belongs to another project
├── ClockBehind                 this machine's clock is behind one that filled views before; nothing was changed
├── ConcurrentChange            another process changed the same table; nothing was lost, run it again
├── TableDamaged                an offline table's log or files are not what was committed
├── DatasetInUse                a dataset can not be deleted, as registered models were trained on it
├── DatasetGone                 a dataset can not be rebuilt; names exactly what is missing
├── DatasetDiffers              a rebuilt dataset has other bytes than the manifest says
└── UnsupportedOperation        the connection or adapter can not do this

Messages say what was expected, what was found, and what to try. `code` is stable: scripts and clients may match on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar


class KnownatError(Exception):
    """The root: catching this catches every error Knownat raises on purpose."""

    code: ClassVar[str] = "knownat_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def details(self) -> dict[str, object]:
        """Facts beside the message, for scripts: plain JSON values only."""
        return {}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in a definitions folder: where it is, what it is, and what to do."""

    where: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" ({self.hint})" if self.hint else "")


class DefinitionsError(KnownatError):
    """All problems of a definitions folder at once."""

    code = "invalid_definitions"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        count = len(self.problems)
        listing = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the definitions:\n{listing}")

    @property
    def details(self) -> dict[str, object]:
        return {"problems": [{"where": p.where, "what": p.what, "hint": p.hint} for p in self.problems]}


class InvalidDeclaration(KnownatError):
    """A declaration that can not exist; raised where it is written."""

    code = "invalid_declaration"


class SettingsError(KnownatError):
    code = "invalid_settings"


class InvalidReference(KnownatError):
    code = "invalid_reference"


class UnknownName(KnownatError):
    """A name nobody declared; the message offers the closest ones."""

    code = "unknown_name"

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        super().__init__(f"There is no {kind} '{name}'. {suggestion(name, self.known)}")

    @property
    def details(self) -> dict[str, object]:
        return {"kind": self.kind, "name": self.name, "closest": get_close_matches(self.name, self.known)}


class InvalidRequest(KnownatError):
    code = "invalid_request"


class RequestTooLarge(KnownatError):
    code = "request_too_large"


class SpineError(KnownatError):
    code = "invalid_spine"


class EntityRowsError(KnownatError):
    code = "invalid_entity_rows"


class SourceError(KnownatError):
    code = "source_unreadable"


@dataclass(frozen=True, slots=True, order=True)
class SourceDrift:
    """A column of a source that is not what it was: how it was, how it is (None: it is gone), and the features
    (`view:feature`) that it breaks."""

    source: str
    column: str
    was: str
    now: str | None
    renamed: str | None
    """A new column of the same type, where there is just one."""
    features: tuple[str, ...]

    def __str__(self) -> str:
        renamed = f"; '{self.renamed}' is new, was it renamed?" if self.renamed else ""
        change = f"is gone (it was {self.was}{renamed})" if self.now is None else f"was {self.was} and is {self.now}"
        return f"column '{self.column}' of source '{self.source}' {change}, which breaks {', '.join(self.features)}"


class SourceDrifted(KnownatError):
    """Sources with other columns or types than the views over them were made with. No row was read."""

    code = "source_drifted"

    def __init__(self, drifts: Iterable[SourceDrift]) -> None:
        self.drifts = tuple(sorted(set(drifts)))
        listing = "\n".join(f"  {drift}" for drift in self.drifts)
        super().__init__(
            f"Sources have changed since the views over them were applied, and nothing was read for these:\n{listing}\n"
            "Bring the columns back as they were. If the change is meant to stay, change the views (another column, "
            "a CAST) or give the source another name, and run `knownat apply`: they are then built anew."
        )

    @property
    def details(self) -> dict[str, object]:
        return {
            "drifts": [
                {
                    "source": drift.source, "column": drift.column, "was": drift.was, "now": drift.now,
                    "renamed": drift.renamed, "features": list(drift.features),
                }
                for drift in self.drifts
            ]
        }  # fmt: skip


class QueryError(KnownatError):
    code = "query_refused"


class EngineTimeout(QueryError):
    code = "engine_timeout"

    def __init__(self, seconds: float, *, goes_on: bool) -> None:
        rest = " The engine can not be stopped, and goes on with it until this program ends." if goes_on else ""
        super().__init__(
            f"The engine had not understood it after {seconds:g} seconds. Look for a constant that takes as long to "
            f"compute, or for a query that grows with each of its parts.{rest}"
        )


class ValueRefused(QueryError):
    code = "value_refused"


class NotApplied(KnownatError):
    code = "not_applied"


class NotMaterialized(KnownatError):
    code = "not_materialized"


class NothingLogged(KnownatError):
    code = "nothing_logged"


class LookupInThePast(KnownatError):
    code = "lookup_in_the_past"


class StoreUnavailable(KnownatError):
    code = "store_unavailable"


class StoreRefused(KnownatError):
    code = "store_refused"


class StoreCorrupted(KnownatError):
    code = "store_corrupted"


class ClockBehind(KnownatError):
    """Views were filled as of a moment that has not come by this clock; nothing was changed."""

    code = "clock_behind"


class ProjectsMixed(KnownatError):
    """Two projects would share a place; nothing was written."""

    code = "projects_mixed"


class ConcurrentChange(KnownatError):
    code = "concurrent_change"


class TableDamaged(KnownatError):
    """A table whose log or files differ from what state has recorded of them."""

    code = "table_damaged"

    def __init__(self, table: str, expected: str, found: str, remedy: str) -> None:
        self.table, self.expected, self.found, self.remedy = table, expected, found, remedy
        super().__init__(f"The table {table} is damaged: expected {expected}, found {found}. {remedy}")

    @property
    def details(self) -> dict[str, object]:
        return {"table": self.table, "expected": self.expected, "found": self.found, "remedy": self.remedy}


class DatasetInUse(KnownatError):
    code = "dataset_in_use"

    def __init__(self, dataset: str, users: Iterable[str]) -> None:
        self.dataset, self.users = dataset, tuple(sorted(users))
        super().__init__(
            f"Dataset {dataset[:12]} can not be deleted: {', '.join(self.users)} was trained on it, and a registered "
            "version stays what it is. Delete datasets that no model was trained on."
        )

    @property
    def details(self) -> dict[str, object]:
        return {"dataset": self.dataset, "users": list(self.users)}


class DatasetGone(KnownatError):
    code = "dataset_gone"


class DatasetDiffers(KnownatError):
    code = "dataset_differs"


class UnsupportedOperation(KnownatError):
    code = "unsupported_operation"


def suggestion(name: str, known: Iterable[str]) -> str:
    """A sentence that helps someone who wrote `name` where one of `known` was meant."""
    names = sorted(known)
    if not names:
        return "None exist yet."
    if close := get_close_matches(name, names, n=3):
        return f"Did you mean {' or '.join(repr(match) for match in close)}?"
    listed = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return f"There is: {listed}."
