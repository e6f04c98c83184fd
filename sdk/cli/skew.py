"""`knownat skew` and `knownat serving-log`: was what was served what it should have been, and what was asked?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sdk.cli.invocation import Invocation, client_command
from sdk.cli.moments import parse_moment
from sdk.cli.out_file import OverwriteOption, check_out
from sdk.cli.output import lines, shown, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sdk.skew import FeatureSkew, SkewExample, SkewResult

ServiceOption = Annotated[
    str | None, typer.Option("--service", metavar="NAME", help="Only what was asked for by this feature service.")
]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="NAME@ALIAS", help="Only what was asked for by this model version.")
]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="MOMENT", help="Only what was asked for at this moment or later.")
]


@client_command
def skew(
    call: Invocation,
    service: ServiceOption = None,
    model: ModelOption = None,
    since: SinceOption = None,
    tolerance: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="The share of a feature's values that may differ.")
    ] = 0.0,
    examples: Annotated[int, typer.Option(metavar="N", min=0, max=1000, help="Of each feature that differs.")] = 5,
) -> int:
    """Compare the values of the serving log with the point-in-time answers at the moments they were asked for.

    Exits with 1 when more than the tolerated share of a feature's values differs.
    """
    _check_one(service, model)
    with call.client() as client:
        found = client.skew(service=service, model=model, since=parse_moment(since), examples=examples)
    call.output.answer({"rate": found.rate, "tolerance": tolerance, **_data(found)}, lambda: _text(found))
    return 1 if found.rate > tolerance else 0


@client_command
def serving_log(
    call: Invocation,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Write the spine here, as Parquet.")],
    overwrite: OverwriteOption = False,
    service: ServiceOption = None,
    model: ModelOption = None,
    since: SinceOption = None,
) -> None:
    """Write what was asked as a spine: moments, join keys and request inputs of the logged requests."""
    _check_one(service, model)
    check_out(out)
    with call.client() as client:
        spine = client.serving_log(service=service, model=model, since=parse_moment(since))
    import pyarrow.parquet as pq

    from sdk.output_file import new_file

    with new_file(out, overwrite=overwrite) as file:
        pq.write_table(spine, file, compression="zstd")
    timestamp = spine.column_names[0]
    pull = f"knownat training-set --spine {out} --timestamp {timestamp}"
    call.output.answer(
        {"out": out, "rows": spine.num_rows, "timestamp": timestamp, "columns": spine.column_names},
        lambda: lines(
            f"{spine.num_rows:,} rows of {', '.join(spine.column_names)}, written to {out}",
            f"Next: {pull} --service {service}" if service else f"Next: {pull} --features VIEW:FEATURE",
        ),
    )


def _check_one(service: str | None, model: str | None) -> None:
    if service is not None and model is not None:
        raise typer.BadParameter("give one of --service and --model", param_hint="features")


def _data(found: SkewResult) -> dict[str, object]:
    """The rate stands beside the counts that it is of."""
    from dataclasses import fields

    features = [
        {field.name: getattr(one, field.name) for field in fields(one)} | {"rate": one.rate} for one in found.features
    ]
    return {"rows": found.rows, "first": found.first, "last": found.last, "features": features}


def _text(found: SkewResult) -> RenderableType:
    from rich.console import Group

    differing = [one for one in found.features if one.differing]
    headers = ("feature", "compared", "differing", "rate", "not filled yet", "remark")
    rows = [
        (one.reference, one.compared, one.differing, f"{one.rate:.2%}", one.ahead or None, _remark(one))
        for one in found.features
    ]
    told = f"{found.rows:,} logged rows, asked for from {shown(found.first)} to {shown(found.last)}"
    first = lines(f"{_count(len(differing))} of {len(found.features)}: {told}.")
    return Group(first, table(headers, rows), *_next(found), *(_differing_text(differing) if differing else ()))


def _next(found: SkewResult) -> list[RenderableType]:
    ahead = max((one.ahead for one in found.features), default=0)
    if not ahead:
        return []
    return [
        lines(
            f"Up to {ahead:,} rows are later than what is filled offline: they can be compared after the hour "
            "is over and `knownat run --due` has run."
        )
    ]


def _differing_text(differing: Sequence[FeatureSkew]) -> list[RenderableType]:
    rows = [
        (one.reference, example.requested_at, _key_text(example), example.status, example.logged, example.expected)
        for one in differing
        for example in one.examples
    ]
    advice = lines(
        "A value that was served too old: materialize more often, or declare the publish_delay that there is.",
        "A row that came late: give its source a known_at column. `knownat audit` compares what is online now.",
    )
    headers = ("feature", "asked at", "key", "status", "served", "point-in-time")
    return [table(headers, rows), advice] if rows else [advice]


def _remark(one: FeatureSkew) -> str | None:
    if one.gone:
        return f"{one.gone:,} rows can not be compared: {one.why_gone}"
    if one.applied_fingerprint is None:
        return "no longer declared"
    return f"changed since; this is {one.fingerprint[:8]}" if one.has_changed else None


def _key_text(example: SkewExample) -> str:
    return ", ".join(f"{name}={value}" for name, value in example.key.items())


def _count(differing: int) -> str:
    return "1 feature differs" if differing == 1 else f"{differing:,} features differ"
