"""`knownat lineage`: what is this made of, and what is made of it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sdk.cli.invocation import Invocation, client_command

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text
    from rich.tree import Tree

    from sdk.results import LineageTree


@client_command
def lineage(
    call: Invocation,
    urn: Annotated[
        str,
        typer.Argument(metavar="URN", help="Such as model:delay@1, feature:view.name, source:flights.arr_delay."),
    ],
    down: Annotated[bool, typer.Option("--down", help="What is made of it, instead of what it is made of.")] = False,
    depth: Annotated[int | None, typer.Option(metavar="N", min=1, help="Stop after N levels.")] = None,
) -> None:
    """Show what a thing is made of, down to source columns, or with --down what is made of it."""
    with call.client() as client:
        tree = client.lineage(urn, down=down)
    call.output.answer(lineage_data(tree, depth), lambda: lineage_text(tree, depth))


def lineage_data(tree: LineageTree, depth: int | None) -> dict[str, object]:
    """Nested objects. `more` says how many branches `depth` cut off; `repeated`, that they are shown elsewhere."""
    inside = None if depth is None else depth - 1
    branches = tree.branches if depth != 0 else ()
    return {
        "urn": tree.urn,
        "kind": tree.kind,
        "repeated": tree.repeated,
        "more": len(tree.branches) - len(branches),
        "branches": [lineage_data(branch, inside) for branch in branches],
    }


def lineage_text(tree: LineageTree, depth: int | None) -> RenderableType:
    from rich.tree import Tree

    root = Tree(_label(tree))
    _grow(root, tree, depth)
    return root


def _grow(shown: Tree, tree: LineageTree, depth: int | None) -> None:
    if depth == 0:
        if tree.branches:
            shown.add(f"… {len(tree.branches)} more")
        return
    for branch in tree.branches:
        _grow(shown.add(_label(branch)), branch, None if depth is None else depth - 1)


def _label(tree: LineageTree) -> Text:
    """Indirect edges say so in words, too: not every terminal dims, and not every reader sees it."""
    from rich.text import Text

    is_indirect = tree.kind == "indirect"
    label = Text(tree.urn, style="dim" if is_indirect else "")
    if is_indirect:
        label.append(" (decides which rows count)")
    if tree.repeated:
        label.append(" (shown above)", style="dim")
    return label
