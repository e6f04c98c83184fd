"""How a client reaches a project: in this process or over HTTP, with the same answers."""

from __future__ import annotations

from typing import BinaryIO, Protocol, TypeAlias

from sdk.requests import Download, Online, Push, Question
from sdk.results import OnlineResult

Document: TypeAlias = dict[str, object]


class Transport(Protocol):
    """Every method raises KnownatError, of the same class whatever the transport. Threads may share one."""

    def online(self, request: Online) -> OnlineResult: ...

    async def online_async(self, request: Online) -> OnlineResult:
        """As `online`, without holding the event loop up."""
        ...

    def ask(self, question: Question) -> object:
        """The answer as plain JSON values, as the HTTP interface describes it."""
        ...

    async def push_async(self, question: Push) -> object:
        """As `ask`, without holding the event loop up."""
        ...

    def download(self, wanted: Download, into: BinaryIO) -> None:
        """Write the bytes, verified. When it raises, `into` holds nothing that may be used."""
        ...

    def close(self) -> None: ...

    async def aclose(self) -> None:
        """As `close`, and closes what `online_async` opened in this event loop too."""
        ...
