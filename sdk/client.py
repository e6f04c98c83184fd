"""The client: one object for a project in this process and for one behind HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from sdk import log_requests, requests
from sdk.audits import AuditReport, AuditResult, audit_report, audit_result
from sdk.documents import known_report, lineage_tree, model_version, registered_model
from sdk.entities import checked_entities, plain_rows
from sdk.output_file import new_file
from sdk.push_result import PushResult, push_result
from sdk.registration import particulars
from sdk.results import KnownReport, LineageTree, ModelVersion, OnlineResult, RegisteredModel, TrainingSet
from sdk.skew import SkewResult, skew_result
from sdk.spines import Spine, frame_table, spine_table
from sdk.transport import Transport


class Client:
    """What can be asked of a project. Threads may share one; close it, or use it as a context manager.

    Features are chosen by `service`, by `features` (references `view:feature`, `view:*`, or on-demand names), or,
    online, by `model`. Every method raises KnownatError; `sdk.errors` has the classes.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.models = ModelsClient(transport)

    def training_set(  # noqa: PLR0913 - a form with many optional fields, all by keyword
        self,
        spine: Spine,
        *,
        service: str | None = None,
        features: Iterable[str] | None = None,
        timestamp: str = "event_timestamp",
        label: str | None = None,
        keep_spine: bool = True,
        as_served: bool = False,
    ) -> TrainingSet:
        """The features of each of the spine's rows, as they were known at its `timestamp`; with `as_served`, as the
        online store answered then: from what it had been filled with, and nothing where a view was not online yet.

        Every row comes back once, in its place, its own columns untouched. The same pull has the same id. Raises
        SpineError, UnknownName, NotApplied.
        """
        choice = requests.Choice.of(service=service, features=features)
        return self._dataset(
            requests.PullTrainingSet(choice, spine_table(spine), timestamp, label, keep_spine, as_served),
        )

    def explain_known(
        self,
        spine: Spine,
        *,
        service: str | None = None,
        features: Iterable[str] | None = None,
        timestamp: str = "event_timestamp",
    ) -> KnownReport:
        """How many cells of this training set would differ, by feature, if event time alone were used: if everything
        were known and online the moment it happened. Keeps nothing. Raises SpineError, UnknownName, NotApplied.
        """
        choice = requests.Choice.of(service=service, features=features)
        return known_report(
            _document(self._transport.ask(requests.ExplainKnown(choice, spine_table(spine), timestamp)))
        )

    def dataset(self, dataset: str) -> TrainingSet:
        """A dataset that was pulled before, by its id or the start of it. Raises UnknownName."""
        return self._dataset(requests.ReadDataset(dataset))

    def datasets(self) -> list[dict[str, Any]]:
        """What was pulled so far, oldest first."""
        return _list(self._transport.ask(requests.ListDatasets()))

    def rebuild(self, dataset: str) -> TrainingSet:
        """Compute a dataset again from what it was made of, and see that it is the same to the byte.

        Raises DatasetGone, naming what is missing, or DatasetDiffers.
        """
        return self._dataset(requests.Rebuild(dataset))

    def online(
        self,
        *,
        service: str | None = None,
        features: Iterable[str] | None = None,
        model: str | None = None,
        entities: Iterable[Mapping[str, object]] | Mapping[str, Iterable[object]],
        at: datetime | None = None,
    ) -> OnlineResult:
        """The features of each entity as the online store has them, each with a status. `entities` are rows, dicts of
        columns to values, or one dict of columns to lists of values.

        `model` (`fraud@champion`, `fraud@3`) gives exactly the features which that version was trained on. `at` asks
        a store that has been filled up to then for that moment, in a replay. Raises EntityRowsError, UnknownName,
        NotMaterialized, LookupInThePast.
        """
        return self._transport.online(_lookup(service, features, model, entities, at))

    async def online_async(
        self,
        *,
        service: str | None = None,
        features: Iterable[str] | None = None,
        model: str | None = None,
        entities: Iterable[Mapping[str, object]] | Mapping[str, Iterable[object]],
        at: datetime | None = None,
    ) -> OnlineResult:
        """As `online`, without holding the event loop up. Close the client with `async with` or `aclose` then."""
        return await self._transport.online_async(_lookup(service, features, model, entities, at))

    def push(self, view: str, rows: Spine | Iterable[Mapping[str, object]], *, key: str) -> PushResult:
        """Append rows to the history of `view`, in the columns of its FrameSource, and bring them online.

        `rows` are dicts, or a frame (pandas, Polars, Arrow, or the path of a Parquet file). They are durable when this
        returns; `online` of the result says whether they are online, too, and `reason` why not. The source's known
        timestamp may be left out: the rows are then known as they arrive.

        `key` names this piece of data: pushed again, it changes nothing, and finishes what is unfinished; with other
        rows it is refused. Raises InvalidRequest, EntityRowsError, UnknownName.
        """
        return push_result(_document(self._transport.ask(requests.Push(view, _pushed(rows), key))))

    async def push_async(self, view: str, rows: Spine | Iterable[Mapping[str, object]], *, key: str) -> PushResult:
        """As `push`, without holding the event loop up."""
        return push_result(_document(await self._transport.push_async(requests.Push(view, _pushed(rows), key))))

    def register_model(
        self,
        name: str,
        artifact: bytes | str | Path,
        *,
        dataset: str | None = None,
        no_dataset: bool = False,
        no_dataset_reason: str | None = None,
        **more: Any,
    ) -> ModelVersion:
        """A new version of the model `name`, trained on `dataset`: an id, or `no_dataset=True` and the reason.

        `artifact` is the model's file or its bytes; nobody looks into it. `more` is any of params, metrics,
        environment, code_commit, signature, description, tags, registered_by, run_id, file_name, and key, which makes
        the call repeatable. Left out, environment holds Python and the libraries that are installed, and code_commit
        is the commit checked out here. Raises InvalidRegistration, UnknownName, RegistrationKeyReused.
        """
        told = {"dataset": dataset, "no_dataset": no_dataset, "no_dataset_reason": no_dataset_reason, **more}
        return model_version(_document(self._transport.ask(particulars(name, artifact, told))))

    def lineage(self, urn: str, *, down: bool = False) -> LineageTree:
        """What `urn` is made of; `down=True`: what is made of it. Raises UnknownName, InvalidReference."""
        return lineage_tree(_document(self._transport.ask(requests.Lineage(urn, down))))

    def audit(self, view: str, *, sample: int = 1000) -> AuditResult:
        """Compare the view's online values of up to `sample` stored keys, and as many that should be, with the
        point-in-time answer, and say why each differs that does. Raises NotMaterialized, UnknownName."""
        return audit_result(_document(self._transport.ask(requests.Audit(view, sample))))

    def audits(
        self,
        *,
        views: Iterable[str] | None = None,
        service: str | None = None,
        model: str | None = None,
        sample: int = 1000,
    ) -> AuditReport:
        """The audits of these views, of a feature service's or of those that a model was trained on, at exactly its
        fingerprints; by default of every applied view. One that is not online is told. Raises UnknownName, NotApplied.
        """
        return audit_report(_document(self._transport.ask(requests.Audits.of(views, service, model, sample))))

    def skew(
        self,
        *,
        service: str | None = None,
        model: str | None = None,
        since: datetime | None = None,
        examples: int = 5,
    ) -> SkewResult:
        """Compare the values of the serving log with the point-in-time answers at the moments of the requests: of a
        service, of a model (`fraud@champion` is the version that it means now), or all; from `since` on.

        Raises NothingLogged.
        """
        logged = log_requests.Logged(service, model, requests.utc(since, what="since"))
        return skew_result(_document(self._transport.ask(log_requests.Skew(logged, examples))))

    def serving_log(
        self, *, service: str | None = None, model: str | None = None, since: datetime | None = None
    ) -> pa.Table:
        """What was asked, as a spine: `requested_at`, join keys and request inputs of the logged requests.

        Pull with it by `training_set(client.serving_log(service=…), service=…, timestamp="requested_at")`. Raises
        NothingLogged.
        """
        logged = log_requests.Logged(service, model, requests.utc(since, what="since"))
        return _read_parquet(self._transport, log_requests.LoggedSpine(logged))

    def status(self) -> list[dict[str, Any]]:
        """For each applied view, how far it is filled offline and online, and `true_publish_delay` beside the declared
        `publish_delay`: how long what had become known waited until it was online, over the last runs."""
        return _list(self._transport.ask(requests.Status()))

    def catalog(self) -> dict[str, Any]:
        """Everything that is applied: entities, sources, views with their features, on-demand features, services."""
        return _document(self._transport.ask(requests.Catalog()))

    def close(self) -> None:
        self._transport.close()

    async def aclose(self) -> None:
        await self._transport.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    def _dataset(self, question: requests.PullTrainingSet | requests.ReadDataset | requests.Rebuild) -> TrainingSet:
        manifest = _document(self._transport.ask(question))
        wanted = requests.DatasetFile(str(manifest["id"]))

        @cache
        def read() -> pa.Table:
            return _read_parquet(self._transport, wanted)

        def save(path: Path, overwrite: bool) -> None:
            with new_file(path, overwrite=overwrite) as file:
                self._transport.download(wanted, file)

        return TrainingSet(manifest, read, save)


