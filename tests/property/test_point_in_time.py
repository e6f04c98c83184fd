"""The point-in-time join agrees with the oracle in every cell, through Parquet files, Delta tables and DuckDB."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.errors import QueryError, SourceError
from tests.property.catalogue import Choices, declarations
from tests.property.compared import COMPARED
from tests.property.examples import IS_DEEP, TIMES, examples
from tests.property.expected import Expected
from tests.property.histories import HOUR, MINUTE, ORIGINS, History, histories
from tests.property.oracle import NOTHING, same
from tests.property.project import small_project

CHOICES = st.builds(
    Choices,
    delay=st.sampled_from([timedelta(0), 10 * MINUTE, HOUR, 3 * HOUR]),
    publish_delay=st.sampled_from([timedelta(0), timedelta(0), 10 * MINUTE, HOUR]),
    ttl=st.sampled_from([None, HOUR, 2 * HOUR, timedelta(days=1), timedelta(seconds=1)]),
    hops=st.integers(0, 5),
)


ROWS_TIMES = 8 if IS_DEEP else 2
"""Examples of a deep run are larger: making a project takes longer than asking it."""
EXAMPLES = 4
LEAST_CELLS = 500_000 * TIMES if IS_DEEP else 100_000


def differences(answer: pa.Table, history: History, choices: Choices, now: datetime) -> list[str]:
    """Every cell that is not what the oracle says, or what the spine held."""
    assert answer.num_rows == len(history.spine)
    expected = Expected(history.events, choices, now)
    found = []
    for index, (row, asked) in enumerate(zip(answer.to_pylist(), history.spine, strict=True)):
        wanted = asked | expected.answer(asked)
        assert set(row) == set(wanted)
        COMPARED.cells += len(wanted)
        found += [
            f"row {index} {name}: {row[name]!r}, the oracle says {value!r}"
            for name, value in wanted.items()
            if not same(row[name], value)
        ]
    return found


def test_a_training_set_holds_what_was_known_in_every_cell(engine: DuckDBEngine) -> None:
    before = COMPARED.cells

    @examples(EXAMPLES)
    @given(histories(), CHOICES, st.sampled_from([22, 34, 40]), st.integers(0, 2**32))
    def holds(history: History, choices: Choices, filled_hours: int, seed: int) -> None:
        now = history.origin + filled_hours * HOUR + 59 * MINUTE
        larger = history.larger(Random(seed), ROWS_TIMES)
        with small_project(engine) as project:
            project.write("events/all.parquet", larger.table())
            project.apply(*declarations(choices), now=now)

            answer = project.training_set(larger.spine_table(), project.service("everything"), now=now)

            assert differences(answer, larger, choices, now) == []

    holds()

    assert COMPARED.cells - before >= LEAST_CELLS


def test_a_sum_over_a_window_that_is_too_great_is_an_error_that_names_the_feature(engine: DuckDBEngine) -> None:
    with small_project(engine) as project:
        project.write("events/all.parquet", too_great("n", 2**62).table())
        project.apply(*declarations(UNDELAYED), now=ORIGIN + 40 * HOUR)

        with pytest.raises(QueryError, match="late_by_k:n_sum_3h: a sum over a window is too great"):
            project.training_set(
                too_great("n", 2**62).spine_table(), project.features("late_by_k:n_sum_3h"), now=ORIGIN + 40 * HOUR
            )


def test_a_sum_within_a_hop_that_is_too_great_is_an_error_of_filling_it(engine: DuckDBEngine) -> None:
    with small_project(engine) as project:
        project.write("events/all.parquet", too_great("x", 6e19).table())

        with pytest.raises(SourceError, match=r"Overflow|DECIMAL\(38"):
            project.apply(*declarations(UNDELAYED), now=ORIGIN + 40 * HOUR)


ORIGIN = next(iter(ORIGINS))
UNDELAYED = Choices(NOTHING, NOTHING, None)


def too_great(column: str, value: float) -> History:
    """Three events whose total is too great, and somebody who asks after the last of them."""
    rows = [{"happened": ORIGIN + n * HOUR, "known": ORIGIN, "k": "a", column: value} for n in range(3)]
    return History(ORIGIN, rows, [{"at": ORIGIN + 3 * HOUR, "k": "a", "other": "b"}])
