"""Request bodies within bounds: how many bytes, how long they may take to arrive, and JSON that is JSON.

Starlette and FastAPI read any amount for any time, and take `NaN` for a number.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from time import monotonic
from typing import Any, BinaryIO, NoReturn, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from featurestore.errors import InvalidRequest, RequestTooLarge

_MEGABYTE = 1024 * 1024
_HELD_IN_MEMORY = 8 * _MEGABYTE


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may cost before anybody looks at it. Uploads are spines and artifacts."""

    json_bytes: int = 16 * _MEGABYTE
    json_seconds: float = 60.0
    upload_bytes: int = 16 * 1024 * _MEGABYTE
    silent_seconds: float = 30.0
    """The longest pause between two parts of a body."""


class BoundedRoute(APIRoute):
    """A route whose body is read within the limits of `app.state.limits`. Its errors are ours."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        takes_json = self.body_field is not None

        async def bounded(request: Request) -> Response:
            limits: Limits = request.app.state.limits
            if not takes_json:
                return await handle(_BoundedRequest(request, limits, limits.upload_bytes, None))
            strict = _BoundedRequest(request, limits, limits.json_bytes, limits.json_seconds)
            # Read and parsed before FastAPI does, which tells nobody what was wrong.
            await strict.json()
            _check_media_type(request.headers.get("content-type", ""))
            return await handle(strict)

        return bounded


async def json_of(request: Request) -> Any:
    """The JSON that a request brings, within the limits, for routes that read their bodies themselves. Raises
    InvalidRequest, RequestTooLarge."""
    limits: Limits = request.app.state.limits
    strict = _BoundedRequest(request, limits, limits.json_bytes, limits.json_seconds)
    document = await strict.json()
    _check_media_type(request.headers.get("content-type", ""))
    return document


async def received_file(request: Request) -> AsyncIterator[BinaryIO]:
    """The body of an upload as a file, at its beginning; large ones lie on the disk."""
    with SpooledTemporaryFile(max_size=_HELD_IN_MEMORY) as file:
        async for chunk in request.stream():
            file.write(chunk)
        file.seek(0)
        yield cast(BinaryIO, file)


class _BoundedRequest(Request):
    def __init__(self, request: Request, limits: Limits, most_bytes: int, seconds: float | None) -> None:
        announced = request.headers.get("content-length", "0")
        if announced.isdigit() and len(announced) < 20 and int(announced) > most_bytes:
            _refuse(most_bytes)
        super().__init__(request.scope, _bounded(request.receive, limits.silent_seconds, most_bytes, seconds))

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = strict_json(await self.body())
        return self._json


def strict_json(body: bytes) -> Any:
    """What the bytes say in JSON proper. Raises InvalidRequest."""
    try:
        return json.loads(body, parse_constant=_no_constant)
    except RecursionError as error:
        raise InvalidRequest("The body is JSON that is nested too deeply.") from error
    except ValueError as error:
        raise InvalidRequest(f"The body is not JSON: {error}"[:500]) from error


def _check_media_type(content_type: str) -> None:
    """FastAPI takes anything else for text, and says that it is no dictionary."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not re.fullmatch(r"application/.+\+json", media_type):
        found = f"says it is {media_type[:80]!r}" if media_type else "does not say what it is"
        raise InvalidRequest(f"The body {found}: send Content-Type: application/json")


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f'{text} is not a JSON value: write it as the text "{text}"')


def _bounded(receive: Receive, silent_seconds: float, most_bytes: int, seconds: float | None) -> Receive:
    received = 0
    deadline = None if seconds is None else monotonic() + seconds

    async def bounded() -> Message:
        nonlocal received
        patience = silent_seconds if deadline is None else min(silent_seconds, deadline - monotonic())
        try:
            message = await asyncio.wait_for(receive(), patience)
        except TimeoutError as error:
            raise HTTPException(408, "The request's body took too long to arrive.") from error
        received += len(message.get("body", b""))
        if received > most_bytes:
            _refuse(most_bytes)
        return message

    return bounded


def _refuse(most_bytes: int) -> NoReturn:
    raise RequestTooLarge(
        f"The request's body has more than {most_bytes:,} bytes, the most that are taken here: send it in parts."
    )
