"""`knownat online`: features of entities as the online store has them now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sdk.cli.choice import FeaturesOption, ModelOption, ServiceOption, check_one, references
from sdk.cli.entities import column_types, parse_entity, read_entities, typed_entity
from sdk.cli.invocation import Invocation, client_command
from sdk.cli.moments import parse_moment
from sdk.cli.output import lines, shown, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sdk.results import OnlineResult


@client_command
def online(
    call: Invocation,
    entity: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE,…", help="One entity's keys and inputs; repeat it for several entities."),
    ] = None,
    entities: Annotated[Path | None, typer.Option(metavar="FILE", help="Entities as a JSON list of objects.")] = None,
    service: ServiceOption = None,
    features: FeaturesOption = None,
    model: ModelOption = None,
    at: Annotated[str | None, typer.Option(metavar="MOMENT", help="Answer as of then, for replays.")] = None,
) -> None:
    """Look up features of entities, each with a status: present, null, missing, expired or unreadable."""
    check_one(service=service, features=features, model=model)
    asked_at = parse_moment(at)
    listed = read_entities(entities) if entities else []
    written = [parse_entity(text) for text in entity or []]
    if not listed and not written:
        raise typer.BadParameter("name at least one, with --entity or --entities", param_hint="--entity")
    with call.client() as client:
        types = column_types(client.catalog(), service) if written else {}
        rows = [*listed, *(typed_entity(texts, types) for texts in written)]
        result = client.online(service=service, features=references(features), model=model, entities=rows, at=asked_at)
    call.output.answer(_data(rows, result), lambda: _text(rows, result))


def _data(rows: list[dict[str, object]], result: OnlineResult) -> dict[str, object]:
    answers = zip(rows, result.to_dicts(), result.statuses(), result.event_timestamps(), strict=True)
    return {
        "at": result.at,
        "rows": [
            {"entity": entity, "values": values, "statuses": statuses, "event_timestamps": moments}
            for entity, values, statuses, moments in answers
        ],
    }


def _text(rows: list[dict[str, object]], result: OnlineResult) -> RenderableType:
    """One table for each entity: a feature set has more columns than a terminal is wide."""
    from rich.console import Group

    parts: list[RenderableType] = []
    for number, entity in enumerate(rows):
        parts.append(lines(", ".join(f"{column}={value}" for column, value in entity.items())))
        features = [
            (one.name, shown(one.values[number]), one.statuses[number], one.event_timestamps[number])
            for one in result.details
        ]
        parts.append(table(("feature", "value", "status", "event timestamp"), features))
    return Group(*parts, lines(f"as of {shown(result.at)}"))
