"""How a dataset is named by hand: by its id, or by as much of the id's beginning as tells it apart."""

from __future__ import annotations

from collections.abc import Iterable

from featurestore.errors import UnknownName

SHORTEST_PREFIX = 6


def choose_dataset(text: str, ids: Iterable[str]) -> str:
    """The id among `ids` that `text` means. Raises UnknownName when there is none, or more than one."""
    known = tuple(ids)
    if text in known:
        return text
    matches = [known_id for known_id in known if known_id.startswith(text)] if len(text) >= SHORTEST_PREFIX else []
    if len(matches) > 1:
        raise UnknownName("single dataset whose id starts with", text, matches)
    if not matches:
        raise UnknownName("dataset", text, known)
    return matches[0]
