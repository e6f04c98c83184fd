"""What the service is given: the ports of a wired feature store, and the lookups that were prepared for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakKeyDictionary

from featurestore.graph.lineage import Direction, LineageTree
from featurestore.operations.log_answers import AnswerLog
from featurestore.operations.prepared_lookups import PreparedLookups
from featurestore.operations.sides import OfflineSide, OnlineSide
from featurestore.operations.training_set import Archive
from featurestore.ports.frames import FrameStore
from featurestore.ports.online_store import AsyncOnlineReader
from featurestore.ports.state import CatalogState

ReadLineage = Callable[[str, Direction], LineageTree]
"""The storey above answers with its models and aliases."""


class LoopReaders:
    """Readers of the online store for event loops, one for each: connections belong to the loop they were opened in."""

    def __init__(self, open_reader: Callable[[], AsyncOnlineReader]) -> None:
        self._open = open_reader
        self._readers: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOnlineReader] = WeakKeyDictionary()

    def of_this_loop(self) -> AsyncOnlineReader:
        loop = asyncio.get_running_loop()
        reader = self._readers.get(loop)
        if reader is None:
            reader = self._readers[loop] = self._open()
        return reader

    async def close(self) -> None:
        """Close what was opened in the running loop."""
        if reader := self._readers.pop(asyncio.get_running_loop(), None):
            await reader.close()


@dataclass(frozen=True, slots=True)
class ServedFeatures:
    """A feature store as it is served. Threads share it."""

    catalog: CatalogState
    offline: OfflineSide
    online: OnlineSide
    archive: Archive
    frames: FrameStore
    lookups: PreparedLookups
    readers: LoopReaders
    lineage: ReadLineage
    clock: Callable[[], datetime]
    serving_log: AnswerLog
