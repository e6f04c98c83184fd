"""The middle chapters: a training set, a model, the promise, and what happens to those who do without it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from docs.demo.facts import Leak, PromiseKept, Pulled, Trained
from docs.demo.leak import Evidence, as_served, measure_honest, measure_naive, needed, tested
from docs.demo.model import identity, load, save, train
from docs.demo.promise import require_equal, require_honest
from docs.demo.replay import Replayed, compare, open_replay, replay
from docs.demo.spines import LABEL, labeled, naive, within
from docs.demo.stage import SERVICE, Stage
from docs.demo.steps import Step
from sdk import TrainingSet


def pull(stage: Stage) -> Pulled:
    """The training set over every flight."""
    return stage.teller.ask(Step.TRAINING_SET, lambda: _pulled(_pull(stage, pq.read_table(stage.folder.spine))))


def train_model(stage: Stage, pulled: Pulled) -> None:
    """Fit the honest model and leave it in the folder."""

    def work() -> Trained:
        dataset = stage.client.dataset(pulled.id).to_arrow()
        rows = within(dataset, stage.scope.train)
        with stage.teller.screen.waiting("training"):
            model = train(rows, _features(stage, dataset))
        save(model, stage.folder.model)
        known = labeled(rows)
        return Trained(known.num_rows, pc.sum(known[LABEL]).as_py(), len(model.inputs))

    key = f"{pulled.id} {stage.scope.train} {identity()}"
    stage.teller.once(Step.TRAIN, key, Trained, work, needs=stage.folder.model)


def keep_the_promise(stage: Stage, pulled: Pulled) -> PromiseKept:
    """Replay the last days and compare every cell. Raises PromiseBroken."""

    def work() -> PromiseKept:
        training = within(stage.client.dataset(pulled.id).to_arrow(), stage.scope.replay)
        training = training.select(_features(stage, training))
        replayed = _replay(stage)
        comparison = compare(replayed.answers, training)
        require_equal(comparison)
        pq.write_table(replayed.answers, stage.folder.looked_up)
        return PromiseKept(
            flights=training.num_rows,
            hours=replayed.hours,
            lookups=replayed.lookups,
            features=training.num_columns,
            cells=comparison.cells,
            differences=comparison.differences,
        )

    key = f"{pulled.id} {stage.scope.replay}"
    return stage.teller.once(Step.REPLAY, key, PromiseKept, work, needs=stage.folder.looked_up)


def show_the_leak(stage: Stage, pulled: Pulled) -> Leak:
    """Both models offline and as served. Raises PromiseBroken if the honest one differs."""

    def work() -> Leak:
        with stage.teller.screen.waiting("joining naively, training on that, judging both models"):
            leak = _leak(stage, pulled)
        require_honest(leak)
        return leak

    key = f"{pulled.id} {stage.scope.train} {stage.scope.replay} {identity()}"
    return stage.teller.once(Step.LEAK, key, Leak, work)


def _pull(stage: Stage, spine: pa.Table) -> TrainingSet:
    with stage.teller.screen.waiting(f"joining features to {spine.num_rows:,} flights"):
        return stage.client.training_set(spine, service=SERVICE, label=LABEL)


def _pulled(dataset: TrainingSet) -> Pulled:
    columns = len(dataset.manifest["profile"])
    return Pulled(dataset.id, dataset.rows, columns, dataset.sha256, dataset.warnings)


def _replay(stage: Stage) -> Replayed:
    flights = within(pq.read_table(stage.folder.spine), stage.scope.replay)
    progress = stage.teller.screen.progress("replaying", stage.scope.replay_hours)
    with open_replay(stage.folder) as project, progress as advance:
        return replay(
            project, SERVICE, flights, stage.scope.replay, lambda hour, asked: advance(hour, f"{asked:,} flights")
        )


def _leak(stage: Stage, pulled: Pulled) -> Leak:
    flights = pq.read_table(stage.folder.spine)
    wrong = stage.client.training_set(naive(needed(flights, stage.scope)), service=SERVICE, label=LABEL)
    honest = stage.client.dataset(pulled.id).to_arrow()
    served = as_served(within(flights, stage.scope.replay), pq.read_table(stage.folder.looked_up))
    evidence = Evidence(wrong.to_arrow(), honest, served, _features(stage, honest))
    a = measure_naive(evidence, stage.scope)
    b = measure_honest(load(stage.folder.model), evidence, stage.scope)
    return Leak(wrong.id, tested(evidence), a.offline, a.served, b.offline, b.served)


def _features(stage: Stage, rows: pa.Table) -> tuple[str, ...]:
    """The columns that did not come with the spine."""
    own = set(pq.read_schema(stage.folder.spine).names)
    return tuple(name for name in rows.column_names if name not in own)
