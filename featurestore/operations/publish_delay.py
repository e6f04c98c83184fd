"""The true publish delay: how long what had become known waited until it was online, told from the runs there were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median_high

from featurestore.graph.resolved import ResolvedView
from featurestore.ports.publications import Publication, Published

RECENT_RUNS = 100


@dataclass(frozen=True, slots=True)
class PublishDelay:
    """The longest waits of some runs, which brought the store further: of each, how long that waited for it which had
    become known just after what the run before it had filled. `median` is one of them: of an even number the longer."""

    median: timedelta
    worst: timedelta
    runs: int


def publish_delay(view: ResolvedView, history: Published) -> PublishDelay | None:
    """The true publish delay of a view's last runs; None where fewer than two have brought the store further.

    What happens in a window waits for a boundary, by declaration: there it is counted from the first boundary that the
    run before did not have. Runs between pushes tell nothing, as what was pushed did not wait for them, nor do runs
    that changed nothing: nothing waited.
    """
    waits = list(_waits(view, history))[-RECENT_RUNS:]
    return PublishDelay(median_high(waits), max(waits), len(waits)) if waits else None


def _waits(view: ResolvedView, history: Published) -> Iterator[timedelta]:
    filled_to: datetime | None = None
    for run in sorted(history.runs, key=lambda run: run.published_at):
        if filled_to is not None and run.filled_to <= filled_to:
            continue
        told = not (run.changed_nothing or _is_between_pushes(view, run, history))
        if filled_to is not None and told:
            yield run.published_at - _first_missed(view, filled_to)
        filled_to = run.filled_to


def _first_missed(view: ResolvedView, filled_to: datetime) -> datetime:
    """When the first of what a table filled to this moment lacks became known, or the boundary at which it counts."""
    known_to = filled_to - view.publish_delay
    return known_to if view.every is None else known_to + view.every


def _is_between_pushes(view: ResolvedView, run: Publication, history: Published) -> bool:
    pushed = history.push_span
    return pushed is not None and not view.is_windowed and pushed.first_at <= run.published_at <= pushed.last_at