class ModelsClient:
    """The registered models of a project: `client.models`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> list[RegisteredModel]:
        return [registered_model(model) for model in _list(self._transport.ask(requests.ListModels()))]

    def get(self, reference: str) -> ModelVersion | RegisteredModel:
        """A version by `name@3` or `name@alias`; by `name`, the model with all its versions and aliases.

        Raises ModelNotFound, VersionNotFound, AliasNotFound, InvalidModelReference.
        """
        if "@" in reference:
            return model_version(_document(self._transport.ask(requests.ReadVersion(reference))))
        return registered_model(_document(self._transport.ask(requests.ReadModel(reference))))

    def set_alias(self, model: str, alias: str, version: int) -> None:
        """From now on `model@alias` means this version. Raises ModelNotFound, VersionNotFound, InvalidAlias."""
        self._transport.ask(requests.SetAlias(model, alias, version))

    def delete_alias(self, model: str, alias: str) -> None:
        """Raises ModelNotFound, AliasNotFound."""
        self._transport.ask(requests.DeleteAlias(model, alias))

    def download(self, reference: str, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the version's artifact to `path`, verified; a folder takes it under the name it was registered with.

        Raises OutputExists, changing nothing, where a file with other bytes is there already, unless `overwrite`.
        """
        target = Path(path)
        if target.is_dir():
            version = _document(self._transport.ask(requests.ReadVersion(reference)))
            target /= Path(version["artifact"]["file_name"]).name  # a server has no say in which folder
        with new_file(target, overwrite=overwrite) as file:
            self._transport.download(requests.ArtifactFile(reference), file)
        return target


