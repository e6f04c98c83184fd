"""A project as whoever owns its folder sees it: plan, apply, backfill, materialize. Not over HTTP.

`open_project` loads the storeys below; everything a project's readers do goes through its `client`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from featurestore.graph.resolved import ResolvedView
    from featurestore.operations.apply import Progress
    from featurestore.operations.damage import VerifyReport
    from featurestore.operations.fill_chunks import ChunkFilled
    from featurestore.operations.garbage import Garbage, GarbagePlan
    from featurestore.operations.materialize import Materialized
    from featurestore.operations.run_due import Due
    from featurestore.operations.source_rows import Rejected
    from featurestore.operations.verify import Restored
    from featurestore.plan.stages import HeldRows, LateRows, Plan
    from featurestore.ports.frames import Pushed
    from featurestore.spec.source import FrameSource
    from registry.wiring import WiredProject
    from sdk.client import Client
    from sdk.local import LocalTransport
    from sdk.spines import Spine
    from sdk.stream_consumer import StreamConsumer


def open_project(path: str | Path, *, settings: Mapping[str, object] | None = None) -> Project:
    """The project in the folder `path`. Use it in a `with` block, or close it when done.

    `settings` go before those of knownat.toml, table by table: `{"online": {"path": ".knownat/replay.sqlite"}}`.
    Raises SettingsError when there is no project, or its settings are wrong.
    """
    from featurestore.settings import read_settings
    from registry.wiring import wire_project

    return Project(wire_project(read_settings(Path(path), settings)))


def check_folder(path: Path) -> None:
    """Raises SettingsError when no project can lie in this folder, because of its name."""
    from featurestore.adapters.addresses import table_address

    table_address(path)


class Project:
    """What to do with a project: change what is applied, fill its tables, and look after them.

    Work that takes long comes as an iterator of progress records: it happens as the iterator is read, and stops when
    it is not. Each of these can be repeated; after a crash or Ctrl-C, the same call goes on where it stopped.
    """

    def __init__(self, wired: WiredProject) -> None:
        self._wired = wired
        self._client: Client | None = None
        self._transport: LocalTransport | None = None

    @property
    def client(self) -> Client:
        """What readers of this project use, in process. Closed with the project."""
        if self._client is None:
            from sdk.client import Client
            from sdk.local import transport_of

            self._transport = transport_of(self._wired)
            self._client = Client(self._transport)
        return self._client

    def views(self, names: Sequence[str] | None = None) -> tuple[str, ...]:
        """The names of the views that are kept filled: all of them, or `names` when each is one.

        Those are the applied views and, at the fingerprints that models were trained on, earlier ones.
        Raises NotApplied, UnknownName.
        """
        return tuple(dict.fromkeys(view.name for view in self._views(names)))

    def plan(self) -> Plan:
        """What must happen for the definitions to be what readers see. Reads only.

        Raises DefinitionsError with every problem of the definitions.
        """
        from featurestore.operations.make_plan import make_plan

        features = self._wired.features
        features.online.check()
        return make_plan(features.project, features.offline, features.online, now=features.clock())

    def apply(self, plan: Plan | None = None) -> Iterator[Progress]:
        """Carry out `plan`, by default a new one."""
        from featurestore.operations.apply import apply
        from featurestore.operations.clock import check_clock

        features = self._wired.features
        if features.project.catalog.serial() is not None:
            check_clock(self._views(None), features.offline, features.online, now=features.clock())
        yield from apply(
            self.plan() if plan is None else plan,
            features.project.catalog,
            features.offline,
            features.online,
            now=features.clock(),
            chunk_days=features.settings.engine.chunk_days,
        )
        if self._transport is not None:
            self._transport.refresh()

    def backfill(
        self,
        *,
        views: Sequence[str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        recompute: bool = False,
        accept_removed: bool = False,
    ) -> Iterator[ChunkFilled]:
        """Fill what is missing of the views, by default all of them, in the event time `[start, end)`.

        `recompute` fills again what is filled already, for sources whose past was corrected. `accept_removed` lets rows
        go this once that are gone from sources which hold them: see `held_rows`.
        Raises NotApplied, UnknownName.
        """
        from featurestore.operations.clock import check_clock
        from featurestore.operations.fill_views import FillRequest, fill_views

        features = self._wired.features
        request = FillRequest(self._views(views), _moment(start), _moment(end), recompute, accept_removed)
        check_clock(request.views, features.offline, features.online, now=features.clock())
        chunk_days = features.settings.engine.chunk_days
        yield from fill_views(request, features.offline, now=features.clock(), chunk_days=chunk_days)

    def materialize(
        self, *, views: Sequence[str] | None = None, until: datetime | None = None, full: bool = False
    ) -> Iterator[Materialized]:
        """Copy what has newly become true up to `until`, by default now, into the online store.

        `full` copies every key, and removes those that are gone. Raises NotApplied, UnknownName.
        """
        from featurestore.operations.clock import check_clock
        from featurestore.operations.materialize import MaterializeRequest, materialize
        from featurestore.operations.served_views import served_views

        features = self._wired.features
        now, chosen = features.clock(), _chosen(served_views(features.project), views)
        check_clock(chosen, features.offline, features.online, now=now)
        for view in chosen:
            request = MaterializeRequest(view, _moment(until) or now, full)
            yield materialize(request, features.offline, features.online, now=now)

    def run_due(self, *, views: Sequence[str] | None = None, set_back: bool = False) -> Iterator[Due]:
        """Do what is due of the views, by default all: fill what is missing, late or restated, then bring those up to
        date that are online. An error of a view is told as a Refused, one that another process is at as Busy.

        Views that were filled by a clock ahead of this one are refused; `set_back` fills them as of now.

        Raises NotApplied, UnknownName.
        """
        from featurestore.operations.run_due import DueRequest, run_due

        features = self._wired.features
        request = DueRequest(self._views(views), features.clock(), features.settings.engine.chunk_days, set_back)
        yield from run_due(request, features.offline, features.online, features.locks)

    def late_rows(self, views: Sequence[str] | None = None) -> tuple[LateRows, ...]:
        """For each view, the rows that arrived later than its declared lateness, where there are any: they are in the
        sources and in no table until a backfill recomputes their days. Raises NotApplied, UnknownName.
        """
        from featurestore.operations.outdated import outdated

        features = self._wired.features
        declaring = (view for view in self._views(views) if view.lateness is not None)
        found = (outdated(view, features.offline, now=features.clock()) for view in declaring)
        return tuple(one.late for one in found if one.late)

    def held_rows(self, views: Sequence[str] | None = None) -> tuple[HeldRows, ...]:
        """For each view, the rows that its table holds although they are gone from its sources, where there are any.
        They end when they are back in the source, by `backfill(accept_removed=True)`, or when the source is declared
        otherwise (`removed_rows`). Raises NotApplied, UnknownName.
        """
        from featurestore.operations.hold_rows import held_rows

        coverage = self._wired.features.offline.coverage
        found = (held_rows(view, coverage.coverage(view.table)) for view in self._views(views))
        return tuple(one for one in found if one)

    def push(self, source: str | FrameSource, frame: Spine, *, key: str) -> Pushed:
        """Append a frame's rows (pandas, Polars, Arrow, or the path of a Parquet file) to a FrameSource, by its name or
        as it was declared. They are durable when this returns; the next `apply` or `backfill` fills views with them.

        `key` names this piece of data, such as a day: pushed again, it changes nothing. The frame must have exactly the
        columns that the source declares; nothing is cast that could lose something. Raises InvalidRequest, UnknownName.
        """
        from featurestore.operations.push_frame import push_frame
        from sdk.spines import frame_table

        declared = self._frame_source(source) if isinstance(source, str) else source
        self._wired.features.offline.claim()
        return push_frame(declared, frame_table(frame), key, self._wired.features.frames)

    def consumer(
        self, view: str, *, stream: str, group: str = "knownat", consumer: str | None = None
    ) -> StreamConsumer:
        """A consumer that feeds a view from a stream in Redis, named by its key. Use it in a `with` block.

        `consumer` tells the members of a group apart, by default the name of this machine: one that is started again
        under its name goes on at once with what it was given before. Raises NotApplied, UnknownName, SettingsError;
        InvalidRequest for a view that reads anything but one FrameSource.
        """
        from sdk.stream_consumer import open_consumer

        self._wired.features.offline.claim()
        return open_consumer(self._wired.features, view, (stream, group, consumer))

    def rejected(self, view: str) -> Rejected:
        """How many rows of the view's sources can never be a feature's value, and why. Raises NotApplied, UnknownName.

        A row needs an event timestamp, the moment it was known at, and a key.
        """
        from featurestore.operations.chosen_features import applied_graph
        from featurestore.operations.source_rows import count_rejected

        features = self._wired.features
        chosen = applied_graph(features.project.catalog).graph.view(view)
        return count_rejected(chosen, features.offline)

    def verify(self, *, deep: bool = False) -> VerifyReport:
        """Look whether everything that datasets, models and readers rely on is there, and what it was.

        Without `deep` files are counted and measured; with it, every byte is read. Changes nothing, but takes the
        digests of files that were written before digests were kept.
        """
        from featurestore.operations.verify import verify

        self._wired.features.online.check()
        return verify(self._wired.features.premises, deep=deep)

    def repair(self) -> Iterator[Restored]:
        """Put the tables' log entries back as they were recorded, and remove those that were never finished."""
        from featurestore.operations.verify import repair_logs

        self._wired.features.offline.claim()
        yield from repair_logs(self._wired.features.premises)

    def garbage(self, *, grace: timedelta | None = None) -> GarbagePlan:
        """What nobody needs, and why the rest must stay. Removes nothing.

        What was written within `grace`, by default a day, stays: someone may be at work on it.
        """
        from featurestore.operations.collect_garbage import GarbageRequest, find_garbage
        from featurestore.operations.garbage import DEFAULT_GRACE
        from featurestore.settings import machine_clock

        features = self._wired.features
        kept = DEFAULT_GRACE if grace is None else grace
        return find_garbage(GarbageRequest(features.clock(), machine_clock(), kept), features.premises)

    def collect_garbage(self, plan: GarbagePlan | None = None) -> Iterator[Garbage]:
        """Remove what `plan` says, by default a new one, and report each part as it is gone."""
        from featurestore.operations.collect_garbage import collect_garbage

        self._wired.features.offline.claim()
        yield from collect_garbage(self.garbage() if plan is None else plan, self._wired.features.premises)

    def delete_dataset(self, dataset: str) -> str:
        """Forget a dataset, by its id or the start of it, and return the id: nothing is kept for it any more.

        Its bytes go with the next garbage. Raises UnknownName, DatasetInUse when a model was trained on it.
        """
        from featurestore.operations.delete_dataset import delete_dataset

        self._wired.features.offline.claim()
        return delete_dataset(dataset, self._wired.features.project).id

    def close(self) -> None:
        """Release everything. Closing twice is harmless."""
        if self._transport is not None:
            self._transport.close()
        self._wired.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _frame_source(self, name: str) -> FrameSource:
        """The frame source of this name, as the definitions declare it now: it need not be applied yet."""
        from featurestore.errors import UnknownName
        from featurestore.spec.source import FrameSource

        declared = self._wired.features.project.definitions.load().sources
        frames = {source.name: source for source in declared if isinstance(source, FrameSource)}
        if name not in frames:
            raise UnknownName("frame source", name, frames)
        return frames[name]

    def _views(self, names: Sequence[str] | None) -> tuple[ResolvedView, ...]:
        """The views of these names, by default all: as they are applied, and as models were trained on them; each after
        those that it reads."""
        from featurestore.operations.served_views import filled_views

        return _chosen(filled_views(self._wired.features.project), names)


def _chosen(views: tuple[ResolvedView, ...], names: Sequence[str] | None) -> tuple[ResolvedView, ...]:
    from featurestore.errors import UnknownName

    known = {view.name for view in views}
    if unknown := [name for name in names or () if name not in known]:
        raise UnknownName("feature view", unknown[0], known)
    return tuple(view for view in views if names is None or view.name in names)


def _moment(moment: datetime | None) -> datetime | None:
    """In UTC; a naive moment is read as UTC."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
