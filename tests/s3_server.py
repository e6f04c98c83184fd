"""Starts moto's S3 server for tests: a process of its own on a free loopback port, stopped when the block ends."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from featurestore.adapters.s3_storage import S3Storage
from tests.redis_server import free_port

_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class S3Server:
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def storage(self) -> S3Storage:
        return S3Storage(self.endpoint, "us-east-1", "key", "secret", timeout_seconds=5)


@contextmanager
def running_s3() -> Iterator[S3Server]:
    """A server with the bucket `data`, answering when the block begins."""
    server = S3Server(free_port())
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(server.port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_it_answers(server, process)
        create_bucket(server, "data")
        yield server
    finally:
        process.kill()
        process.wait()


def create_bucket(server: S3Server, name: str) -> None:
    from pyarrow import fs

    storage = server.storage
    creating = fs.S3FileSystem(
        endpoint_override=storage.endpoint, region=storage.region, access_key=storage.access_key,
        secret_key=storage.secret_key, allow_bucket_creation=True,
    )  # fmt: skip
    creating.create_dir(name)


def _wait_until_it_answers(server: S3Server, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while True:
        if process.poll() is not None:
            pytest.fail(f"moto's server ended with exit code {process.returncode} instead of starting.")
        try:
            with urlopen(f"{server.endpoint}/", timeout=1):  # noqa: S310 - its own address on the loopback
                return
        except (URLError, TimeoutError):
            if time.monotonic() > give_up:
                pytest.fail(f"moto's server did not answer within {_START_SECONDS:.0f} seconds.")
            time.sleep(0.1)
