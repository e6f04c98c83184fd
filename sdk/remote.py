"""The transport over HTTP: every question as a request, every problem as the error it was on the server."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, assert_never
from urllib.parse import quote

import httpx
import pyarrow as pa

from featurestore.errors import KnownatError, StoreCorrupted
from sdk import log_requests, requests
from sdk.documents import online_result
from sdk.entities import entities_json
from sdk.errors import ServerFailed, ServerUnreachable, restored_error
from sdk.results import OnlineResult

CONNECT_SECONDS = 5.0
SEND_SECONDS = 60.0
LOOKUP_SECONDS = 30.0
PUSH_SECONDS = 120.0
"""One that comes too late is pushed again: its key makes that harmless."""
WORK_SECONDS = 3600.0
"""Pulls, rebuilds and audits take as long as they take."""

_ARROW_STREAM = "application/vnd.apache.arrow.stream"
# The server keeps idle connections for 75 seconds: one that is used again is still open.
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30.0)


@dataclass(frozen=True, slots=True)
class _Call:
    """A request to be sent. `document` goes as JSON, `content` as it is."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    document: Mapping[str, object] | None = None
    content: bytes | BinaryIO | None = field(default=None, repr=False)
    media_type: str | None = None
    """What `content` is, where the server has to be told."""
    seconds: float = WORK_SECONDS
    """How long the server may be silent before the answer."""


class RemoteTransport:
    """A Transport to the server at `address`. Threads may share one."""

    def __init__(self, address: str, *, lookup_seconds: float = LOOKUP_SECONDS) -> None:
        self._address = address.rstrip("/")
        self._lookup_seconds = lookup_seconds
        self._client = httpx.Client(base_url=self._address, limits=_LIMITS)
        self._async_client: tuple[asyncio.AbstractEventLoop, httpx.AsyncClient] | None = None

    def online(self, request: requests.Online) -> OnlineResult:
        return online_result(self._sent(_online(request, self._lookup_seconds)))

    async def online_async(self, request: requests.Online) -> OnlineResult:
        client = self._client_of_this_loop()
        with _our_errors(self._address):
            response = await client.request(**_arguments(_online(request, self._lookup_seconds)))
        return online_result(_document(response))

    async def push_async(self, question: requests.Push) -> object:
        client = self._client_of_this_loop()
        with _our_errors(self._address):
            response = await client.request(**_arguments(_push(question)))
        return _document(response)

    def ask(self, question: requests.Question) -> object:
        if isinstance(question, requests.RegisterModel):
            return self._register(question)
        if isinstance(question, requests.Push):
            return self._sent(_push(question))
        return self._sent(_call(question))

    def download(self, wanted: requests.Download, into: BinaryIO) -> None:
        match wanted:
            case requests.DatasetFile(dataset):
                path = f"/v1/datasets/{_segment(dataset)}/file"
            case log_requests.LoggedSpine(logged):
                path = str(httpx.URL("/v1/serving-log", params=_logged(logged)))
            case requests.ArtifactFile(reference):
                path = f"{_version_path(reference)}/artifact"
        digest = hashlib.sha256()
        with _our_errors(self._address), self._client.stream("GET", path, timeout=_timeout(WORK_SECONDS)) as response:
            if response.is_error:
                response.read()
                raise _error(response)
            for chunk in response.iter_bytes():
                digest.update(chunk)
                into.write(chunk)
        if response.headers.get("repr-digest") != f"sha-256=:{b64encode(digest.digest()).decode('ascii')}:":
            raise StoreCorrupted(f"{self._address}{path} did not arrive as it was stored: ask for it again.")

    def close(self) -> None:
        self._client.close()

    async def aclose(self) -> None:
        if self._async_client is not None:
            await self._async_client[1].aclose()
            self._async_client = None
        self.close()

    def _client_of_this_loop(self) -> httpx.AsyncClient:
        """Connections belong to the event loop they were opened in."""
        loop = asyncio.get_running_loop()
        if self._async_client is None or self._async_client[0] is not loop:
            self._async_client = (loop, httpx.AsyncClient(base_url=self._address, limits=_LIMITS))
        return self._async_client[1]

    def _sent(self, call: _Call) -> Any:
        with _our_errors(self._address):
            response = self._client.request(**_arguments(call))
        return _document(response)

    def _register(self, question: requests.RegisterModel) -> Any:
        """The artifact first, the record last: after a failure, the same call finishes the job."""
        if isinstance(question.artifact, Path):
            with question.artifact.open("rb") as content:
                stored = self._sent(_Call("PUT", "/v1/artifacts", content=content))
        else:
            stored = self._sent(_Call("PUT", "/v1/artifacts", content=question.artifact))
        document = {**question.particulars, "sha256": stored["sha256"]}
        document["metrics"] = _metrics(question.particulars.get("metrics", {}))
        return self._sent(_Call("POST", f"/v1/models/{_segment(question.name)}/versions", document=document))


def _online(request: requests.Online, seconds: float) -> _Call:
    choice = request.choice
    entities = entities_json(request.entities)
    document: dict[str, object] = {"include": ["statuses", "event_timestamps"], "entities": entities}
    for name, value in (("service", choice.service), ("features", choice.features), ("model", choice.model)):
        if value is not None:
            document[name] = value
    if request.at is not None:
        document["at"] = request.at.isoformat()
    return _Call("POST", "/v1/online", document=document, seconds=seconds)


