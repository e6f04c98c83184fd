"""The first chapters: from files to filled tables."""

from __future__ import annotations

from collections.abc import Sequence

from docs.demo.facts import Applied, PlanMade, SourcesPrepared
from docs.demo.prepare import prepare
from docs.demo.stage import Stage
from docs.demo.steps import Step
from featurestore.plan.stages import Backfill, Plan


def prepare_sources(stage: Stage) -> None:
    """Write the sources and the spine."""
    stage.teller.ask(Step.PREPARE, lambda: SourcesPrepared(prepare(stage.folder.data, months=stage.scope.months).rows))


def plan(stage: Stage) -> None:
    """Show what applying would do; in a later run, what it did."""

    def work() -> PlanMade:
        found = stage.project.plan()
        before = stage.teller.answer_before(Step.PLAN, PlanMade)
        return before if found.nothing_to_do and before is not None else _told(found)

    stage.teller.ask(Step.PLAN, work)


def apply(stage: Stage) -> Applied:
    """Create and fill the tables."""
    return stage.teller.ask(Step.APPLY, lambda: _applied(stage))


def plan_again(stage: Stage) -> None:
    """Nothing is left to do."""
    stage.teller.ask(Step.PLAN_AGAIN, lambda: _told(stage.project.plan()))


def _applied(stage: Stage) -> Applied:
    found = stage.project.plan()
    fills = [fill for fill in found.stages if isinstance(fill, Backfill)]
    _follow(stage, found, fills)
    return Applied(tuple((view["view"], view["rows"]) for view in stage.client.status()))


def _follow(stage: Stage, found: Plan, fills: Sequence[Backfill]) -> None:
    # Views differ in rows by a hundred times, so their days say more about the time left than their number.
    days = sum(fill.missing.duration.days for fill in fills)
    done = rows = 0
    with stage.teller.screen.progress("filling", max(days, 1)) as advance:
        for progress in stage.project.apply(found):
            done += _days(progress)
            rows += getattr(progress, "rows", 0)
            advance(min(done, days), f"{rows:,} rows stored, {progress.view}")


def _days(progress: object) -> int:
    interval = getattr(progress, "interval", None)
    return 0 if interval is None else int((interval.end - interval.start).days)


def _told(found: Plan) -> PlanMade:
    fills = tuple(
        (fill.view.table, ", ".join(map(str, fill.missing)), fill.estimated_rows)
        for fill in found.stages
        if isinstance(fill, Backfill)
    )
    return PlanMade(len(found.changes), fills)
