"""A call that does not come back holds nobody up."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from featurestore.adapters.patience import NeverEnded, is_anything_left_behind, within


def test_a_call_gives_or_raises_what_it_would() -> None:
    def fails() -> None:
        raise TimeoutError("of its own")

    assert within(60, lambda: 5, lambda: None) == 5
    with pytest.raises(TimeoutError, match="of its own"):
        within(60, fails, lambda: None)


def test_an_error_does_not_keep_what_the_call_had_opened() -> None:
    class Opened:
        pass

    seen: list[weakref.ref[Opened]] = []

    def fails() -> None:
        opened = Opened()
        seen.append(weakref.ref(opened))
        raise ValueError(f"with {opened}")

    gc.disable()
    try:
        with pytest.raises(ValueError, match="with") as caught:
            within(60, fails, lambda: None)
        del caught

        assert seen[0]() is None
    finally:
        gc.enable()


def test_a_call_that_stops_when_it_is_told_to_is_over() -> None:
    stopped = threading.Event()

    with pytest.raises(NeverEnded) as caught:
        within(0.01, stopped.wait, stopped.set)

    assert not caught.value.is_left_behind
    assert not is_anything_left_behind()


def test_a_call_that_does_not_stop_is_left_behind() -> None:
    ends = threading.Event()
    try:
        with pytest.raises(NeverEnded) as caught:
            within(0.01, ends.wait, lambda: None)

        assert caught.value.is_left_behind
        assert is_anything_left_behind()
    finally:
        ends.set()
