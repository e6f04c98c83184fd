"""Every request measured, as a plain ASGI middleware: it sees messages pass and holds none of them."""

from __future__ import annotations

from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from featurestore.service.metrics import NO_ROUTE, ServiceMetrics


class Measured:
    """The app within, each of its requests told to `metrics`."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500  # what is answered when the app raises

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.begins()
        began = perf_counter()
        try:
            await self._app(scope, receive, watched)
        finally:
            # The router leaves the route it found, whose template is a name of ours; the path is the client's.
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self._metrics.ends(route, scope["method"], status, perf_counter() - began)
