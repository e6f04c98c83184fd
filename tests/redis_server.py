"""Starts real `redis-server`s for tests: on free loopback ports, in memory only, stopped when the block ends.

A server may also speak TLS, listen on a Unix socket, or have users of its own; `redis_cluster` makes several into one.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.certificates import Certificates

_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A running server and how to reach it."""

    port: int
    process: subprocess.Popen[bytes]
    folder: Path
    certificates: Certificates | None = None

    @property
    def url(self) -> str:
        scheme = "redis" if self.certificates is None else "rediss"
        return f"{scheme}://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.folder / 'redis.sock'}"

    @contextmanager
    def client(self) -> Iterator[Redis]:
        """A plain client, to look at or change the server behind a store's back."""
        with Redis.from_url(self.url, protocol=2, **self._secrets()) as client:
            yield client

    def _secrets(self) -> dict[str, Any]:
        if self.certificates is None:
            return {}
        own = self.certificates.client
        files = {"ssl_ca_certs": self.certificates.authority, "ssl_certfile": own.certificate, "ssl_keyfile": own.key}
        return {name: str(file) for name, file in files.items()}

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The server keeps its connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()


def granted(namespace: str) -> list[str]:
    """The rules that docs/online-store.md gives for a user of a single server."""
    return [f"~{namespace}:*", "+@read", "+@write", "+@scripting", "+info"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_redis(
    *options: str, port: int | None = None, certificates: Certificates | None = None
) -> Iterator[RedisServer]:
    """A server with these command-line options, answering when the block begins. With certificates it speaks TLS alone,
    and only to clients that have a certificate of the same authority."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="knownat-redis-")))
        server = start_redis(folder, *options, port=port, certificates=certificates)
        stack.callback(server.kill)
        wait_until_it_answers(server)
        yield server


def start_redis(
    folder: Path, *options: str, port: int | None = None, certificates: Certificates | None = None
) -> RedisServer:
    """Start a server that keeps its files in `folder`; the caller kills it."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.fail("redis-server is not installed: run `make test`, which installs redis-server.")
    chosen = port if port is not None else free_port()
    command = [binary, "--bind", "127.0.0.1", "--dir", str(folder), "--unixsocket", str(folder / "redis.sock")]
    command += ["--save", "", "--appendonly", "no", *_listening(chosen, certificates), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return RedisServer(chosen, process, folder, certificates)


def _listening(port: int, certificates: Certificates | None) -> list[str]:
    if certificates is None:
        return ["--port", str(port)]
    own = certificates.server
    files = ["--tls-ca-cert-file", str(certificates.authority), "--tls-cert-file", str(own.certificate)]
    return ["--port", "0", "--tls-port", str(port), *files, "--tls-key-file", str(own.key)]


def wait_until_it_answers(server: RedisServer) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while True:
        if server.process.poll() is not None:
            pytest.fail(f"redis-server ended with exit code {server.process.returncode} instead of starting.")
        try:
            with server.client() as client:
                client.ping()
        except (RedisConnectionError, BusyLoadingError):  # refused, or still loading
            if time.monotonic() > give_up:
                pytest.fail(f"redis-server did not answer within {_START_SECONDS:.0f} seconds.")
            time.sleep(0.02)
        else:
            return
