"""From what is applied and what is wanted to a plan. Pure: it reads no table and no clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from featurestore.graph.chain_order import upstream_first
from featurestore.graph.resolved import Graph, ResolvedView
from featurestore.graph.selection import service_features
from featurestore.intervals import DAY, LAST_MOMENT, Interval, IntervalSet, floor_to, whole_days
from featurestore.plan.stages import (
    Backfill,
    Change,
    ChangeKind,
    CreateTable,
    Materialize,
    Plan,
    Promote,
    QuietTime,
    Stage,
)

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class SourceSpan:
    """What a source holds now, from its statistics; of a view that is read, what it is filled for."""

    rows: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Situation:
    """All that deciding needs to know about the world."""

    applied: Graph | None
    serial: int | None
    """The number under which `applied` was applied."""
    covered: Mapping[str, IntervalSet]
    """What is filled, for each table that exists."""
    spans: Mapping[str, SourceSpan]
    online: Collection[str]
    """Tables that the online store holds now."""
    now: datetime
    keeps: Mapping[str, timedelta] = field(default_factory=dict)
    """How long after they happened rows are kept online, for the tables of which they are not kept for ever."""
    firsts: Mapping[str, datetime] = field(default_factory=dict)
    """When the rows of a table begin, where the sources do not say it."""
    outdated: Mapping[str, IntervalSet] = field(default_factory=dict)
    """What is filled of a table, but no longer from what its sources hold."""
    quiet: Mapping[str, datetime] = field(default_factory=dict)
    """Up to when no rows are in the sources of a table after what is filled of it, where that is known."""
    dated: Mapping[str, Collection[str]] = field(default_factory=dict)
    """For the table of each view that reads others, those of which each day touches no other day of it."""


def build_plan(wanted: Graph, situation: Situation) -> Plan:
    """What must happen for `wanted` to be what readers see."""
    changes = tuple(_changes(situation.applied or Graph(), wanted))
    asked = _asked_online(wanted, situation)
    stages: list[Stage] = []
    quiet: list[QuietTime] = []
    spans = dict(situation.spans)
    for view in upstream_first(wanted.views):
        until_then = replace(situation, spans=spans, outdated=_due(view, stages, situation))
        passed = _quiet_time(view, stages, until_then)
        quiet += passed
        until_then = replace(until_then, covered=_with_quiet_time(passed, until_then.covered))
        added = tuple(_view_stages(view, until_then, asked))
        stages += added
        if view.name not in situation.spans:  # nobody reads a view that has the name of a source
            spans[view.name] = _filled_span(view, added, until_then)
    if wanted != situation.applied:
        stages.append(Promote(wanted, situation.serial))
    return Plan(changes, tuple(stages), quiet=tuple(quiet))


def wanted_interval(
    view: ResolvedView,
    spans: Mapping[str, SourceSpan],
    now: datetime,
    *,
    first: datetime | None = None,
    covered: IntervalSet | None = None,
) -> Interval | None:
    """The event time a view should be filled for: from the day of its sources' first row to `wanted_end`; None where
    nothing is filled of a view that it reads.

    Sources without rows by now are filled, too: that nothing happened is an answer. What is `covered` already is not
    left behind, so that no hole is between it and now. `first`: the view's own first row, where it is not its sources'.
    """
    filled = {one.name: spans[one.name].last for one in view.upstreams}
    end = wanted_end(view, now, {name: None if last is None else last + _MICROSECOND for name, last in filled.items()})
    if end is None:
        return None
    firsts = [first] if first else [moment for name in _read(view) if (moment := spans[name].first) is not None]
    begins = [*firsts, end - _MICROSECOND, *(piece.start for piece in covered or ())]
    return Interval(floor_to(min(begins), DAY), end)


def wanted_end(view: ResolvedView, now: datetime, filled_to: Mapping[str, datetime | None]) -> datetime | None:
    """Up to when a view should be filled: for every answer of this moment, and no further. Of windows that is the last
    full hop whose rows are known by now. Without a hop it is what can be online by now: what happened up to and at this
    very moment, less the time until it is known and published, where that is the same for all rows.

    A view that reads others is filled no further than they are, which `filled_to` says; None where one is not at all.
    """
    if view.every is not None:
        end = floor_to(now - (view.delay or timedelta(0)), view.every)
    elif view.delay is None:
        end = now + _MICROSECOND
    else:
        end = now - view.delay - view.publish_delay + _MICROSECOND
    for upstream in view.upstreams:
        if (reached := filled_to[upstream.name]) is None:
            return None
        end = min(end, reached if view.every is None else floor_to(reached, view.every))
    return end


def estimated_rows(view: ResolvedView, missing: IntervalSet, spans: Mapping[str, SourceSpan]) -> int:
    """Source rows in `missing`, taking each source's rows to be spread evenly over its time."""
    total = 0.0
    for name in _read(view):
        span = spans[name]
        if span.first is None or span.last is None:
            continue
        last = min(span.last, LAST_MOMENT - _MICROSECOND)
        if span.first <= last:
            whole = Interval(span.first, last + _MICROSECOND)
            total += span.rows * ((missing & IntervalSet((whole,))).duration / (whole.end - whole.start))
    return round(total)


