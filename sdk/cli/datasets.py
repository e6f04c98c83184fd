"""`knownat training-set`, `knownat rebuild` and `knownat datasets`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sdk.cli.choice import FeaturesOption, ServiceOption, check_one, references
from sdk.cli.invocation import (
    Invocation,
    JsonOption,
    ProjectOption,
    Shared,
    UrlOption,
    client_command,
    project_command,
)
from sdk.cli.out_file import OverwriteOption, check_out
from sdk.cli.output import lines, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sdk.results import KnownReport, TrainingSet

app = typer.Typer(invoke_without_command=True)

OutOption = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the rows here, as Parquet.")]


@client_command
def training_set(
    call: Invocation,
    spine: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Parquet: one row for each question, with the keys and the moment of asking.",
        ),
    ],
    service: ServiceOption = None,
    features: FeaturesOption = None,
    timestamp: Annotated[str, typer.Option(metavar="COLUMN", help="Says when a row asks.")] = "event_timestamp",
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="What a model shall predict.")] = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    as_served: Annotated[
        bool, typer.Option("--as-served", help="Join what the online store answered at each row's moment.")
    ] = False,
    explain_known: Annotated[
        bool, typer.Option("--explain-known", help="Count the cells that would differ on event time alone.")
    ] = False,
) -> None:
    """Join features to a spine as they were known at each row's moment, and remember how: a dataset with an id."""
    if as_served and explain_known:
        raise typer.BadParameter(
            "it compares what was known with what had happened, whatever was online: give it without --as-served",
            param_hint="--explain-known",
        )
    check_one(service=service, features=features)
    _check_spine(spine)
    _check_out(out, spine)
    with call.client() as client:
        with _told_with_options(spine, timestamp):
            made = client.training_set(
                spine,
                service=service,
                features=references(features),
                timestamp=timestamp,
                label=label,
                as_served=as_served,
            )
        _write(made, out, overwrite=overwrite)
        data = {**_told(made), "out": out}
        known = (
            client.explain_known(spine, service=service, features=references(features), timestamp=timestamp)
            if explain_known
            else None
        )
        data |= {"known": known} if known else {}
    call.output.answer(data, lambda: _pulled_text(made, out, known))


@client_command
def rebuild(
    call: Invocation,
    dataset: Annotated[str, typer.Argument(metavar="ID", help="The dataset's id, or the start of it.")],
    out: OutOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Compute a dataset again from what it was made of, and compare the bytes. Exits with 1 when they differ."""
    _check_out(out, None)
    with call.client() as client:
        again = client.rebuild(dataset)
        _write(again, out, overwrite=overwrite)
        data = {"id": again.id, "equal": True, "rows": again.rows, "sha256": again.sha256, "out": out}
    call.output.answer(
        data, lambda: lines(f"equal: dataset {again.id[:12]} has {again.rows:,} rows and sha256 {again.sha256} again")
    )


def _told(made: TrainingSet) -> dict[str, object]:
    as_served = made.manifest["as_served"]
    return {
        "id": made.id, "rows": made.rows, "sha256": made.sha256, "as_served": as_served, "warnings": made.warnings
    }  # fmt: skip


def _pulled_text(made: TrainingSet, out: Path | None, known: KnownReport | None) -> RenderableType:
    return lines(
        f"dataset  {made.id}",
        f"rows     {made.rows:,}",
        f"sha256   {made.sha256}",
        *(f"warning  {warning}" for warning in made.warnings),
        *([f"written  {out}"] if out else []),
        *(_known_lines(known) if known else []),
        f"Next: knownat rebuild {made.id[:12]}, or knownat register NAME FILE --dataset {made.id[:12]}",
    )


def _known_lines(known: KnownReport) -> list[str]:
    """Feature by feature, those that differ most first."""
    most_first = sorted(known.features, key=lambda one: -one.differing)
    return [
        f"known    on event time alone, {known.differing:,} of {known.cells:,} cells would differ ({known.share:.2%})",
        *(
            f"         {one.name}: {one.differing:,} of {known.rows:,} rows ({one.differing / known.rows:.2%})"
            for one in most_first
            if one.differing
        ),
    ]


@app.callback()
def datasets(
    context: typer.Context, project: ProjectOption = None, url: UrlOption = None, json: JsonOption = False
) -> None:
    """The datasets that were pulled; without a command, the list of them."""
    before = context.find_object(Shared) or Shared()
    context.obj = before.with_options(project, url, json)
    if context.invoked_subcommand is None:
        list_datasets(context=context, project=None, url=None, json=False)


@app.command("list")
@client_command
def list_datasets(call: Invocation) -> None:
    """List what was pulled so far, oldest first."""
    with call.client() as client:
        found = client.datasets()
    rows = [(one["id"][:12], one["rows"], one["created_at"]) for one in found]
    call.output.answer(
        {"datasets": found}, lambda: table(("dataset", "rows", "pulled at"), rows) if rows else lines("No dataset yet.")
    )


@app.command("delete")
@project_command
def delete(
    call: Invocation,
    dataset: Annotated[str, typer.Argument(metavar="ID", help="The dataset's id, or the start of it.")],
) -> None:
    """Forget a dataset that no model was trained on; its bytes go with the next `knownat gc`."""
    with call.project() as project:
        deleted = project.delete_dataset(dataset)
    call.output.answer(
        {"deleted": deleted},
        lambda: lines(f"deleted dataset {deleted[:12]}", "Next: knownat gc frees what it alone pinned"),
    )


def _write(made: TrainingSet, out: Path | None, *, overwrite: bool) -> None:
    if out is not None:
        made.to_parquet(out, overwrite=overwrite)


def _check_spine(spine: Path) -> None:
    with spine.open("rb") as file:
        if file.read(4) != b"PAR1":
            raise typer.BadParameter(f"{spine} is not a Parquet file: write it as Parquet first", param_hint="--spine")


@contextmanager
def _told_with_options(spine: Path, timestamp: str) -> Iterator[None]:
    """The refusal of a spine without its timestamp column names the option that says which column it is."""
    from featurestore.errors import SpineError

    try:
        yield
    except SpineError as error:
        import pyarrow.parquet as pq

        if timestamp in pq.read_schema(spine).names:
            raise
        raise SpineError(f"{error.message} Name the column with --timestamp.") from error


def _check_out(out: Path | None, spine: Path | None) -> None:
    """Before the work, not after it."""
    check_out(out)
    if out is not None and spine is not None and out.resolve() == spine.resolve():
        raise typer.BadParameter("that is the spine itself: name another file", param_hint="--out")
