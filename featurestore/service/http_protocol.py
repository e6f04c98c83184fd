"""HTTP/1.1 within bounds: how large a request's head may be, how many headers it has, and how long it may take.

Uvicorn's fast protocol reads heads of any size for any time. Bodies are bounded by `bodies`, once a route has them.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from featurestore.service.health import DRAINING
from featurestore.service.problems import problem

MOST_HEAD_BYTES = 256 * 1024
"""Request line and headers. Feature references in a query take room: two thousand of them fit."""
MOST_HEADERS = 100
HEAD_SECONDS = 10.0
"""How long a client may take for a head, and for the rest of a body that is answered already."""
LINGER_SECONDS = 1.0
"""How long an idle connection stays open after draining began: a request may be on its way through the network."""

_TOO_LARGE = f"The request line and headers have more than {MOST_HEAD_BYTES:,} bytes, the most that are taken."
_HEADER_BYTES = 4
"""The colon, the space and the end of the line, which the parser does not hand on."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Whatever is wrong with a head is answered with a problem, and the connection is closed."""

    head_seconds = HEAD_SECONDS
    linger_seconds = LINGER_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_bytes = 0
        self._unparsed_bytes = 0
        self._in_head = False
        self._in_message = False
        self._refused = False
        self._draining = False
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own does
        super().connection_made(transport)
        self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_patience_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unset_keepalive_if_required()
        was_in_head = self._in_head
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._answer_without_upgrade()
        except httptools.HttpParserError as error:
            self._refuse(*_reason(error))
        else:
            self._watch(len(data) if was_in_head else 0)

    def eof_received(self) -> bool | None:  # type: ignore[override]  # uvicorn has no answers for those who stop talking
        """A client that has only stopped talking still gets its answer."""
        if self._in_message and not self._refused:
            self._refuse(HTTPStatus.BAD_REQUEST, "The request ended before all of it had arrived.")
            return None
        if not self._is_answering():
            return None
        self._close_after_answer()
        return True

    def shutdown(self) -> None:
        """Draining begins: the answers under way are the last ones on this connection."""
        self._draining = True
        if self._is_answering():
            self.cycle.keep_alive = False
        elif not self._in_head:
            self._unset_keepalive_if_required()
            self._be_patient(self.linger_seconds)

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._head_bytes = self._unparsed_bytes = 0
        self._in_head = self._in_message = True
        self._have_patience_no_more()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + _HEADER_BYTES)
        if len(self.headers) == MOST_HEADERS:
            raise _HeadTooLarge(f"The request has more than {MOST_HEADERS} headers, the most that are taken.")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._draining:
            self.scope["state"][DRAINING] = True
        super().on_headers_complete()
        self._in_head = False
        if self._draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_message and not self._is_answering():
            # The rest of a refused body is read and dropped: closing now would take the answer from its reader.
            self._unset_keepalive_if_required()
            self._be_patient()

    # Patience, and the end of it.

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self, of_a_head: int) -> None:
        """Whoever owes us something has a deadline; whoever owes nothing may keep the connection for a while."""
        if self._in_head:
            # The parser hands a header on once it is whole: until then its bytes are counted as they come.
            self._unparsed_bytes += of_a_head
            if self._unparsed_bytes > MOST_HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _TOO_LARGE)
                return
        is_answering = self._is_answering()
        if self._in_head or (self._in_message and not is_answering):
            if self._patience is None:
                self._be_patient()
        elif is_answering:
            self._have_patience_no_more()
        elif self.cycle is not None and not self._draining:
            self._have_patience_no_more()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _be_patient(self, seconds: float | None = None) -> None:
        self._have_patience_no_more()
        self._patience = self.loop.call_later(seconds or self.head_seconds, self._patience_ends)

    def _have_patience_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _patience_ends(self) -> None:
        self._patience = None
        if self._in_head and not self._refused:
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT,
                f"The request line and headers took more than {self.head_seconds:g} seconds to arrive.",
            )
        else:
            self.transport.close()

    def _count(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > MOST_HEAD_BYTES:
            raise _HeadTooLarge(_TOO_LARGE)

    # Ends.

    def _answer_without_upgrade(self) -> None:
        """HTTP/1.1 is all there is. What follows on the connection is in another protocol, so nothing is read of it."""
        self._have_patience_no_more()
        self._close_after_answer()

    def _close_after_answer(self) -> None:
        self._refused = True
        self.cycle.keep_alive = False

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer with a problem and close; an answer that is under way to an earlier request is finished instead."""
        self._have_patience_no_more()
        is_answering = self._is_answering()
        if is_answering and not self.cycle.more_body:
            self._close_after_answer()
            return
        self._refused = True
        if self._in_head or (is_answering and not self.cycle.response_started):
            self.transport.write(self._problem(status, detail))
        if is_answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._close_gently()

    def _close_gently(self) -> None:
        """What still arrives is dropped for a while: closing with bytes unread takes the answer from its reader."""
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self._be_patient(self.linger_seconds)

    def _problem(self, status: HTTPStatus, detail: str) -> bytes:
        answer = problem(status, status.phrase.lower().replace(" ", "_"), detail)
        headers = [*self.server_state.default_headers, *answer.raw_headers, (b"connection", b"close")]
        lines = [b"%s: %s\r\n" % header for header in headers]
        return b"".join([STATUS_LINE[status], *lines, b"\r\n", bytes(answer.body)])


class _HeadTooLarge(Exception):
    """Leaves the parser's callbacks wrapped in an error of its own."""


def _reason(error: httptools.HttpParserError) -> tuple[HTTPStatus, str]:
    if isinstance(error.__context__, _HeadTooLarge):
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, str(error.__context__)
    return HTTPStatus.BAD_REQUEST, f"This is no request in HTTP/1.1 as it is understood here: {error}"[:200]
