"""The point-in-time join agrees with the oracle in every cell, through Parquet files, Delta tables and DuckDB."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from featurestore.adapters.duckdb_engine import DuckDBEngine
from tests.property.catalogue import Choices, declarations, expected
from tests.property.examples import examples
from tests.property.histories import HOUR, MINUTE, History, histories
from tests.property.oracle import same
from tests.property.project import small_project

CHOICES = st.builds(
    Choices,
    delay=st.sampled_from([timedelta(0), 10 * MINUTE, HOUR, 3 * HOUR]),
    publish_delay=st.sampled_from([timedelta(0), timedelta(0), 10 * MINUTE, HOUR]),
    ttl=st.sampled_from([None, HOUR, 2 * HOUR, timedelta(days=1), timedelta(seconds=1)]),
)


def differences(answer: pa.Table, history: History, choices: Choices, now: datetime) -> list[str]:
    """Every cell that is not what the oracle says, or what the spine held."""
    assert answer.num_rows == len(history.spine)
    found = []
    for index, (row, asked) in enumerate(zip(answer.to_pylist(), history.spine, strict=True)):
        wanted = asked | dict(expected(history.events, asked, choices, now))
        assert set(row) == set(wanted)
        found += [
            f"row {index} {name}: {row[name]!r}, the oracle says {value!r}"
            for name, value in wanted.items()
            if not same(row[name], value)
        ]
    return found


@examples(9)
@given(histories(), CHOICES, st.sampled_from([22, 34, 40]))
def test_a_training_set_holds_what_was_known_in_every_cell(
    engine: DuckDBEngine, history: History, choices: Choices, filled_hours: int
) -> None:
    now = history.origin + filled_hours * HOUR + 59 * MINUTE
    with small_project(engine) as project:
        project.write("events/all.parquet", history.table())
        project.apply(*declarations(choices), now=now)

        answer = project.training_set(history.spine_table(), project.service("everything"), now=now)

        assert differences(answer, history, choices, now) == []
