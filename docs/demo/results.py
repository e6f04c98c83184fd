"""What finished steps came to, kept in a file, so that a second run can say so instead of doing them again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

Facts = TypeVar("Facts")
Facts_co = TypeVar("Facts_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Facts_co]):
    """What a step came to, and how long it took when it was done. `already`: that was in an earlier run."""

    facts: Facts_co
    seconds: float
    already: bool = False


@dataclass(frozen=True, slots=True)
class _Kept:
    key: str
    seconds: float
    facts: dict[str, Any]


class Results:
    """The outcomes of a project's steps, in the file `path`. A step is kept when it is finished, never before."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, step: str, key: str, kind: type[Facts]) -> Outcome[Facts] | None:
        """The step's outcome, if it was done with this key; None too when it was kept in another layout."""
        kept = self._read().get(step)
        if kept is None or kept.key != key:
            return None
        try:
            return Outcome(msgspec.convert(kept.facts, kind), kept.seconds, already=True)
        except msgspec.ValidationError:
            return None

    def keep(self, step: str, key: str, outcome: Outcome[Any]) -> None:
        """`key` says what the outcome follows from: with another key, the step is to be done again."""
        steps = self._read() | {step: _Kept(key, outcome.seconds, msgspec.to_builtins(outcome.facts))}
        unfinished = self._path.with_suffix(".part")
        unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(steps), indent=2))
        unfinished.replace(self._path)

    def _read(self) -> dict[str, _Kept]:
        if not self._path.exists():
            return {}
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, _Kept])
        except (msgspec.ValidationError, msgspec.DecodeError):
            return {}  # of another release: everything that is done can be asked for again
