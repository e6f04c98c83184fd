"""The last chapters: what the model is made of, and whether all of it still holds."""

from __future__ import annotations

from docs.demo.facts import Audited, LineageRead, Pulled, Rebuilt, Registered
from docs.demo.lineage_text import counted, shortened
from docs.demo.promise import require_audited
from docs.demo.stage import Stage
from docs.demo.steps import Step

_SAMPLE = 1000
_BRANCHES = 3


def lineage(stage: Stage, registered: Registered) -> None:
    """What the model is made of."""

    def work() -> LineageRead:
        tree = stage.client.lineage(f"model:{registered.model}@{registered.version}")
        return LineageRead(shortened(tree, most=_BRANCHES), counted(tree))

    stage.teller.ask(Step.LINEAGE, work)


def audit(stage: Stage, registered: Registered) -> Audited:
    """Every view's online values against the point-in-time answer. Raises PromiseBroken."""

    def work() -> Audited:
        views = [view["view"] for view in stage.client.status()]
        found: list[tuple[str, int, int, int]] = []
        with stage.teller.screen.progress("auditing", len(views)) as advance:
            for number, view in enumerate(views, start=1):
                result = stage.client.audit(view, sample=_SAMPLE)
                found.append((view, result.keys, result.values, len(result.differences)))
                advance(number, view)
        audited = Audited(tuple(found))
        require_audited(audited)
        return audited

    return stage.teller.once(Step.AUDIT, registered.dataset, Audited, work)


def rebuild(stage: Stage, pulled: Pulled) -> Rebuilt:
    """The training set again, from what its manifest pins. Raises DatasetDiffers."""

    def work() -> Rebuilt:
        with stage.teller.screen.waiting("computing the training set again"):
            dataset = stage.client.rebuild(pulled.id)
        return Rebuilt(dataset.id, dataset.sha256)

    return stage.teller.once(Step.REBUILD, pulled.id, Rebuilt, work)
