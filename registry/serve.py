"""Serve a project over HTTP: the composition root of the service, apart from `wiring` so that only serving loads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import uvicorn

from featurestore.service.http_protocol import BoundedProtocol
from registry.service.app import create_app
from registry.wiring import open_project, served_project

KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep an idle connection, so that none is closed while a request is on its way."""
SHUTDOWN_SECONDS = 20


def serve(
    folder: Path, *, host: str = "127.0.0.1", port: int = 8765, settings: Mapping[str, object] | None = None
) -> None:
    """Serve the project in `folder` until the process is told to stop; requests under way are then finished.

    Raises SettingsError.
    """
    project = open_project(folder, settings)
    try:
        uvicorn.Server(configuration(create_app(served_project(project)), host, port)).run()
    finally:
        project.close()


def configuration(app: object, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn's own type of an app is narrower than FastAPI
        host=host,
        port=port,
        http=BoundedProtocol,
        interface="asgi3",
        proxy_headers=False,  # nothing here asks who the client is
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        server_header=False,
        access_log=False,  # a line for each lookup would cost more than many a lookup
        ws="none",
        log_level="info",
    )
