"""Errors as `application/problem+json` (RFC 9457), with our stable `code` and the error's details beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from featurestore.errors import InvalidRequest, KnownatError

MEDIA_TYPE = "application/problem+json"
MOST_PROBLEMS = 20
MOST_PROBLEM_BYTES = 16 * 1024
_MOST_DETAIL_BYTES = 8_000
_MOST_DETAILS_BYTES = 7_000

ErrorStatuses = Mapping[type[KnownatError], HTTPStatus]
Responses = dict[int | str, dict[str, Any]]


class StrictJson(JSONResponse):
    """A response in JSON proper: a NaN that was forgotten is an error here, not at the client."""

    def render(self, content: Any) -> bytes:
        # Escaped to ASCII, because half of a surrogate pair, quoted in an error, has no bytes of its own.
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class Problem(StrictJson):
    media_type = MEDIA_TYPE


class ProblemBody(BaseModel):
    """What every error is answered with (RFC 9457)."""

    type: str = Field(description="`urn:knownat:error:` and the code.")
    title: str
    status: int
    code: str = Field(description="Stable, for programs: `unknown_name`, `invalid_request` and so on.")
    detail: str = Field(description="What was expected, what was found, and what to try.")
    details: dict[str, Any] = Field(description="Facts beside the text; which, depends on the code.")


PROBLEM_RESPONSES: Responses = {
    "default": {
        "description": "A problem, with a stable code.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemBody.__name__}"}}},
    }
}
"""For the routes' description. FastAPI would put a model under the media type of the route's success."""

OBJECT: Responses = {200: {"model": dict[str, Any]}}
CREATED_OBJECT: Responses = {201: {"model": dict[str, Any]}}
OBJECTS: Responses = {200: {"model": list[dict[str, Any]]}}
"""What routes answer whose documents are described in words alone: an object, or a list of them."""


def binary(media_type: str) -> Responses:
    """What a route answers that streams bytes."""
    return {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}


def add_problems(app: FastAPI, statuses: ErrorStatuses, observe: Callable[[KnownatError], None]) -> None:
    """Answer every error with a problem; `statuses` says which HTTP status each class has. `observe` hears of ours."""

    def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, KnownatError)  # noqa: S101 - what the handler is registered for
        observe(error)
        return problem(_status_of(error, statuses), error.code, error.message, error.details)

    def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        told = _validation_error(error.errors())
        return problem(_status_of(told, statuses), told.code, told.message)

    handlers: dict[type[Exception], Callable[[Request, Exception], Response]] = {
        KnownatError: refused,
        RequestValidationError: invalid,
        HTTPException: _http_problem,
        ClientDisconnect: lambda _, __: Response(status_code=HTTPStatus.BAD_REQUEST),
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def problem(status: int, code: str, detail: str, details: Mapping[str, object] | None = None) -> Problem:
    """Within `MOST_PROBLEM_BYTES`: `details` that are too long to send are left out; the text is cut."""
    few = dict(details or {})
    if len(json.dumps(few)) > _MOST_DETAILS_BYTES:
        few = {}
    content = {
        "type": f"urn:knownat:error:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": int(status),
        "code": code,
        "detail": _cut(detail),
        "details": few,
    }
    return Problem(content, status_code=int(status))


def _cut(text: str) -> str:
    """As much of it as may be sent: an error may quote the request, and a character may take twelve bytes."""
    shown = text[:_MOST_DETAIL_BYTES]
    while len(json.dumps(shown)) > _MOST_DETAIL_BYTES:
        shown = shown[: len(shown) // 2]
    return shown if shown == text else f"{shown} …"


def _status_of(error: KnownatError, statuses: ErrorStatuses) -> HTTPStatus:
    """The status of the error's class, or of the closest class above it."""
    return next((statuses[kind] for kind in type(error).__mro__ if kind in statuses), HTTPStatus.INTERNAL_SERVER_ERROR)


def _validation_error(problems: Sequence[Any]) -> InvalidRequest:
    """Some of what is wrong, never the request's own words: they may be ten megabytes."""
    lines = [
        f"  {'.'.join(str(part)[:40] for part in one['loc'][:6])}: {str(one['msg'])[:120]}"
        for one in problems[:MOST_PROBLEMS]
    ]
    if len(problems) > MOST_PROBLEMS:
        lines.append(f"  and {len(problems) - MOST_PROBLEMS} more")
    return InvalidRequest("\n".join(["The request is not as it should be:", *lines]))


def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    phrase = HTTPStatus(error.status_code).phrase
    response = problem(error.status_code, phrase.lower().replace(" ", "_").replace("-", "_"), str(error.detail))
    response.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and (allowed := _methods(request)):
        response.headers["allow"] = allowed
    return response


def _methods(request: Request) -> str:
    """What may be asked of the path. The router names the methods of the first route that has it, and of no other."""
    template = getattr(request.scope.get("route"), "path", "")
    return ", ".join(sorted(method.upper() for method in request.app.openapi()["paths"].get(template, ())))


def _unexpected(_: Request, __: Exception) -> Response:
    """The error itself goes to the server's log and to nobody else."""
    return problem(500, "internal_error", "The server failed in a way nobody foresaw. Its log has the details.")