def _lookup(
    service: str | None,
    features: Iterable[str] | None,
    model: str | None,
    entities: Iterable[Mapping[str, object]] | Mapping[str, Iterable[object]],
    at: datetime | None,
) -> requests.Online:
    choice = requests.Choice.of(service=service, features=features, model=model)
    return requests.Online(choice, checked_entities(entities), requests.utc(at))


def _read_parquet(transport: Transport, wanted: requests.Download) -> pa.Table:
    # By its path: pyarrow's threads may hold on to a Python file until the interpreter is torn down, and abort.
    with TemporaryDirectory(prefix="knownat-") as folder:
        path = Path(folder) / "rows.parquet"
        with path.open("wb") as file:
            transport.download(wanted, file)
        return pq.read_table(path)


def _pushed(rows: Any) -> pa.Table | tuple[Mapping[str, object], ...]:
    """Rows one by one as they are, and a frame as a table."""
    one_by_one = isinstance(rows, list | tuple | Iterator) and not isinstance(rows, pa.RecordBatchReader)
    return plain_rows(rows) if one_by_one else frame_table(rows)


def _document(answer: object) -> dict[str, Any]:
    assert isinstance(answer, dict)  # noqa: S101 - what the transport promises for these questions
    return answer


def _list(answer: object) -> list[dict[str, Any]]:
    assert isinstance(answer, list)  # noqa: S101 - what the transport promises for these questions
    return answer
