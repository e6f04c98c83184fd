"""`knownat register` and `knownat models`: registered models, their versions and aliases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from sdk.cli.invocation import Invocation, JsonOption, ProjectOption, Shared, UrlOption, client_command
from sdk.cli.output import lines, table

if TYPE_CHECKING:
    from rich.console import RenderableType

T = TypeVar("T")
Pairs = list[str] | None
Name = Annotated[str, typer.Argument(metavar="NAME")]

app = typer.Typer(invoke_without_command=True)


@client_command
def register(
    call: Invocation,
    name: Name,
    artifact: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The model's file.")],
    dataset: Annotated[
        str | None, typer.Option(metavar="ID", help="The training set it was trained on, or the start of its id.")
    ] = None,
    no_dataset: Annotated[
        str | None, typer.Option("--no-dataset", metavar="REASON", help="Why there is no training set.")
    ] = None,
    param: Annotated[Pairs, typer.Option(metavar="NAME=VALUE", help="May be repeated.")] = None,
    metric: Annotated[Pairs, typer.Option(metavar="NAME=NUMBER", help="May be repeated.")] = None,
    tag: Annotated[Pairs, typer.Option(metavar="NAME=VALUE", help="May be repeated.")] = None,
    description: Annotated[str, typer.Option(metavar="TEXT")] = "",
    key: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Registering again with it gives the same version back.")
    ] = None,
) -> None:
    """Register a new version of a model, with the features and data it was trained on."""
    if (dataset is None) == (no_dataset is None):
        raise typer.BadParameter("give the training set's id, or --no-dataset and the reason", param_hint="--dataset")
    params, tags = parse_pairs(param, "--param", str), parse_pairs(tag, "--tag", str)
    metrics = parse_pairs(metric, "--metric", float)
    with call.client() as client:
        version = client.register_model(
            name,
            artifact,
            dataset=dataset,
            no_dataset=no_dataset is not None,
            no_dataset_reason=no_dataset,
            params=params,
            metrics=metrics,
            tags=tags,
            description=description,
            key=key,
        )
    call.output.answer(
        version,
        lambda: lines(
            f"registered {version.reference}{_trained_on(version)}",
            f"Next: knownat models alias {name} champion {version.version}",
        ),
    )


@app.callback()
def models(
    context: typer.Context, project: ProjectOption = None, url: UrlOption = None, json: JsonOption = False
) -> None:
    """Registered models, their versions and aliases; without a command, the list of them."""
    before = context.find_object(Shared) or Shared()
    context.obj = before.with_options(project, url, json)
    if context.invoked_subcommand is None:
        list_models(context=context, project=None, url=None, json=False)


@app.command("list")
@client_command
def list_models(call: Invocation) -> None:
    """List the registered models."""
    with call.client() as client:
        models = [client.models.get(model.name) for model in client.models.list()]
    rows = [(model["name"], len(model["versions"]), _aliases(model), model["description"]) for model in models]
    call.output.answer(
        {"models": models},
        lambda: table(("model", "versions", "aliases", "description"), rows) if rows else lines("No model yet."),
    )


@app.command("show")
@client_command
def show(
    call: Invocation,
    reference: Annotated[str, typer.Argument(metavar="NAME or NAME@VERSION or NAME@ALIAS")],
) -> None:
    """Show a model's versions and aliases, or one version with all that is known of it."""
    with call.client() as client:
        found = client.models.get(reference)
    call.output.answer(found, lambda: _version_text(found) if "@" in reference else _model_text(found))


@app.command("alias")
@client_command
def alias(
    call: Invocation,
    name: Name,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Such as champion.")],
    version: Annotated[int | None, typer.Argument(metavar="[VERSION]", min=1, show_default=False)] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Forget the alias; the version stays.")] = False,
) -> None:
    """Let an alias point at a version from now on, or remove it."""
    if remove == (version is not None):
        raise typer.BadParameter("give a version, or --remove", param_hint="VERSION")
    with call.client() as client:
        if version is None:
            client.models.delete_alias(name, alias)
        else:
            client.models.set_alias(name, alias, version)
    told = f"{name}@{alias} is no more" if version is None else f"{name}@{alias} is {name}@{version} now"
    call.output.answer({"model": name, "alias": alias, "version": version}, lambda: lines(f"{told}."))


def parse_pairs(texts: Pairs, option: str, convert: Callable[[str], T]) -> dict[str, T]:
    """`name=value` texts as a mapping. Raises BadParameter.

    >>> parse_pairs(["depth=3", "eta=0.1"], "--metric", float)
    {'depth': 3.0, 'eta': 0.1}
    """
    pairs: dict[str, T] = {}
    for text in texts or []:
        name, separator, value = text.partition("=")
        if not separator or not name or name in pairs:
            raise typer.BadParameter(f"{text!r} is not name=value, or names it twice", param_hint=option)
        try:
            pairs[name] = convert(value)
        except ValueError as error:
            raise typer.BadParameter(f"{value!r} is not a number", param_hint=option) from error
    return pairs


def _trained_on(version: Any) -> str:
    return "" if version["dataset"] is None else f", trained on {len(version['features'])} features"


def _aliases(model: Any) -> str:
    return ", ".join(f"{alias['name']} → {alias['version']}" for alias in model["aliases"])


def _model_text(model: Any) -> RenderableType:
    aliases = {alias["name"]: alias["version"] for alias in model["aliases"]}
    rows = [
        (
            str(version["version"]),
            ", ".join(alias for alias, number in aliases.items() if number == version["version"]),
            (version["dataset"] or "")[:12] or version["no_dataset_reason"],
            ", ".join(f"{name} {value:g}" for name, value in version["metrics"].items()),
            version["registered_at"],
        )
        for version in model["versions"]
    ]
    return table(("version", "aliases", "dataset", "metrics", "registered"), rows)


def _version_text(version: Any) -> RenderableType:
    told = {name: value for name, value in version.items() if value not in (None, "", {}, [])}
    rows = [(name, _value_text(value)) for name, value in told.items()]
    return table(("", version["reference"]), rows)


def _value_text(value: Any) -> str:
    match value:
        case {"sha256": str(sha256), "size": int(size), "file_name": str(file_name)}:
            return f"{file_name}, {size:,} bytes, sha256 {sha256}"
        case {"inputs": list(inputs), "outputs": list(outputs)}:
            return f"{_columns_text(inputs)} → {_columns_text(outputs)}"
        case [{"reference": _}, *_]:
            return "\n".join(f"{one['reference']}@{one['fingerprint'][:8]}" for one in value)
        case [{"table": _}, *_]:
            return "\n".join(f"{one['table']}@v{one['version']}" for one in value)
        case dict():
            return "\n".join(f"{name} = {one}" for name, one in value.items())
        case _:
            return str(value)


def _columns_text(columns: list[dict[str, str]]) -> str:
    return ", ".join(f"{column['name']} {column['type']}" for column in columns)