def _call(  # noqa: C901, PLR0911 - one request for each question
    question: requests.FeatureQuestion | requests.ModelQuestion,
) -> _Call:
    match question:
        case requests.PullTrainingSet():
            return _pull(question)
        case requests.ExplainKnown(choice, spine, timestamp):
            query = (("timestamp", timestamp), *_chosen(choice))
            return _Call("POST", "/v1/training-sets/explain-known", query, content=_arrow_stream(spine))
        case requests.ListDatasets():
            return _Call("GET", "/v1/datasets")
        case requests.ReadDataset(dataset):
            return _Call("GET", f"/v1/datasets/{_segment(dataset)}")
        case requests.Rebuild(dataset):
            return _Call("POST", f"/v1/datasets/{_segment(dataset)}/rebuild")
        case requests.Audit(view, sample):
            return _Call("POST", f"/v1/views/{_segment(view)}/audit", (("sample", str(sample)),))
        case requests.Audits():
            return _Call("POST", "/v1/audits", _audited(question))
        case log_requests.Skew(logged, examples):
            return _Call("POST", "/v1/skew", (*_logged(logged), ("examples", str(examples))))
        case requests.Lineage(urn, down):
            return _Call("GET", "/v1/lineage", (("urn", urn), ("down", str(down).lower())))
        case requests.Status():
            return _Call("GET", "/v1/status")
        case requests.Catalog():
            return _Call("GET", "/v1/catalog")
        case _:
            return _model_call(question)


def _model_call(question: requests.ModelQuestion) -> _Call:
    match question:
        case requests.ListModels():
            return _Call("GET", "/v1/models")
        case requests.ReadModel(name):
            return _Call("GET", f"/v1/models/{_segment(name)}")
        case requests.ReadVersion(reference):
            return _Call("GET", _version_path(reference))
        case requests.SetAlias(model, alias, version):
            path = f"/v1/models/{_segment(model)}/aliases/{_segment(alias)}"
            return _Call("PUT", path, document={"version": version})
        case requests.DeleteAlias(model, alias):
            return _Call("DELETE", f"/v1/models/{_segment(model)}/aliases/{_segment(alias)}")
        case _:
            assert_never(question)


def _audited(question: requests.Audits) -> tuple[tuple[str, str], ...]:
    """An audit's choice as a query."""
    named = [("service", question.service), ("model", question.model)]
    chosen = [(name, value) for name, value in named if value is not None]
    return (*(("view", view) for view in question.views or ()), *chosen, ("sample", str(question.sample)))


def _pull(question: requests.PullTrainingSet) -> _Call:
    query = [("timestamp", question.timestamp), ("keep_spine", str(question.keep_spine).lower())]
    query += _chosen(question.choice)
    query += [("label", question.label)] if question.label is not None else []
    query += [("as_served", "true")] if question.as_served else []
    return _Call("POST", "/v1/training-sets", tuple(query), content=_arrow_stream(question.spine))


def _push(question: requests.Push) -> _Call:
    path, query = f"/v1/views/{_segment(question.view)}/push", (("key", question.key),)
    if isinstance(question.rows, pa.Table):
        content = _arrow_stream(question.rows)
        return _Call("POST", path, query, content=content, media_type=_ARROW_STREAM, seconds=PUSH_SECONDS)
    document = {"rows": entities_json(question.rows)}
    return _Call("POST", path, query, document=document, seconds=PUSH_SECONDS)


def _chosen(choice: requests.Choice) -> list[tuple[str, str]]:
    service = [("service", choice.service)] if choice.service is not None else []
    return [*service, *(("features", reference) for reference in choice.features or ())]


def _logged(logged: log_requests.Logged) -> tuple[tuple[str, str], ...]:
    since = None if logged.since is None else logged.since.isoformat()
    asked = (("service", logged.service), ("model", logged.model), ("since", since))
    return tuple((name, value) for name, value in asked if value is not None)


def _arrow_stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _version_path(reference: str) -> str:
    model, _, target = reference.rpartition("@")
    return f"/v1/models/{_segment(model)}/versions/{_segment(target)}"


def _segment(text: str) -> str:
    return quote(text, safe="")


def _metrics(metrics: object) -> object:
    """Numbers that JSON does not know, spelled out."""
    if not isinstance(metrics, Mapping):
        return metrics
    return {
        name: ("NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity")
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for name, value in metrics.items()
    }


def _arguments(call: _Call) -> dict[str, Any]:
    """The call as httpx takes it."""
    headers = {"accept": "application/json"}
    content: Any = call.content
    if call.media_type is not None:
        headers["content-type"] = call.media_type
    if call.document is not None:
        headers["content-type"] = "application/json"
        content = json.dumps(call.document, allow_nan=False)
    return {
        "method": call.method,
        "url": call.path,
        "params": call.query,
        "content": content,
        "headers": headers,
        "timeout": _timeout(call.seconds),
    }


def _timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(SEND_SECONDS, connect=CONNECT_SECONDS, read=seconds)


@contextmanager
def _our_errors(address: str) -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException as error:
        raise ServerUnreachable(f"{address} did not answer in time ({type(error).__name__}). Try again.") from error
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise ServerUnreachable(f"{address} can not be reached: {error}. Is `knownat serve` running there?") from error


def _document(response: httpx.Response) -> Any:
    if response.is_error:
        raise _error(response)
    if not response.is_success:
        raise ServerFailed(f"{response.url} answered {response.status_code}: is it a Knownat server?")
    if not response.content:
        return None
    try:
        return json.loads(response.content)
    except ValueError as error:
        raise ServerFailed(f"{response.url} answered something that is not JSON: is it a Knownat server?") from error


def _error(response: httpx.Response) -> KnownatError:
    """The error of a problem, as the class it had on the server."""
    try:
        problem = json.loads(response.content)
        details = problem.get("details")
        told = restored_error(problem["code"], problem["detail"], details if isinstance(details, dict) else {})
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError, AttributeError):
        told, detail = None, response.text[:500]
    return told or ServerFailed(f"{response.url} answered {response.status_code}: {detail}")