def _read(view: ResolvedView) -> tuple[str, ...]:
    """The names of all that a view reads: of sources, then of views."""
    return (*(source.name for source in view.sources), *(upstream.name for upstream in view.upstreams))


def _quiet_time(view: ResolvedView, stages: Collection[Stage], situation: Situation) -> tuple[QuietTime, ...]:
    """The time since what is filled, if nothing happened in it. A day that is filled again is filled up to now."""
    covered, quiet = situation.covered.get(view.table, IntervalSet()), situation.quiet.get(view.table)
    if not covered or quiet is None or any(_filling(upstream, stages) for upstream in view.upstreams):
        return ()
    reached = covered.intervals[-1].end
    end = _wanted(view, situation)
    day = IntervalSet((Interval(floor_to(reached - _MICROSECOND, DAY), reached),))
    if end is None or not reached < end.end <= quiet or situation.outdated.get(view.table, IntervalSet()) & day:
        return ()
    return (QuietTime(view, Interval(reached, end.end)),)


def _with_quiet_time(passed: Collection[QuietTime], covered: Mapping[str, IntervalSet]) -> Mapping[str, IntervalSet]:
    return {**covered, **{one.view.table: covered[one.view.table] | IntervalSet((one.time,)) for one in passed}}


def _wanted(view: ResolvedView, situation: Situation) -> Interval | None:
    first, covered = situation.firsts.get(view.table), situation.covered.get(view.table)
    return wanted_interval(view, situation.spans, situation.now, first=first, covered=covered)


def _filled_span(view: ResolvedView, stages: Collection[Stage], situation: Situation) -> SourceSpan:
    """What others can read of a view after these stages, and about how many rows that is."""
    filled = situation.covered.get(view.table, IntervalSet()) | _filling(view, stages)
    if not filled:
        return SourceSpan(0, None, None)
    whole = filled.intervals[0]
    rows = estimated_rows(view, IntervalSet((whole,)), situation.spans)
    return SourceSpan(rows, whole.start, whole.end - _MICROSECOND)


def _due(view: ResolvedView, stages: Collection[Stage], situation: Situation) -> Mapping[str, IntervalSet]:
    """What is outdated, and what will be by the fills of what the view reads."""
    if not view.upstreams:
        return situation.outdated
    covered = situation.covered.get(view.table, IntervalSet())
    due = situation.outdated.get(view.table, IntervalSet())
    for upstream in view.upstreams:
        refilled = _filling(upstream, stages)
        if refilled and upstream.name in situation.dated.get(view.table, ()):
            due |= whole_days(refilled, until=refilled.intervals[-1].end + DAY) & covered
        elif refilled:
            due |= covered
    return {**situation.outdated, view.table: due}


def _filling(view: ResolvedView, stages: Collection[Stage]) -> IntervalSet:
    """What the stages fill of the view."""
    return next(
        (stage.missing for stage in stages if isinstance(stage, Backfill) and stage.view.table == view.table),
        IntervalSet(),
    )


