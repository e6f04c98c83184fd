"""What takes long is not done by the event loop: it answers others meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from featurestore.intervals import EPOCH
from featurestore.operations.answered_rows import AnsweredRows, OnlineAnswer
from featurestore.operations.lookup import Asked, lookup_async, prepare
from featurestore.ports.online_store import Filled, TableRead, TableRows
from featurestore.service.online_answers import Include, written
from tests.logged_answers import NOON, SCORES


class UnaskedEngine:
    """Of features that nothing is computed for on demand, an engine is asked nothing."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


class Watched(list[int | None]):
    """Remembers the threads that looked whether something is in it."""

    def __init__(self, values: Sequence[int | None]) -> None:
        super().__init__(values)
        self.threads: set[int] = set()

    def __contains__(self, value: object) -> bool:
        self.threads.add(threading.get_ident())
        return super().__contains__(value)


class WatchedReader:
    """An AsyncOnlineReader that has a row for each key."""

    def __init__(self) -> None:
        self.events = Watched([])

    async def read(self, reads: Sequence[TableRead]) -> list[TableRows]:
        rows = len(reads[0].keys)
        self.events = Watched([(NOON - EPOCH) // (NOON - NOON).resolution] * rows)
        return [TableRows(Filled(NOON), self.events, self.events, [[1.0] * rows])]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(("rows", "is_beside"), [(1, False), (20_000, False), (20_001, True)])
def test_an_answer_of_many_values_is_made_beside_the_event_loop(rows: int, is_beside: bool) -> None:
    reader = WatchedReader()
    entities = {"shop": [str(number) for number in range(rows)]}

    answer = asyncio.run(lookup_async(prepare(SCORES, UnaskedEngine()), entities, Asked(NOON), reader))

    assert answer.rows == rows
    assert (reader.events.threads != {threading.get_ident()}) == is_beside


@pytest.mark.parametrize(("rows", "is_beside"), [(1, False), (20_000, False), (20_001, True)])
def test_an_answer_of_many_values_is_written_beside_the_event_loop(rows: int, is_beside: bool) -> None:
    def write(answer: OnlineAnswer, _: frozenset[Include]) -> bytes:
        return f"{answer.rows} {threading.get_ident()}".encode()

    answer = OnlineAnswer(SCORES.outputs, [[1.0] * rows], [0], [AnsweredRows([0] * rows)], rows, NOON, {})

    found = asyncio.run(written(write, answer, frozenset()))

    count, thread = map(int, found.split())
    assert count == rows
    assert (thread != threading.get_ident()) == is_beside
