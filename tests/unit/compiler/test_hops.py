"""The edge rule: an event exactly on a boundary belongs to the hop that begins there, on either side of 1970."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from sqlglot import exp

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.compiler.hops import boundary, first_boundary_knowing, hop_at, hop_of, hops_in
from featurestore.ports.engine import Query

HOUR, TICK = timedelta(hours=1), timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(memory_limit="500MB", threads=1, spill_folder=tmp_path_factory.mktemp("spill"))
    yield engine
    engine.close()


def computed(engine: DuckDBEngine, tree: exp.Expr, moments: list[datetime]) -> list[int]:
    """The tree, over the column `t`, for each moment."""
    rows = pa.table({"n": range(len(moments)), "t": pa.array(moments, pa.timestamp("us", "UTC"))})
    query = exp.select(exp.alias_(tree, "hop")).from_("rows").order_by("n")
    with engine.stream(Query(query, {"rows": rows})) as found:
        hops: list[int] = found.read_all()["hop"].to_pylist()
    return hops


@pytest.mark.parametrize(
    ("moment", "hop"),
    [
        (EPOCH, 0),
        (EPOCH - TICK, -1),
        (EPOCH + HOUR - TICK, 0),
        (EPOCH + HOUR, 1),
        (EPOCH - HOUR, -1),
        (EPOCH - HOUR - TICK, -2),
    ],
)
def test_a_moment_on_a_boundary_is_in_the_hop_that_begins_there(moment: datetime, hop: int) -> None:
    assert hop_at(moment, HOUR) == hop
    assert boundary(hop, HOUR) <= moment < boundary(hop + 1, HOUR)


@pytest.mark.parametrize("every", [timedelta(minutes=1), HOUR, timedelta(hours=8), timedelta(days=1)])
def test_the_engine_numbers_hops_as_python_does(engine: DuckDBEngine, every: timedelta) -> None:
    around = [EPOCH, datetime(2013, 3, 10, tzinfo=UTC), datetime(1900, 1, 1, tzinfo=UTC)]
    moments = [
        moment + steps * every + off for moment in around for steps in range(-2, 3) for off in (-TICK, 0 * TICK, TICK)
    ]

    assert computed(engine, hop_of(exp.column("t"), every), moments) == [hop_at(moment, every) for moment in moments]


def test_what_is_known_on_a_boundary_counts_at_it_and_what_is_known_later_at_the_next(engine: DuckDBEngine) -> None:
    moments = [EPOCH - TICK, EPOCH, EPOCH + TICK, EPOCH + HOUR, EPOCH - HOUR, EPOCH - HOUR + TICK]

    assert computed(engine, first_boundary_knowing(exp.column("t"), HOUR), moments) == [0, 0, 1, 1, -1, 0]


def test_a_window_is_a_whole_number_of_hops() -> None:
    assert hops_in(timedelta(days=1), HOUR) == 24
