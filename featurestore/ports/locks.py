"""Locks between the processes of a project: who works on what, told to whoever comes second."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Locks(Protocol):
    """A lock ends with the process that holds it, however that ends. What is written without one stays correct, since
    stores refuse conflicting writes by themselves: locks only keep processes from doing the same work twice."""

    def hold(self, name: str) -> AbstractContextManager[str | None]:
        """Hold the lock for as long as the block runs, without waiting. Gives None when it is ours, and otherwise who
        has it, in words."""
        ...
