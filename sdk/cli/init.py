"""`knownat init`: a project of one's own that runs at once."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated

import typer

from sdk.cli.errors import FolderInUse
from sdk.cli.invocation import SETTINGS_FILE, Invocation, plain_command

if TYPE_CHECKING:
    from rich.console import RenderableType

_OWN = {
    "definitions/shop.py": "shop.py.tmpl",
    # Last: with it, the folder is a project.
    SETTINGS_FILE: "knownat.toml.tmpl",
}
_WELCOME = {"README.md": "README.md.tmpl", ".gitignore": "gitignore.tmpl"}
"""Written where there is none: a folder may have them already, and the project runs without them."""
_DATA = ("data/orders.parquet", "data/visits.parquet", "data/checkouts.parquet")


@plain_command
def init(
    call: Invocation,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The new project's folder; created when missing.")],
) -> None:
    """Start a project of your own: settings, a small definitions folder, and sample data that they run on."""
    written = start_project(folder)
    call.output.answer({"project": folder.resolve(), "written": written}, lambda: _next_steps(folder, written))


def start_project(folder: Path) -> list[str]:
    """Write the starter project into `folder`, and return what was written. Raises FolderInUse and
    SettingsError, writing nothing."""
    from sdk.cli.starter.sample_data import write_sample_data
    from sdk.project import check_folder

    folder = folder.resolve()
    check_folder(folder)
    if (folder / SETTINGS_FILE).exists():
        raise FolderInUse(f"{folder} is a Knownat project already. Nothing was changed; name another folder.")
    if taken := [name for name in (*_OWN, *_DATA) if (folder / name).exists()]:
        raise FolderInUse(f"{folder} has {', '.join(taken)} already. Nothing was changed; name another folder.")
    templates = {name: template for name, template in _WELCOME.items() if not (folder / name).exists()} | _OWN
    try:
        write_sample_data(folder / "data")
        for name, template in templates.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(_filled(template, folder.name), encoding="utf-8")
    except OSError as error:
        raise FolderInUse(f"{folder} can not be written: {error}") from error
    return [*templates, *_DATA]


def _filled(template: str, folder: str) -> str:
    """The template with the project's name, made of the folder's so that it needs no quoting anywhere."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in folder).strip("-")
    text = files("sdk.cli.starter").joinpath(template).read_text(encoding="utf-8")
    return Template(text).substitute(name=name or "knownat")


def _next_steps(folder: Path, written: list[str]) -> RenderableType:
    from sdk.cli.output import lines

    return lines(
        f"{folder} is a project now: {', '.join(written)}.",
        "",
        "Next:",
        *([f"  cd {folder}"] if folder.resolve() != Path.cwd() else []),
        "  knownat plan           what would be done",
        "  knownat apply          do it",
        "  knownat materialize    copy the newest values into the online store",
        "  knownat training-set --service checkout_v1 --spine data/checkouts.parquet --label refunded"
        " --out training.parquet",
        "  knownat online --service checkout_v1 --entity customer_id=7,basket=80",
        "  knownat serve          the same over HTTP",
    )
