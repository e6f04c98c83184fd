"""What every command shares: which project or server it speaks to, and how it answers.

`project_command` and `client_command` add the options `--project`, `--url` and `--json` to a function and hand it an
`Invocation` first, so that a command's own file holds only what is its own.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from sdk.cli.output import JsonOutput, Output, TextOutput
from sdk.cli.progress import BarProgress, LineProgress, Progress, SilentProgress

if TYPE_CHECKING:
    from sdk.client import Client
    from sdk.project import Project

P = ParamSpec("P")
Command = Callable[Concatenate["Invocation", P], int | None]
"""A command gives its exit code, or None for 0."""

SETTINGS_FILE = "knownat.toml"

ProjectOption = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="DIR",
        help=f"The project's folder. Default: KNOWNAT_PROJECT, or the nearest folder with a {SETTINGS_FILE}, upwards.",
        rich_help_panel="Shared options",
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Ask a server (see `knownat serve`) instead of opening the project's folder. Default: KNOWNAT_URL.",
        rich_help_panel="Shared options",
    ),
]
_RefusedUrlOption = Annotated[str | None, typer.Option("--url", hidden=True)]
"""Known, so that it can be said why not."""
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Answer in JSON on stdout, for scripts.", rich_help_panel="Shared options"),
]


@dataclass(frozen=True, slots=True)
class Shared:
    """The shared options as they were given before the command's name, and the variables that stand for them."""

    project: Path | None = None
    url: str | None = None
    json: bool = False
    project_variable: Path | None = None
    url_variable: str | None = None

    def with_options(self, project: Path | None, url: str | None, json: bool) -> Shared:
        """As given once more, nearer to the command's name. A folder named there is meant more than an address
        named before it."""
        return replace(
            self,
            project=project or self.project,
            url=url or (None if project else self.url),
            json=json or self.json,
        )


@dataclass(frozen=True, slots=True)
class Invocation:
    """One run of one command."""

    folder: Path
    url: str | None
    json: bool

    @property
    def output(self) -> Output:
        return JsonOutput() if self.json else TextOutput()

    def progress(self, doing: str) -> Progress:
        """A bar on a terminal, lines in a log, and nothing where a script reads."""
        if sys.stderr.isatty():
            return BarProgress(doing)
        return SilentProgress() if self.json else LineProgress(doing)

    @contextmanager
    def project(self) -> Iterator[Project]:
        """The project in the folder, open while the block runs."""
        from sdk.project import open_project

        with open_project(self.folder) as project:
            yield project

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client of the server or, without one, of the project in the folder."""
        from sdk.connecting import connect

        with connect(self.url or self.folder) as client:
            yield client


def project_command(command: Command[P]) -> Callable[..., int]:
    """A command for whoever owns the project's folder: `--project` and `--json`; an address is wrong use."""
    shared = {"project": ProjectOption, "url": _RefusedUrlOption, "json": JsonOption}
    return _with_options(command, shared, _on_folder)


def client_command(command: Command[P]) -> Callable[..., int]:
    """A command that works over HTTP as well: `--project`, `--url` and `--json`."""
    shared = {"project": ProjectOption, "url": UrlOption, "json": JsonOption}
    return _with_options(command, shared, _on_either)


def plain_command(command: Command[P]) -> Callable[..., int]:
    """A command that names its folder itself: `--json` alone; an address is wrong use."""
    return _with_options(command, {"url": _RefusedUrlOption, "json": JsonOption}, _on_own_folder)


def find_project(start: Path) -> Path:
    """The nearest folder from `start` upwards that is a project; `start` itself where there is none."""
    above = (folder for folder in (start, *start.parents) if (folder / SETTINGS_FILE).is_file())
    return next(above, start)


def _with_options(
    command: Command[P], shared: dict[str, Any], invocation: Callable[[typer.Context, dict[str, Any]], Invocation]
) -> Callable[..., int]:
    own = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=False if name == "json" else None, annotation=annotation
        )
        for name, annotation in shared.items()
    ]

    @wraps(command)
    def run(*, context: typer.Context, **options: Any) -> int:
        given = {name: options.pop(name) for name in shared}
        return command(invocation(context, given), **options) or 0  # type: ignore[call-arg]

    first = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [
        first,
        *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in list(own.parameters.values())[1:]),
        *added,
    ]
    # Typer reads both: some of its releases the signature, others the annotations.
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _on_either(context: typer.Context, given: dict[str, Any]) -> Invocation:
    shared = _before(context).with_options(**given)
    folder = shared.project or shared.project_variable
    address = shared.url or (None if shared.project else shared.url_variable)
    return Invocation(
        folder=find_project(Path.cwd()) if folder is None else folder, url=_checked_url(address), json=shared.json
    )


def _on_folder(context: typer.Context, given: dict[str, Any]) -> Invocation:
    """Whoever gives an address means a project that is elsewhere: the folder at hand is not that one."""
    before = _before(context)
    folder = given["project"] or before.project or before.project_variable
    is_option = (given["url"] or before.url) is not None
    if is_option or (folder is None and before.url_variable is not None):
        address = "--url" if is_option else "KNOWNAT_URL"
        context.fail(f"{context.info_name} works on a project's folder: leave out {address} and name it with --project")
    return Invocation(
        folder=find_project(Path.cwd()) if folder is None else folder, url=None, json=given["json"] or before.json
    )


def _on_own_folder(context: typer.Context, given: dict[str, Any]) -> Invocation:
    before = _before(context)
    if (given["url"] or before.url) is not None:
        context.fail(f"{context.info_name} works on a project's folder, the one it names: leave out --url")
    return Invocation(folder=Path.cwd(), url=None, json=given["json"] or before.json)


def _before(context: typer.Context) -> Shared:
    return context.find_object(Shared) or Shared()


def _checked_url(url: str | None) -> str | None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{url!r} is no address: it starts with http:// or https://", param_hint="--url")
    return url
