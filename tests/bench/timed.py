"""Requests, timed one by one. Imports nothing, so that any environment can run it."""

from __future__ import annotations

import gc
import http.client
import json
import time
import urllib.request
from collections.abc import Callable
from statistics import median
from time import perf_counter

REQUESTS = 10_000
_WARM = 200


def timed(request: Callable[[int], object], count: int) -> list[float]:
    """Seconds of each of `count` requests, after some that are not counted."""
    for number in range(min(_WARM, count)):
        request(number)
    gc.collect()
    seconds = []
    for number in range(count):
        started = perf_counter()
        request(number)
        seconds.append(perf_counter() - started)
    return seconds


def shown(seconds: list[float]) -> str:
    """Median and 99th percentile in milliseconds. A 99th percentile of fewer than 10,000 requests would be a guess."""
    ordered = sorted(seconds)
    p99 = f", p99 {ordered[int(len(ordered) * 0.99)] * 1e3:7.3f} ms" if len(ordered) >= REQUESTS else ""
    return f"p50 {median(ordered) * 1e3:7.3f} ms{p99} over {len(ordered):,} requests"


class HttpClient:
    """One kept connection; each answer is read and parsed."""

    def __init__(self, port: int, path: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._path = path

    def post(self, body: bytes) -> object:
        try:
            response = self._asked(body)
        except ConnectionError:  # a server that replaces its workers now and then; connecting again counts
            self._connection.close()
            response = self._asked(body)
        content = response.read()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {content[:300]!r}")
        return json.loads(content)

    def _asked(self, body: bytes) -> http.client.HTTPResponse:
        self._connection.request("POST", self._path, body, {"content-type": "application/json"})
        return self._connection.getresponse()


def wait_for(address: str) -> None:
    """Until what was just started answers there."""
    give_up = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(address, timeout=1):  # noqa: S310 - of this benchmark's own
                return
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)
