"""An online store that is no network's end, for event loops: read in a thread, because a disk may be slow."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from featurestore.ports.online_store import OnlineReader, TableRead, TableRows


class ThreadedReader:
    """An AsyncOnlineReader over a store that threads may share. Closing the store stays with its owner."""

    def __init__(self, store: OnlineReader) -> None:
        self._store = store

    async def read(self, reads: Sequence[TableRead]) -> list[TableRows]:
        return await asyncio.to_thread(self._store.read, reads)

    async def close(self) -> None:
        """There is nothing of its own to close."""
