"""When a process says that it is ready: what lookups need, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from featurestore.errors import StoreUnavailable
from registry.service.app import create_app
from registry.service.served import ServedProject
from registry.wiring import WiredProject, served_project
from registry.wiring import open_project as wire_folder
from tests.service.test_app import problem, send


@pytest.fixture(scope="module")
def wired(filled_folder: Path) -> Iterator[WiredProject]:
    project = wire_folder(filled_folder)
    yield project
    project.close()


class AwayCatalog:
    """A state that can not be reached."""

    def serial(self) -> int:
        raise StoreUnavailable("The database does not answer.")


class HungCatalog:
    """A state that answers when it is allowed to."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked = 0

    def serial(self) -> int:
        self.asked += 1
        self.released.wait(30)
        return 1


class EmptyCatalog:
    """A state in which nothing is applied."""

    def serial(self) -> None:
        return None


def with_catalog(wired: WiredProject, catalog: Any) -> FastAPI:
    whole = served_project(wired)
    return create_app(ServedProject(replace(whole.features, catalog=catalog), whole.registry))


def test_a_state_that_is_away_takes_no_process_out_of_rotation(wired: WiredProject) -> None:
    response = send(with_catalog(wired, AwayCatalog()), "GET", "/health/ready")

    assert (response.status_code, response.json()["state"]) == (200, "unreachable")


def test_a_state_that_hangs_is_told_in_time_and_holds_one_thread(wired: WiredProject) -> None:
    hung = HungCatalog()
    app = with_catalog(wired, hung)

    async def asked_often() -> list[str]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://knownat") as client:
            answers = [(await client.get("/health/ready", timeout=10)).json() for _ in range(3)]
        hung.released.set()
        return [answer["state"] for answer in answers]

    assert asyncio.run(asked_often()) == ["unreachable"] * 3
    assert hung.asked == 1


def test_a_process_with_nothing_applied_is_not_ready(wired: WiredProject) -> None:
    problem(send(with_catalog(wired, EmptyCatalog()), "GET", "/health/ready"), 503, "not_applied")
