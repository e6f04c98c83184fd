"""The command `knownat`: its subcommands, and how a run of it ends.

Exit codes: 0 done, 1 refused or found something, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from featurestore.errors import KnownatError
from sdk.cli import (
    audit,
    consume,
    datasets,
    fill,
    gc,
    init,
    lineage,
    models,
    online,
    plan,
    push,
    serve,
    skew,
    status,
    verify,
)
from sdk.cli import run as run_command
from sdk.cli.invocation import JsonOption, ProjectOption, Shared, UrlOption
from sdk.cli.output import JsonOutput, Output, TextOutput


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"knownat {version('knownat')}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the installed version.")
]

DONE, REFUSED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="knownat",
    help="A feature store and a model registry in one: a training row holds what was known at its time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(init.init)
app.command()(plan.plan)
app.command()(plan.apply)
app.command()(fill.backfill)
app.command()(fill.materialize)
app.command()(run_command.run)
app.command()(consume.consume)
app.command("training-set")(datasets.training_set)
app.command()(datasets.rebuild)
app.add_typer(datasets.app, name="datasets")
app.command()(push.push)
app.command()(online.online)
app.command()(audit.audit)
app.command()(skew.skew)
app.command("serving-log")(skew.serving_log)
app.command()(verify.verify)
app.command("gc")(gc.collect)
app.command()(lineage.lineage)
app.command()(status.status)
app.command()(models.register)
app.add_typer(models.app, name="models")
app.command()(serve.serve)


@app.callback()
def shared(
    context: typer.Context,
    project: ProjectOption = None,
    url: UrlOption = None,
    json: JsonOption = False,
    version: VersionOption = False,  # noqa: ARG001 - its callback has ended the run
) -> None:
    """A feature store and a model registry in one: a training row holds what was known at its time."""
    folder = os.environ.get("KNOWNAT_PROJECT")
    context.obj = Shared(
        project=project,
        url=url,
        json=json,
        project_variable=Path(folder) if folder else None,
        url_variable=os.environ.get("KNOWNAT_URL") or None,
    )


def main() -> NoReturn:
    """What the installed command runs."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal can not show stops nothing
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has heard enough, as `head` does. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = REFUSED
    if _is_anything_left_behind():
        # A thread is still at work that nobody can end: what the interpreter does at its end would not do it good.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _is_anything_left_behind() -> bool:
    patience = sys.modules.get("featurestore.adapters.patience")  # not loaded where nothing was waited for
    return patience is not None and patience.is_anything_left_behind()


def run(arguments: Sequence[str]) -> int:
    """Run one command, telling on stderr why it could not be done, and give its exit code."""
    # Asked of the words themselves: when they are wrong, nobody has parsed them.
    output: Output = JsonOutput() if "--json" in arguments else TextOutput()
    with _interruptible() as interruption:
        try:
            code: int = app(list(arguments), standalone_mode=False) or DONE
        except BrokenPipeError:
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the edge of the process
            if interruption.happened:
                return _interrupted(output)
            return _failed(error, output)
        # Typer itself turns Ctrl-C into this code.
        return _interrupted(output) if code == INTERRUPTED else code


class _Interruption:
    """Whether Ctrl-C was pressed. Libraries that were busy then raise errors of their own instead of Python's."""

    happened = False

    def note(self, number: int, frame: FrameType | None) -> NoReturn:
        self.happened = True
        signal.default_int_handler(number, frame)


@contextmanager
def _interruptible() -> Iterator[_Interruption]:
    interruption = _Interruption()
    try:
        before = signal.signal(signal.SIGINT, interruption.note)
    except ValueError:  # not in the main thread, where signals never arrive
        yield interruption
        return
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupted(output: Output) -> int:
    output.error(
        "interrupted", "Interrupted. What is done stays done: the same command goes on where this one stopped.", {}
    )
    return INTERRUPTED


def _failed(error: BaseException, output: Output) -> int:
    match error:
        case KnownatError():
            output.error(error.code, error.message, error.details)
            return REFUSED
        case typer.TyperException():
            if told := error.format_message():  # nothing to tell where the command's help was shown instead
                sentence = told if told.endswith(("?", "!")) else f"{told.rstrip('.')}."
                output.error("wrong_use", f"{sentence} See `{_help(error)}`.", {})
            return WRONG_USE
        case typer.Abort() | KeyboardInterrupt():
            return _interrupted(output)
        case _:
            if os.environ.get("KNOWNAT_DEBUG"):
                raise error
            told = f"{type(error).__name__}: {error}"
            output.error("internal_error", f"{told}. This should not happen; KNOWNAT_DEBUG=1 shows where.", {})
            return REFUSED


def _help(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if context is not None else "knownat --help"
