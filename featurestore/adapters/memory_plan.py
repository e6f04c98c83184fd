"""What planning found out before, in this process: for tests and for projects without a disk."""

from __future__ import annotations

from featurestore.ports.plan_memory import Remembered


class MemoryPlanMemory:
    def __init__(self) -> None:
        self._remembered = Remembered()

    def recall(self) -> Remembered:
        return self._remembered

    def keep(self, remembered: Remembered) -> None:
        self._remembered = remembered
