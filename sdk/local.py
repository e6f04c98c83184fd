"""The transport within this process: a project's folder, opened and asked directly. No JSON, no copies.

Loads the storeys below, each function what it needs, so that `import sdk` does not.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO, assert_never

from sdk import log_requests, requests
from sdk.results import OnlineColumn, OnlineResult

if TYPE_CHECKING:
    from featurestore.operations.answered_rows import OnlineAnswer, OnlineValues
    from featurestore.operations.chosen_features import FeatureChoice
    from featurestore.service.answers import LoggedAnswers
    from featurestore.service.served import ServedFeatures
    from registry.service.served import ServedProject
    from registry.wiring import WiredProject


def open_local(folder: Path, settings: Mapping[str, object] | None = None) -> LocalTransport:
    """The project in `folder`; closing the transport closes it. Raises SettingsError."""
    from registry.wiring import open_project

    return LocalTransport(open_project(folder, settings), owns_project=True)


def transport_of(project: WiredProject) -> LocalTransport:
    """The way into a project that someone else has wired, and will close."""
    return LocalTransport(project, owns_project=False)


class LocalTransport:
    """A Transport over a wired project. `owns_project`: closing it closes the project."""

    def __init__(self, project: WiredProject, *, owns_project: bool) -> None:
        from registry.wiring import served_project

        self._project = project
        self._served = served_project(project)
        self._owns_project = owns_project

    def online(self, request: requests.Online) -> OnlineResult:
        from featurestore.service.answers import look_up

        return _online_result(look_up(self._served.features, _choice(request.choice), request.entities, at=request.at))

    async def online_async(self, request: requests.Online) -> OnlineResult:
        from featurestore.service.answers import look_up_async

        choice = _choice(request.choice)
        return _online_result(await look_up_async(self._served.features, choice, request.entities, at=request.at))

    async def push_async(self, question: requests.Push) -> object:
        return await asyncio.to_thread(self.ask, question)

    def refresh(self) -> None:
        """Something was applied in this process: the next lookup knows of it."""
        self._served.features.lookups.refresh()

    def ask(self, question: requests.Question) -> object:
        if isinstance(question, requests.FeatureQuestion):
            return _ask_features(self._served.features, question)
        if isinstance(question, requests.RegisterModel):
            return _register(self._served, question)
        if isinstance(question, requests.Push):
            from featurestore.service.push_answers import pushed

            return pushed(self._served.features, question.view, question.rows, key=question.key)
        return _ask_registry(self._served, question)

    def download(self, wanted: requests.Download, into: BinaryIO) -> None:
        from registry.reference import ModelReference
        from registry.service.answers import artifact

        match wanted:
            case log_requests.LoggedSpine(logged):
                _write_spine(self._served.features, logged, into)
                return
            case requests.DatasetFile(dataset):
                archive = self._served.features.archive
                chunks = archive.objects.read(archive.datasets.get(dataset).result)
            case requests.ArtifactFile(reference):
                chunks = artifact(self._served, ModelReference.parse(reference)).chunks
        for chunk in chunks:
            into.write(chunk)

    def close(self) -> None:
        self._served.features.lookups.close()
        if self._owns_project:
            self._project.close()

    async def aclose(self) -> None:
        await self._served.features.readers.close()
        self.close()


def _ask_features(  # noqa: C901, PLR0911 - one answer for each question
    features: ServedFeatures, question: requests.FeatureQuestion
) -> object:
    from featurestore.operations.audit_views import AuditChoice
    from featurestore.service import answers

    match question:
        case requests.PullTrainingSet(choice, spine, timestamp, label, keep_spine, as_served):
            options = answers.SpineOptions(timestamp, label, keep_spine, as_served)
            return answers.pull(features, _choice(choice), spine, options)
        case requests.ExplainKnown(choice, spine, timestamp):
            return answers.explained(features, _choice(choice), spine, timestamp=timestamp)
        case requests.ListDatasets():
            return answers.datasets(features)
        case requests.ReadDataset(dataset):
            return answers.dataset(features, dataset)
        case requests.Rebuild(dataset):
            return answers.rebuilt(features, dataset)
        case requests.Audit(view, sample):
            return answers.audited(features, view, sample=sample)
        case requests.Audits(views, service, model, sample):
            return answers.audits(features, AuditChoice(views, service, model), sample=sample)
        case log_requests.Skew(logged, examples):
            return answers.skewed(features, _logged(logged), examples=examples)
        case requests.Lineage(urn, down):
            return answers.lineage(features, urn, down=down)
        case requests.Status():
            return answers.status(features)
        case requests.Catalog():
            return answers.catalog(features)
        case _:
            assert_never(question)


def _ask_registry(served: ServedProject, question: requests.ModelQuestion) -> object:
    from registry.reference import ModelReference
    from registry.service import answers

    match question:
        case requests.ListModels():
            return answers.models(served)
        case requests.ReadModel(name):
            return answers.model(served, name)
        case requests.ReadVersion(reference):
            return answers.version(served, ModelReference.parse(reference))
        case requests.SetAlias(model, alias, version):
            return answers.point_alias(served, model, alias, version)
        case requests.DeleteAlias(model, alias):
            answers.forget_alias(served, model, alias)
            return None
        case _:
            assert_never(question)


def _register(served: ServedProject, question: requests.RegisterModel) -> object:
    from registry.service.answers import register
    from registry.service.registrations import registration_request

    request = registration_request(question.name, question.particulars)
    if isinstance(question.artifact, bytes):
        return register(served, request, io.BytesIO(question.artifact))
    with question.artifact.open("rb") as content:
        return register(served, request, content)


def _logged(logged: log_requests.Logged) -> LoggedAnswers:
    from featurestore.service.answers import LoggedAnswers

    return LoggedAnswers(logged.service, logged.model, logged.since)


def _write_spine(features: ServedFeatures, logged: log_requests.Logged, into: BinaryIO) -> None:
    from featurestore.service.answers import write_logged_spine

    with TemporaryDirectory(prefix="knownat-") as folder:
        path = Path(folder) / "serving-log.parquet"
        write_logged_spine(features, _logged(logged), path)
        with path.open("rb") as file:
            copyfileobj(file, into)


def _choice(choice: requests.Choice) -> FeatureChoice:
    from featurestore.operations.chosen_features import FeatureChoice

    return FeatureChoice(choice.service, choice.features, choice.model)


def _online_result(answer: OnlineAnswer) -> OnlineResult:
    names = tuple([output.name for output in answer.outputs])
    return OnlineResult(
        answer.at, answer.rows, names, answer.values, lambda: tuple(map(_online_column, answer.columns))
    )


def _online_column(column: OnlineValues) -> OnlineColumn:
    output = column.column
    return OnlineColumn(
        output.name,
        output.reference,
        output.dtype.value,
        output.fingerprint,
        tuple(column.values),
        tuple(status.value for status in column.statuses),
        column.event_timestamps,
    )
