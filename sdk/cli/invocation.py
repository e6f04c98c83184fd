"""What every command shares: which project or server it speaks to, and how it answers.

`project_command` and `client_command` add the options `--project`, `--url` and `--json` to a function and hand it an
`Invocation` first, so that a command's own file holds only what is its own.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Answer in JSON on stdout, for scripts.", rich_help_panel="Shared options"),
]


@dataclass(frozen=True, slots=True)
class Shared:
    """The shared options as they were given before the command's name."""

    project: Path | None = None
    url: str | None = None
    json: bool = False


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
    """A command for whoever owns the project's folder: `--project` and `--json`."""
    return _with_options(command, {"project": ProjectOption, "json": JsonOption})


def client_command(command: Command[P]) -> Callable[..., int]:
    """A command that works over HTTP as well: `--project`, `--url` and `--json`."""
    return _with_options(command, {"project": ProjectOption, "url": UrlOption, "json": JsonOption})


def plain_command(command: Command[P]) -> Callable[..., int]:
    """A command that needs no project: `--json` alone."""
    return _with_options(command, {"json": JsonOption})


def find_project(start: Path) -> Path:
    """The nearest folder from `start` upwards that is a project; `start` itself where there is none."""
    above = (folder for folder in (start, *start.parents) if (folder / SETTINGS_FILE).is_file())
    return next(above, start)


def _with_options(command: Command[P], shared: dict[str, Any]) -> Callable[..., int]:
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
        return command(_invocation(context, given), **options) or 0  # type: ignore[call-arg]

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


def _invocation(context: typer.Context, given: dict[str, Any]) -> Invocation:
    """The options after the command's name, or else those before it."""
    before = context.find_object(Shared) or Shared()
    folder = given.get("project") or before.project
    return Invocation(
        folder=find_project(Path.cwd()) if folder is None else folder,
        # A folder named beside the command is meant more than an address named before it.
        url=_checked_url(given.get("url") or (None if given.get("project") else before.url)),
        json=given["json"] or before.json,
    )


def _checked_url(url: str | None) -> str | None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{url!r} is no address: it starts with http:// or https://", param_hint="--url")
    return url
