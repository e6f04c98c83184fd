"""A lineage tree as lines of text, shortened so that it fits a screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Protocol


class Tree(Protocol):
    """A node and what lies beyond it, as `client.lineage` gives it."""

    @property
    def urn(self) -> str: ...
    @property
    def branches(self) -> tuple[Tree, ...]: ...


def shortened(tree: Tree, *, most: int) -> tuple[str, ...]:
    """The tree with at most `most` branches of each node, and a word about those that are left out."""
    return (tree.urn, *_below(tree, "", most))


def counted(tree: Tree) -> tuple[tuple[str, int], ...]:
    """The kinds of nodes beyond the root, and how many different ones there are of each."""
    nodes = {urn for branch in tree.branches for urn in _urns(branch)}
    return tuple(sorted(Counter(_kind(urn) for urn in nodes).items()))


def _below(tree: Tree, indent: str, most: int) -> Iterator[str]:
    # Different kinds first, so that what is shown of a long list is not all of one sort.
    shown = _varied(tree.branches)[:most]
    left_out = len(tree.branches) - len(shown)
    for number, branch in enumerate(shown, start=1):
        is_last = number == len(shown) and not left_out
        yield f"{indent}{'└─' if is_last else '├─'} {branch.urn}"
        yield from _below(branch, f"{indent}{'   ' if is_last else '│  '}", most)
    if left_out:
        yield f"{indent}└─ … and {left_out} more"


def _varied(branches: tuple[Tree, ...]) -> list[Tree]:
    seen: Counter[str] = Counter()
    ranked: list[tuple[int, int, Tree]] = []
    for number, branch in enumerate(branches):
        kind = branch.urn.rpartition("@")[0].rpartition(".")[0] or _kind(branch.urn)
        ranked.append((seen[kind], number, branch))
        seen[kind] += 1
    return [branch for _, _, branch in sorted(ranked, key=lambda entry: entry[:2])]


def _urns(tree: Tree) -> Iterator[str]:
    yield tree.urn
    for branch in tree.branches:
        yield from _urns(branch)


def _kind(urn: str) -> str:
    kind, _, rest = urn.partition(":")
    return "source column" if kind == "source" and "." in rest else kind
