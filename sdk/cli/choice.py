"""How features are chosen on the command line: by `--service`, by `--features`, or by `--model`."""

from __future__ import annotations

from typing import Annotated

import typer

ServiceOption = Annotated[str | None, typer.Option("--service", metavar="NAME", help="The features of this service.")]
FeaturesOption = Annotated[
    list[str] | None,
    typer.Option("--features", metavar="REFS", help="Features as view:feature,view:* and so on; may be repeated."),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="NAME@ALIAS", help="The features that this model was trained on.")
]


def references(texts: list[str] | None) -> list[str] | None:
    """The references of all `--features` options; None where there is none.

    >>> references(["a:x, b:y", "c:*"])
    ['a:x', 'b:y', 'c:*']
    """
    if not texts:
        return None
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def check_one(**ways: object) -> None:
    """Raises BadParameter unless exactly one of the ways to choose is given."""
    if sum(1 for given in ways.values() if given) != 1:
        raise typer.BadParameter(
            f"give exactly one of {', '.join(f'--{name}' for name in ways)}", param_hint="features"
        )
