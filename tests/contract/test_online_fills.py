"""What writers of an online store can rely on: turns, generations, and marks that never outlive rows."""

from __future__ import annotations

import pytest

from featurestore.errors import ConcurrentChange
from featurestore.ports.online_store import FillRequest, OnlineStore, WriteCount
from tests.online_rows import DELAYS, NOON, after, delay_of, delays, filled_to, replace, write


def test_a_copy_of_everything_keeps_the_rows_that_became_known_after_what_it_speaks_of(store: OnlineStore) -> None:
    write(store, DELAYS, delays(("N1", after(9), after(9), 1.0), ("N2", after(1), after(1), 2.0)))

    fill = store.begin(FillRequest(DELAYS, NOON, replaces=True, known_to=after(5)))
    count = store.write(fill, delays(("N1", NOON, NOON, 11.0), ("N3", NOON, NOON, 33.0)))
    store.finish(fill, after(5))

    assert count == WriteCount(1, 1)
    assert [delay_of(store, tail) for tail in ("N1", "N2", "N3")] == [1.0, None, 33.0]


def test_a_copy_of_everything_keeps_what_is_written_beside_it(store: OnlineStore) -> None:
    write(store, DELAYS, delays(("N1", after(9), NOON, 1.0)))

    fill = store.begin(FillRequest(DELAYS, NOON, replaces=True))
    write(store, DELAYS, delays(("N1", after(1), NOON, 2.0), ("N2", after(1), NOON, 3.0)))
    store.write(fill, delays(("N1", NOON, NOON, 4.0)))
    store.finish(fill, NOON)

    assert (delay_of(store, "N1"), delay_of(store, "N2")) == (2.0, 3.0)


def test_a_writer_whose_table_is_copied_anew_can_neither_write_nor_mark(store: OnlineStore) -> None:
    late = store.begin(FillRequest(DELAYS, NOON))
    replace(store, DELAYS, delays(("N1", NOON, NOON, 1.0)), NOON)

    with pytest.raises(ConcurrentChange, match=DELAYS.name):
        store.write(late, delays(("N1", after(1), NOON, 2.0), ("N2", NOON, NOON, 3.0)))
    with pytest.raises(ConcurrentChange, match=DELAYS.name):
        store.finish(late, after(9))

    assert (delay_of(store, "N1"), delay_of(store, "N2"), filled_to(store, DELAYS)) == (1.0, None, NOON)


def test_a_table_that_was_dropped_while_it_was_copied_is_not_marked(store: OnlineStore) -> None:
    fill = store.begin(FillRequest(DELAYS, NOON, replaces=True))
    store.write(fill, delays(("N1", NOON, NOON, 1.0)))
    store.drop(DELAYS)
    write(store, DELAYS, delays(("N2", NOON, NOON, 2.0)))

    with pytest.raises(ConcurrentChange):
        store.finish(fill, NOON)

    assert filled_to(store, DELAYS) is None
