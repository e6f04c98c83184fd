"""What state says of a view, asked once for as long as one process works on it alone and fills nothing."""

from __future__ import annotations

from datetime import datetime

from featurestore.ports.state import (
    Coverage,
    CoverageState,
    FilledInterval,
    Materialization,
    MaterializationState,
)


class CoverageOnce:
    """A CoverageState that remembers what it was told. Others may fill meanwhile, as they may after any question: what
    is then said of an older fill is refused."""

    def __init__(self, state: CoverageState) -> None:
        self._state = state
        self._told: dict[str, Coverage] = {}

    def coverage(self, table: str) -> Coverage:
        if table not in self._told:
            self._told[table] = self._state.coverage(table)
        return self._told[table]

    def record(self, table: str, fill: FilledInterval) -> None:
        self._told.pop(table, None)
        self._state.record(table, fill)

    def replace(self, table: str, fill: FilledInterval, by: FilledInterval) -> bool:
        before = self._told.pop(table, None)
        done = self._state.replace(table, fill, by)
        if done and before is not None:
            self._told[table] = Coverage(table, tuple(by if one == fill else one for one in before.fills))
        return done

    def cut(self, table: str, end: datetime, at: datetime) -> None:
        self._told.pop(table, None)
        self._state.cut(table, end, at)

    def forget(self, table: str) -> None:
        self._told.pop(table, None)
        self._state.forget(table)


class ProgressOnce:
    """A MaterializationState that remembers what it was told."""

    def __init__(self, state: MaterializationState) -> None:
        self._state = state
        self._told: dict[tuple[str, str], Materialization | None] = {}

    def last(self, store: str, table: str) -> Materialization | None:
        if (store, table) not in self._told:
            self._told[store, table] = self._state.last(store, table)
        return self._told[store, table]

    def record(self, store: str, materialization: Materialization, *, after: Materialization | None) -> None:
        self._told.pop((store, materialization.table), None)
        self._state.record(store, materialization, after=after)

    def all(self, store: str) -> tuple[Materialization, ...]:
        return self._state.all(store)

    def forget(self, store: str, table: str) -> None:
        self._told.pop((store, table), None)
        self._state.forget(store, table)
