"""State of a process that is killed in the middle of a fill."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from featurestore.ports.state import Coverage, CoverageState, FilledInterval


class Killed(Exception):
    """The process ends here."""


@dataclass
class Forgetful:
    """A CoverageState of a process that is killed before it can record."""

    state: CoverageState

    def coverage(self, table: str) -> Coverage:
        return self.state.coverage(table)

    def record(self, table: str, fill: FilledInterval) -> None:
        raise Killed(table, fill)

    def replace(self, table: str, fill: FilledInterval, by: FilledInterval) -> bool:
        return self.state.replace(table, fill, by)

    def cut(self, table: str, end: datetime, at: datetime) -> None:
        self.state.cut(table, end, at)

    def forget(self, table: str) -> None:
        self.state.forget(table)
