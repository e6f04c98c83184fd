"""The demo's story on a month of the real flights: what it shows must be so, and what is done must stay done."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from docs.demo.folder import DemoFolder
from docs.demo.promise import PromiseBroken, require_equal
from docs.demo.replay import compare
from docs.demo.scope import Scope
from docs.demo.screen import Screen
from docs.demo.steps import Step
from docs.demo.story import Story, tell
from featurestore.intervals import Interval

JANUARY = Scope(
    months=(1,),
    clock=datetime(2013, 2, 1, tzinfo=UTC),
    train=Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 26, tzinfo=UTC)),
    replay=Interval(datetime(2013, 1, 28, tzinfo=UTC), datetime(2013, 1, 29, tzinfo=UTC)),
)


@dataclass(frozen=True, slots=True)
class Run:
    story: Story
    seen: str


@dataclass(frozen=True, slots=True)
class Told:
    """The story, told twice in one folder."""

    folder: DemoFolder
    first: Run
    second: Run


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    root = tmp_path_factory.mktemp("demo")
    return Told(DemoFolder(root), _run(root), _run(root))


def _run(root: Path) -> Run:
    seen = io.StringIO()
    story = tell(JANUARY, root, Screen(Console(file=seen)))
    return Run(story, seen.getvalue())


def test_every_cell_that_is_looked_up_in_the_replay_is_the_training_row_s(told: Told) -> None:
    kept = told.first.story.kept

    assert kept.differences == 0
    assert kept.hours == 24
    assert kept.flights > 800
    assert kept.cells == kept.flights * kept.features


def test_the_model_trained_point_in_time_is_as_good_as_it_looked(told: Told) -> None:
    leak = told.first.story.leak

    assert leak.honest_served == leak.honest_offline


def test_the_model_trained_on_the_naive_join_looks_better_and_is_worse(told: Told) -> None:
    leak = told.first.story.leak

    assert leak.naive_offline > leak.honest_offline
    assert leak.naive_served < leak.honest_served


def test_the_audit_finds_no_difference(told: Told) -> None:
    audited = told.first.story.audited

    assert audited.values > 10_000
    assert audited.differences == 0


def test_the_rebuilt_training_set_has_the_same_bytes(told: Told) -> None:
    story = told.first.story

    assert story.rebuilt.sha256 == story.pulled.sha256


def test_a_run_tells_every_step_in_its_order(told: Told) -> None:
    places = [told.first.seen.index(f"{step.number:>2}  {step.title}") for step in Step]

    assert places == sorted(places)


def test_a_second_run_finds_every_step_done(told: Told) -> None:
    assert "already done" not in told.first.seen
    assert told.second.seen.count("already done") == len(Step)
    assert told.second.story == told.first.story


def test_a_step_whose_file_is_gone_is_done_again(told: Told) -> None:
    told.folder.model.unlink()

    again = _run(told.folder.root)

    assert again.seen.count("already done") == len(Step) - 1
    assert again.story == told.first.story


def test_a_single_differing_cell_breaks_the_promise(told: Told) -> None:
    answers = pq.read_table(told.folder.looked_up)
    name = "carrier_delays__arr_delay_mean_7d"
    changed = answers[name].to_pylist()
    changed[3] += 1e-12
    training = answers.set_column(answers.column_names.index(name), name, pa.array(changed, pa.float64()))

    comparison = compare(answers, training)

    assert comparison.differing == ((name, 1),)
    with pytest.raises(PromiseBroken, match="1 of "):
        require_equal(comparison)


def test_cells_are_compared_by_their_bits() -> None:
    left = pa.table({"x": pa.array([0.0, float("nan"), None, 1.0, None], pa.float64())})
    right = pa.table({"x": pa.array([-0.0, float("nan"), None, 1.0, float("nan")], pa.float64())})

    comparison = compare(left, right)

    assert comparison.cells == 5
    assert comparison.differing == (("x", 2),)
