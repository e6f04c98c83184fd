"""A small project, built once and copied for each test, and a client of it over each transport."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from featurestore.service.app import ServiceOptions
from featurestore.service.bodies import Limits
from featurestore.service.http_protocol import BoundedProtocol
from registry.serve import configuration
from registry.service.app import create_app
from registry.wiring import open_project as wire_folder
from registry.wiring import served_project
from sdk import Client, connect, open_project
from tests.small_project import SmallProject, small_project


@pytest.fixture(scope="session")
def filled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project, applied and materialized. Copy it; never change it."""
    project = small_project(tmp_path_factory.mktemp("small") / "shops")
    apply_all(project.folder)
    return project.folder


@pytest.fixture
def project(filled_folder: Path, tmp_path: Path) -> SmallProject:
    return SmallProject(shutil.copytree(filled_folder, tmp_path / "shops"))


@pytest.fixture(params=["path", "http"])
def client(request: pytest.FixtureRequest, project: SmallProject) -> Iterator[Client]:
    """The same project, in this process and behind a real server."""
    with connected(project.folder, request.param) as connection:
        yield connection


@pytest.fixture
def address(project: SmallProject) -> Iterator[str]:
    with served(project.folder) as found:
        yield found


@contextmanager
def connected(folder: Path, mode: str) -> Iterator[Client]:
    if mode == "path":
        with connect(folder) as client:
            yield client
    else:
        with served(folder) as address, connect(address) as client:
            yield client


@contextmanager
def served(
    folder: Path, limits: Limits | None = None, protocol: type[BoundedProtocol] = BoundedProtocol
) -> Iterator[str]:
    """The address of a server of the project in `folder`, as `knownat serve` runs it."""
    wired = wire_folder(folder)
    listening = socket.create_server(("127.0.0.1", 0))
    settings = configuration(
        create_app(served_project(wired), ServiceOptions(limits=limits or Limits())), "127.0.0.1", 0
    )
    settings.http = protocol
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        wired.close()


def apply_all(folder: Path) -> None:
    """What `knownat apply` and `knownat materialize` do."""
    with open_project(folder) as project:
        for _ in project.apply():
            pass
        for _ in project.materialize():
            pass
