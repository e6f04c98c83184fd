"""Whether the process lives, and whether it can answer lookups."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from featurestore.errors import KnownatError
from featurestore.ports.online_store import OnlineTable, TableRead
from featurestore.ports.state import CatalogState
from featurestore.service.problems import OBJECT, StrictJson, problem
from featurestore.service.served import ServedFeatures

DRAINING = "draining"
"""In a request's `state` when the server takes no new connections and this one ends with the answer."""

_PROBE = TableRead(OnlineTable("health", (), ()), [])
"""A table that is never filled: asking for it is a round trip all the same."""
_STATE_SECONDS = 1.0
"""What the state may take to answer. Lookups do without it, so it is told, and nobody waits for it."""


def health_routes(served: ServedFeatures) -> APIRouter:
    router = APIRouter(prefix="/health", tags=["health"], default_response_class=StrictJson)
    state = _StateProbe(served.catalog)

    @router.get("/live", responses=OBJECT)
    async def live() -> StrictJson:
        """The process answers."""
        return StrictJson({"status": "live"})

    @router.get("/ready", responses=OBJECT)
    async def ready(request: Request) -> Response:
        """Lookups can be answered: the online store answers and something is applied. Otherwise a problem says why.

        A state that is unreachable is told, and lookups go on without it.
        """
        if request.scope.get("state", {}).get(DRAINING):
            return problem(503, "draining", "The server is stopping: requests under way are finished, ask another one.")
        await run_in_threadpool(served.online.store.read, [_PROBE])
        reachable, serial = await state.serial()
        if reachable and serial is None:
            return problem(503, "not_applied", "Nothing has been applied yet: run `knownat apply`.")
        return StrictJson({"status": "ready", "applied": serial, "state": "reachable" if reachable else "unreachable"})

    return router


class _StateProbe:
    """Asks the state at most one question at a time: one that does not answer holds one thread and no more."""

    def __init__(self, catalog: CatalogState) -> None:
        self._catalog = catalog
        self._asked: Future[tuple[bool, int | None]] | None = None

    async def serial(self) -> tuple[bool, int | None]:
        """Whether the state answers in time, and then the applied graph's serial number."""
        if self._asked is None or self._asked.done():
            self._asked = Future()
            # A daemon, which does not put off the end of the process.
            Thread(target=self._ask, args=[self._asked], daemon=True).start()
        answered, _ = await asyncio.wait([asyncio.wrap_future(self._asked)], timeout=_STATE_SECONDS)
        return answered.pop().result() if answered else (False, None)

    def _ask(self, asked: Future[tuple[bool, int | None]]) -> None:
        try:
            with suppress(KnownatError):
                asked.set_result((True, self._catalog.serial()))
        finally:
            if not asked.done():
                asked.set_result((False, None))
