"""Request bodies within bounds: how many bytes, how long they may take to arrive, and JSON that is JSON.

Starlette and FastAPI read any amount for any time, take `NaN` for a number, and keep the last of two equal names.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from time import monotonic
from typing import Any, BinaryIO, NoReturn, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from featurestore.errors import InvalidRequest, RequestTooLarge
from featurestore.service.arrow_bodies import StreamBounds

_MEGABYTE = 1024 * 1024
_HELD_IN_MEMORY = 8 * _MEGABYTE

MOST_LEVELS = 16
"""Of lists and objects, one in the other."""
MOST_CONTAINERS = 250_000
"""Lists and objects in one body, and `MOST_ITEMS` what they hold: three bytes of JSON may take 60 of memory."""
MOST_ITEMS = 1_000_000
_CONTAINERS = (dict, list)
_PARSED_AT_ONCE = 64 * 1024
"""Bytes that are parsed between two other requests; more are parsed beside them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may cost before anybody looks at it. Uploads are spines and artifacts."""

    json_bytes: int = 16 * _MEGABYTE
    json_seconds: float = 60.0
    upload_bytes: int = 16 * 1024 * _MEGABYTE
    silent_seconds: float = 30.0
    """The longest pause between two parts of a body."""
    spine: StreamBounds = field(default_factory=lambda: StreamBounds(rows=20_000_000, bytes=1024 * _MEGABYTE))
    pushed: StreamBounds = field(default_factory=lambda: StreamBounds(rows=1_000_000, bytes=256 * _MEGABYTE))
    """Rows that come as an Arrow stream. How many may be pushed, is told by whoever takes them, in this process too."""


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
            body = await self.body()
            at_once = len(body) <= _PARSED_AT_ONCE
            self._json = strict_json(body) if at_once else await run_in_threadpool(strict_json, body)
        return self._json


def strict_json(body: bytes) -> Any:
    """What the bytes say in JSON proper. Raises InvalidRequest."""
    containers = body.count(b"{") + body.count(b"[")
    _check_count("objects and lists", containers, MOST_CONTAINERS)
    _check_count("values", body.count(b","), MOST_ITEMS)
    try:
        value = json.loads(body, parse_constant=_no_constant, object_pairs_hook=_object)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise InvalidRequest(f"The body is not JSON: {error}"[:500]) from error
    if containers > MOST_LEVELS and _is_deep(value):
        raise _too_deep()
    return value


def _check_count(what: str, found: int, most: int) -> None:
    """Counted by their brackets and commas, those within texts too: that costs nothing, and comes before parsing."""
    if found > most:
        raise InvalidRequest(f"The body has {found:,} {what}, and {most:,} is the most: send it in parts.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        name = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"an object has the name {name[:80]!r} twice")
    return found


def _is_deep(value: Any) -> bool:
    """Whether lists and objects lie in each other deeper than they may. Level by level: recursion would be the harm."""
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _CONTAINERS
        ]
        if not level:
            return False
    return True


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"The body is JSON that is nested too deeply: {MOST_LEVELS} levels is the most.")


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