def _asked_online(wanted: Graph, situation: Situation) -> frozenset[str]:
    """The views that are asked for online as soon as `wanted` is promoted: those that are online now, and those of
    services that answer now."""
    before = situation.applied or Graph()
    online = {view.name for view in before.views if view.table in situation.online}
    answering = {
        service.name
        for service in before.services
        if all(view.name in online for view in service_features(before, service.name).views)
    }
    later = [service_features(wanted, service.name) for service in wanted.services if service.name in answering]
    return frozenset(online | {view.name for features in later for view in features.views})


def _view_stages(view: ResolvedView, situation: Situation, asked: Collection[str]) -> Iterator[Stage]:
    is_new = view.table not in situation.covered
    if is_new:
        yield CreateTable(view)
    covered = situation.covered.get(view.table, IntervalSet())
    interval = _wanted(view, situation)
    missing = IntervalSet((interval,)) - covered if interval else IntervalSet()
    missing |= situation.outdated.get(view.table, IntervalSet())
    if missing:
        yield Backfill(view, missing, estimated_rows(view, missing, situation.spans))
    if view.name in asked and not _answers_online(view, situation) and (missing or covered):
        yield Materialize(view)


def _answers_online(view: ResolvedView, situation: Situation) -> bool:
    """Whether the store holds the view's table, with every row that counts by the view's TTL as it is wanted."""
    keeps = situation.keeps.get(view.table)
    return view.table in situation.online and (keeps is None or (view.ttl is not None and view.ttl <= keeps))


def _changes(old: Graph, new: Graph) -> Iterator[Change]:
    yield from _view_changes(old, new)
    for kind, before, after in (
        ("entity", old.entities, new.entities),
        ("source", old.sources, new.sources),
        ("on_demand", old.on_demand, new.on_demand),
        ("service", old.services, new.services),
    ):
        earlier, later = {item.name: item for item in before}, {item.name: item for item in after}
        for name in sorted(later.keys() - earlier.keys()):
            yield Change(ChangeKind.ADDED, f"{kind}:{name}")
        for name in sorted(earlier.keys() - later.keys()):
            yield Change(ChangeKind.REMOVED, f"{kind}:{name}")
        for name in sorted(earlier.keys() & later.keys()):
            if earlier[name] != later[name]:
                yield Change(_kind(earlier[name], later[name]), f"{kind}:{name}")


def _kind(before: object, after: object) -> ChangeKind:
    same = getattr(before, "fingerprint", None) == getattr(after, "fingerprint", None)
    return ChangeKind.DESCRIBED if same and hasattr(before, "fingerprint") else ChangeKind.CHANGED


def _view_changes(old: Graph, new: Graph) -> Iterator[Change]:
    before, after = {view.name: view for view in old.views}, {view.name: view for view in new.views}
    for name in sorted(after.keys() - before.keys()):
        features = tuple(feature.name for feature in after[name].features)
        yield Change(ChangeKind.ADDED, f"view:{name}", features)
    for name in sorted(before.keys() - after.keys()):
        yield Change(ChangeKind.REMOVED, f"view:{name}")
    for name in sorted(before.keys() & after.keys()):
        if before[name].fingerprint != after[name].fingerprint:
            features = _changed_features(before[name], after[name])
            yield Change(ChangeKind.CHANGED, f"view:{name}", features, _changed_upstreams(before[name], after[name]))
        elif before[name] != replace(after[name], sources=before[name].sources, upstreams=before[name].upstreams):
            yield Change(ChangeKind.DESCRIBED, f"view:{name}")


def _changed_features(before: ResolvedView, after: ResolvedView) -> tuple[str, ...]:
    known = {feature.name: feature.fingerprint for feature in before.features}
    return tuple(feature.name for feature in after.features if known.get(feature.name) != feature.fingerprint)


def _changed_upstreams(before: ResolvedView, after: ResolvedView) -> tuple[str, ...]:
    known = {upstream.name: upstream.fingerprint for upstream in before.upstreams}
    return tuple(
        f"view:{one.name}" for one in after.upstreams if known.get(one.name, one.fingerprint) != one.fingerprint
    )
