"""What every online store promises, run on the one in memory, on SQLite and on a real Redis."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from featurestore.errors import EntityRowsError
from featurestore.graph.resolved import Column
from featurestore.ports.online_store import (
    Filled,
    OnlineStore,
    OnlineTable,
    TableRead,
    TableRows,
    WriteCount,
)
from featurestore.spec import dtypes
from featurestore.spec.dtypes import DType
from tests.contract.online_stores import OpenStore
from tests.online_rows import (
    DELAYS,
    NOON,
    Row,
    after,
    delay_of,
    delays,
    filled_to,
    mark,
    read_one,
    replace,
    rows_at,
    rows_found,
    rows_of,
    stored,
    write,
)

ONE_ROW_FOR_ALL = OnlineTable("calendar@00000000", (), (Column("is_holiday", DType.BOOL),))
ROUTES = OnlineTable(
    "routes@11111111",
    (Column("origin", DType.STRING), Column("dest", DType.STRING)),
    (Column("flights", DType.INT64),),
)
NUMBERED = OnlineTable("numbered@22222222", (Column("id", DType.INT64),), (Column("name", DType.STRING),))
DAILY = OnlineTable(
    "daily@33333333",
    (Column("day", DType.DATE), Column("hour", DType.TIMESTAMP), Column("late", DType.BOOL)),
    (Column("last_day", DType.DATE), Column("last_seen", DType.TIMESTAMP)),
)


def test_a_row_is_read_back_as_it_was_written(store: OnlineStore) -> None:
    row = ("N1", NOON, after(5), 12.5)

    write(store, DELAYS, delays(row))

    assert rows_at(store, DELAYS, ("N1",)) == [stored(row)]


def test_an_unknown_key_is_none_and_the_answers_keep_the_order_of_the_keys(store: OnlineStore) -> None:
    write(store, DELAYS, delays(("N1", NOON, NOON, 1.0), ("N2", NOON, NOON, 2.0)))

    rows = rows_at(store, DELAYS, ("N2",), ("unknown",), ("N1",), ("N2",))

    assert [None if row is None else row.values for row in rows] == [(2.0,), None, (1.0,), (2.0,)]


def test_a_null_value_is_a_row_with_none(store: OnlineStore) -> None:
    write(store, DELAYS, delays(("N1", NOON, NOON, None)))

    assert rows_at(store, DELAYS, ("N1",)) == [stored(("N1", NOON, NOON, None))]


def test_a_table_that_was_never_marked_is_not_filled_even_with_rows(store: OnlineStore) -> None:
    write(store, DELAYS, delays(("N1", NOON, NOON, 1.0)))

    assert filled_to(store, DELAYS) is None


def test_a_mark_is_read_back_and_never_goes_back(store: OnlineStore) -> None:
    marks = []

    for moment in (datetime(1969, 7, 20, tzinfo=UTC), after(10), after(5), NOON, after(10.5)):
        mark(store, DELAYS, moment)
        marks.append(filled_to(store, DELAYS))

    assert marks == [datetime(1969, 7, 20, tzinfo=UTC), after(10), after(10), after(10), after(10.5)]


def test_one_read_answers_for_several_tables(store: OnlineStore) -> None:
    write(store, DELAYS, delays(("N1", NOON, NOON, 1.0)))
    write(store, ROUTES, rows_of(ROUTES, [("JFK", "LAX", NOON, NOON, 7)]))
    mark(store, ROUTES, after(1))

    answers = store.read([TableRead(ROUTES, [("JFK", "LAX"), ("LAX", "JFK")]), TableRead(DELAYS, [("N1",)])])

    assert [answer.filled for answer in answers] == [Filled(after(1)), None]
    assert rows_found(answers[0]) == [stored(("JFK", "LAX", NOON, NOON, 7), keys=2), None]
    assert rows_found(answers[1]) == [stored(("N1", NOON, NOON, 1.0))]


def test_a_read_of_nothing_is_an_empty_answer(store: OnlineStore) -> None:
    assert store.read([]) == []
    assert store.read([TableRead(DELAYS, [])]) == [TableRows(None, [], [], [()])]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (("N1", NOON, NOON, 1.0), ("N1", after(1), after(1), 2.0), 2.0),
        (("N1", after(1), after(1), 1.0), ("N1", NOON, after(9), 2.0), 1.0),
        (("N1", NOON, NOON, 1.0), ("N1", NOON, after(1), 2.0), 2.0),
        (("N1", NOON, after(1), 1.0), ("N1", NOON, NOON, 2.0), 1.0),
        (("N1", NOON, NOON, 1.0), ("N1", NOON, NOON, 2.0), 2.0),
        (("N1", datetime(1950, 1, 1, tzinfo=UTC), NOON, 1.0), ("N1", datetime(1970, 1, 1, tzinfo=UTC), NOON, 2.0), 2.0),
        (("N1", datetime(1970, 1, 1, tzinfo=UTC), NOON, 1.0), ("N1", datetime(1950, 1, 1, tzinfo=UTC), NOON, 2.0), 1.0),
    ],
    ids=[
        "a later event replaces",
        "an earlier event does not, however late it was known",
        "a correction of the same event replaces",
        "an older state of the same event does not",
        "the same moment again replaces",
        "a later event replaces across 1970",
        "an earlier event does not across 1970",
    ],
)
def test_the_newer_row_wins(store: OnlineStore, first: Row, second: Row, expected: float) -> None:
    write(store, DELAYS, delays(first))

    count = write(store, DELAYS, delays(second))

    assert delay_of(store, "N1") == expected
    assert count == (WriteCount(1, 0) if expected == 2.0 else WriteCount(0, 1))


def test_a_write_counts_what_it_stored_and_what_it_left_alone(store: OnlineStore) -> None:
    numbers = [(number, after(number % 2), NOON, "old") for number in range(2_500)]
    write(store, NUMBERED, rows_of(NUMBERED, numbers))

    count = write(
        store,
        NUMBERED,
        rows_of(NUMBERED, [(number, after(0.5), NOON, "new") for number in range(3_000)], batch_rows=1_700),
    )

    assert count == WriteCount(written=1_750, kept=1_250)


def test_within_one_write_the_newer_row_of_a_key_wins_in_either_order(store: OnlineStore) -> None:
    write(
        store,
        DELAYS,
        delays(
            ("N1", NOON, NOON, 1.0),
            ("N1", after(1), after(1), 2.0),
            ("N2", after(1), after(1), 2.0),
            ("N2", NOON, NOON, 1.0),
        ),
    )

    assert (delay_of(store, "N1"), delay_of(store, "N2")) == (2.0, 2.0)


def test_an_empty_write_stores_nothing(store: OnlineStore) -> None:
    assert write(store, DELAYS, delays()) == WriteCount(0, 0)
    assert store.sample_keys(DELAYS, 10) == []


def test_keys_are_told_apart_whatever_their_values(store: OnlineStore) -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("a:b", "c"), ("a", "b:c"), ("é", "\x00"), ("é", "")]
    rows = [(*pair, NOON, NOON, number) for number, pair in enumerate(pairs)]

    write(store, ROUTES, rows_of(ROUTES, rows))

    assert rows_at(store, ROUTES, *pairs) == [stored(row, keys=2) for row in rows]


def test_dates_moments_and_booleans_can_be_keys_and_values(store: OnlineStore) -> None:
    early, late = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    rows = [
        (date(1969, 12, 31), early, True, NOON, NOON, date(1, 1, 1), early),
        (date(1969, 12, 31), early, False, NOON, NOON, date(9999, 12, 31), late),
        (date(2026, 3, 1), late, True, NOON, NOON, None, None),
    ]

    write(store, DAILY, rows_of(DAILY, rows))

    assert rows_at(store, DAILY, *[row[:3] for row in rows]) == [stored(row, keys=3) for row in rows]
    assert sorted(store.sample_keys(DAILY, 3)) == sorted(row[:3] for row in rows)


def test_decimals_lists_and_embeddings_can_be_values(store: OnlineStore) -> None:
    kinds = {
        "price": dtypes.Decimal(38, 2),
        "words": dtypes.List(DType.STRING),
        "days": dtypes.List(DType.DATE),
        "moments": dtypes.List(DType.TIMESTAMP),
        "prices": dtypes.List(dtypes.Decimal(4, 2)),
        "vector": dtypes.Embedding(2),
    }
    table = OnlineTable("typed@4", (Column("id", DType.INT64),), tuple(Column(*kind) for kind in kinds.items()))
    cent, ends = Decimal("0.01"), [date(1, 1, 1), date(9999, 12, 31)]
    rows: list[Row] = [
        (
            1,
            NOON,
            NOON,
            Decimal("9" * 36 + ".99"),
            ["", None, "Łódź"],
            ends,
            [NOON, None],
            [cent, None],
            [-0.0, 2.0**-149],
        ),
        (2, NOON, NOON, Decimal("-0.01"), [], [], [], [], [float("inf"), float("-inf")]),
        (3, NOON, NOON, None, None, None, None, None, None),
    ]

    write(store, table, rows_of(table, rows))

    found = rows_at(store, table, (1,), (2,), (3,))
    assert found == [stored(row) for row in rows]
    assert repr(found[0]) == repr(stored(rows[0]))


def test_a_table_without_keys_has_one_row_at_the_empty_key(store: OnlineStore) -> None:
    write(store, ONE_ROW_FOR_ALL, rows_of(ONE_ROW_FOR_ALL, [(NOON, NOON, True)]))

    assert rows_at(store, ONE_ROW_FOR_ALL, ()) == [stored((NOON, NOON, True), keys=0)]
    assert store.sample_keys(ONE_ROW_FOR_ALL, 5) == [()]


def test_tables_of_the_same_name_with_other_columns_share_nothing(store: OnlineStore) -> None:
    changed = OnlineTable(DELAYS.name, DELAYS.keys, (Column("delay", DType.INT64),))
    write(store, DELAYS, delays(("N1", NOON, NOON, 1.0)))
    mark(store, DELAYS, NOON)

    answer = read_one(store, changed, ("N1",))
    store.drop(changed)

    assert (answer.filled, rows_found(answer)) == (None, [None])
    assert delay_of(store, "N1") == 1.0


def test_a_key_of_another_type_is_refused(store: OnlineStore) -> None:
    with pytest.raises(EntityRowsError, match=r"'id'.*int64.*expected int, found str '1'"):
        read_one(store, NUMBERED, ("1",))


def test_replace_stores_older_rows_and_removes_the_keys_that_are_not_given(store: OnlineStore) -> None:
    write(store, DELAYS, delays(("N1", after(9), NOON, 1.0), ("N2", after(9), NOON, 2.0)))
    write(store, ROUTES, rows_of(ROUTES, [("JFK", "LAX", NOON, NOON, 7)]))
    mark(store, DELAYS, after(9))

    count = replace(store, DELAYS, delays(("N2", NOON, NOON, 22.0), ("N3", NOON, NOON, 33.0)), NOON)

    assert count == WriteCount(2, 0)
    assert [delay_of(store, tail) for tail in ("N1", "N2", "N3")] == [None, 22.0, 33.0]
    assert filled_to(store, DELAYS) == after(9)
    assert rows_at(store, ROUTES, ("JFK", "LAX")) != [None]


def test_replace_by_nothing_empties_the_table(store: OnlineStore) -> None:
    write(store, NUMBERED, rows_of(NUMBERED, [(number, NOON, NOON, "x") for number in range(2_500)]))

    replace(store, NUMBERED, rows_of(NUMBERED, []), NOON)

    assert store.sample_keys(NUMBERED, 10) == []


def test_a_table_can_be_written_to_after_it_was_replaced(store: OnlineStore) -> None:
    replace(store, DELAYS, delays(("N1", NOON, NOON, 1.0)), NOON)

    write(store, DELAYS, delays(("N1", after(1), NOON, 2.0), ("N2", NOON, NOON, 3.0)))
    replace(store, DELAYS, delays(("N2", NOON, NOON, 4.0)), NOON)

    assert (delay_of(store, "N1"), delay_of(store, "N2")) == (None, 4.0)


def test_drop_removes_the_mark_and_the_rows_of_that_table_only(store: OnlineStore) -> None:
    for table, row in ((DELAYS, ("N1", NOON, NOON, 1.0)), (ROUTES, ("JFK", "LAX", NOON, NOON, 7))):
        write(store, table, rows_of(table, [row]))
        mark(store, table, NOON)

    store.drop(DELAYS)
    store.drop(DELAYS)

    answer = read_one(store, DELAYS, ("N1",))
    assert (answer.filled, rows_found(answer)) == (None, [None])
    assert filled_to(store, ROUTES) == NOON


def test_a_dropped_table_can_be_filled_again(store: OnlineStore) -> None:
    write(store, DELAYS, delays(("N1", after(9), NOON, 1.0)))
    store.drop(DELAYS)

    write(store, DELAYS, delays(("N2", NOON, NOON, 2.0)))

    assert (delay_of(store, "N1"), delay_of(store, "N2")) == (None, 2.0)


def test_a_sample_has_all_keys_of_a_small_table_and_as_many_as_asked_of_a_large_one(store: OnlineStore) -> None:
    write(store, NUMBERED, rows_of(NUMBERED, [(number, NOON, NOON, "x") for number in range(1_500)]))

    everything, some = store.sample_keys(NUMBERED, 9_999), store.sample_keys(NUMBERED, 100)

    assert sorted(everything) == [(number,) for number in range(1_500)]
    assert len(set(some)) == 100
    assert set(some) < set(everything)


def test_all_keys_come_some_at_a_time(store: OnlineStore) -> None:
    write(store, NUMBERED, rows_of(NUMBERED, [(number, NOON, NOON, "x") for number in range(2_500)]))

    found = [key for keys in store.all_keys(NUMBERED) for key in keys]

    assert sorted(set(found)) == [(number,) for number in range(2_500)]
    assert list(store.all_keys(DELAYS)) in ([], [[]]) or not any(store.all_keys(DELAYS))


def test_what_one_process_writes_another_reads(open_store: OpenStore) -> None:
    writer, reader = open_store(), open_store()
    write(writer, DELAYS, delays(("N1", NOON, NOON, 1.0)))
    mark(writer, DELAYS, NOON)

    answer = read_one(reader, DELAYS, ("N1",))

    assert (answer.filled, rows_found(answer)) == (Filled(NOON), [stored(("N1", NOON, NOON, 1.0))])


def test_interleaving_writers_never_leave_an_older_row(open_store: OpenStore) -> None:
    stores = [open_store() for _ in range(4)]

    def write_some(writer: int) -> None:
        for step in range(writer, 80, len(stores)):
            rows = [(number, after(step), after(step), str(step)) for number in range(20)]
            write(stores[writer], NUMBERED, rows_of(NUMBERED, rows))

    with ThreadPoolExecutor(len(stores)) as pool:
        list(pool.map(write_some, range(len(stores))))

    rows = rows_at(stores[0], NUMBERED, *[(number,) for number in range(20)])
    assert [row.values for row in rows if row is not None] == [("79",)] * 20


def test_a_reader_finds_the_old_or_the_new_row_of_a_key_while_it_is_replaced(open_store: OpenStore) -> None:
    writer, reader = open_store(), open_store()
    contents = [[(number, NOON, NOON, name) for number in range(300)] for name in ("odd", "even")]
    replace(writer, NUMBERED, rows_of(NUMBERED, contents[0]), NOON)
    stop = threading.Event()

    def read_until_stopped() -> set[object]:
        seen: set[object] = set()
        while not stop.is_set():
            rows = rows_at(reader, NUMBERED, (0,), (150,), (299,))
            seen.update(None if row is None else row.values[0] for row in rows)
        return seen

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_until_stopped)
        for turn in range(20):
            replace(writer, NUMBERED, rows_of(NUMBERED, contents[turn % 2]), NOON)
        stop.set()

    assert reading.result() <= {"odd", "even"}
