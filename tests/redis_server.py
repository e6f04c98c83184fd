"""Starts a real `redis-server` for tests: on a free loopback port, in memory only, stopped when the block ends."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A running server and how to reach it."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @contextmanager
    def client(self) -> Iterator[Redis]:
        """A plain client, to look at or change the server behind a store's back."""
        with Redis.from_url(self.url, protocol=2) as client:
            yield client

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The server keeps its connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_redis(*options: str, port: int | None = None) -> Iterator[RedisServer]:
    """A server with these command-line options, answering when the block begins."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.fail("redis-server is not installed: run `make test`, which installs redis-server.")
    chosen = port if port is not None else free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "--bind", "127.0.0.1", "--port", str(chosen), "--dir", folder]
        command += ["--save", "", "--appendonly", "no", *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        server = RedisServer(chosen, process)
        try:
            _wait_until_it_answers(server)
            yield server
        finally:
            process.kill()
            process.wait()


def _wait_until_it_answers(server: RedisServer) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while True:
        if server.process.poll() is not None:
            pytest.fail(f"redis-server ended with exit code {server.process.returncode} instead of starting.")
        try:
            with server.client() as client:
                client.ping()
        except RedisConnectionError:  # refused, or still loading
            if time.monotonic() > give_up:
                pytest.fail(f"redis-server did not answer within {_START_SECONDS:.0f} seconds.")
            time.sleep(0.02)
        else:
            return
