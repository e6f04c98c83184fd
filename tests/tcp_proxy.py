"""A small TCP proxy for tests: what goes through it can be slow, drip, break off, or vanish.

It runs in a thread of its own. `line` says how it behaves from now on, for connections that are there and for new ones.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_CHUNK = 65_536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends RST, not FIN


@dataclass(frozen=True, slots=True)
class Line:
    """How the proxy treats what goes through it."""

    latency_seconds: float = 0.0
    """How long each piece of an answer is held back."""
    drip_seconds: float = 0.0
    """If more than none: answers come byte by byte, with so long between two."""
    reset_after: int | None = None
    """How many bytes of answers a connection carries before it is reset."""
    is_black_hole: bool = False
    """Connections are accepted, and nothing that is sent ever arrives, in either direction."""


PERFECT = Line()


class TcpProxy:
    """A proxy in front of the server at `target_port`. Use `running_proxy`."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._half_open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.line = PERFECT
        self.accepted = 0
        """How many connections were made so far."""
        self.swallowed = 0
        """How many pieces of what was sent have never arrived."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]

    def cut(self) -> None:
        """Reset all connections, as a firewall that restarts."""
        self._call(self._reset_clients)

    def lose_server(self) -> None:
        """Leave clients half-open: their connections stay, and nobody is behind them any more."""
        self._call(self._drop_servers)

    def _call(self, function: Callable[[], None]) -> None:
        async def run() -> None:
            function()
            for _ in range(3):  # sockets are closed by what the loop does next
                await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(timeout=5)

    def _reset_clients(self) -> None:
        for client, server in tuple(self._pairs):
            _reset(client)
            server.close()

    def _drop_servers(self) -> None:
        for client, server in self._pairs:
            self._half_open.add(client)
            server.close()

    def run(self, started: threading.Event) -> None:
        """Serve until `stop`; what the thread does."""
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, sock=self._listening))
        started.set()
        self._loop.run_forever()
        server.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _serve(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            _reset(to_client)
            return
        pair = (to_client, to_server)
        self._pairs.add(pair)
        try:
            await self._carry(from_client, to_client, from_server, to_server)
        finally:
            self._pairs.discard(pair)
            for writer in pair:
                writer.close()

    async def _carry(
        self,
        from_client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        asking = asyncio.create_task(self._questions(from_client, to_server))
        answering = asyncio.create_task(self._answers(from_server, to_client))
        try:
            await asyncio.wait((asking, answering), return_when=asyncio.FIRST_COMPLETED)
            if to_client in self._half_open:
                await asking
        finally:
            self._half_open.discard(to_client)
            asking.cancel()
            answering.cancel()
            await asyncio.gather(asking, answering, return_exceptions=True)

    async def _questions(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                self.swallowed += self.line.is_black_hole
                if not self.line.is_black_hole and not writer.is_closing():
                    writer.write(data)
                    await writer.drain()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carried = 0
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                line = self.line
                if line.is_black_hole:
                    continue
                await asyncio.sleep(line.latency_seconds)
                if line.reset_after is not None and carried + len(data) > line.reset_after:
                    writer.write(data[: max(0, line.reset_after - carried)])
                    _reset(writer)
                    return
                carried += len(data)
                await _send(writer, data, line.drip_seconds)


@contextmanager
def running_proxy(target_port: int) -> Iterator[TcpProxy]:
    """A proxy in front of the server at `target_port`, gone when the block ends."""
    proxy = TcpProxy(target_port)
    started = threading.Event()
    thread = threading.Thread(target=proxy.run, args=(started,), daemon=True)
    thread.start()
    started.wait(timeout=5)
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join(timeout=10)


async def _send(writer: asyncio.StreamWriter, data: bytes, drip_seconds: float) -> None:
    if not drip_seconds:
        writer.write(data)
    for position in range(len(data) if drip_seconds else 0):
        writer.write(data[position : position + 1])
        await asyncio.sleep(drip_seconds)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
