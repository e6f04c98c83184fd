"""Calls into a library that may never come back, with a time to do so: what then goes on is left behind.

No thread can be ended from outside, so one that is left behind goes on until the process does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")

_GRACE_SECONDS = 1.0
"""How long a call that was told to stop may take to do so."""
_left_behind: list[threading.Thread] = []


class NeverEnded(Exception):
    """A call had not come back when its time was up. `is_left_behind` says whether it goes on."""

    def __init__(self, *, is_left_behind: bool) -> None:
        super().__init__()
        self.is_left_behind = is_left_behind


def within(seconds: float, call: Callable[[], T], stop: Callable[[], None]) -> T:
    """What the call gives or raises, as a thread of its own comes to it. Raises NeverEnded when that takes longer, and
    `stop`, which is to end it, is called."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            result.set_exception(error)

    thread = threading.Thread(target=run, name="engine", daemon=True)
    thread.start()
    try:
        came_back, _ = wait([result], seconds)
    except BaseException:  # who waits is interrupted
        _leave(thread, stop)
        raise
    if came_back:
        try:
            return result.result()
        finally:
            del result, came_back  # an error holds on to the frames that hold on to it, and to what they opened
    raise NeverEnded(is_left_behind=_leave(thread, stop))


def _leave(thread: threading.Thread, stop: Callable[[], None]) -> bool:
    """Whether the thread goes on though it was stopped."""
    stop()
    thread.join(_GRACE_SECONDS)
    if thread.is_alive():
        _left_behind.append(thread)
    return thread.is_alive()


def is_anything_left_behind() -> bool:
    """Whether a thread goes on that the process can only end with."""
    return any(thread.is_alive() for thread in _left_behind)
