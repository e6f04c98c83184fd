"""Who is asked for: a table of keys and moments, as numbers."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa

from featurestore.merging.keys import Integers, KeyIndex, whole_numbers
from featurestore.merging.newest import NO_ROW, Points
from featurestore.merging.visible import Boundaries


class Asked:
    """The rows of a table that each ask for a key, at the moment or hop that its column `when` says. Rows with a null
    in their key ask for nothing: `places` puts the answers of the others where they belong."""

    def __init__(self, table: pa.Table, join_columns: tuple[str, ...], when: str) -> None:
        self.rows = table.num_rows
        self.index = KeyIndex([table[name] for name in join_columns], table.num_rows)
        self._when = whole_numbers(table[when])

    @cached_property
    def _present(self) -> Integers | slice:
        missing = self.index.numbers < 0
        return np.flatnonzero(~missing) if missing.any() else slice(None)

    @cached_property
    def points(self) -> Points:
        """Rows that ask for something, in their order."""
        return Points(self.index.numbers[self._present], self._when[self._present], self.index.count)

    def places(self, answers: Integers) -> Integers:
        """For each row of the table what `answers` has for its point; NO_ROW for a row that asks for nothing."""
        if isinstance(self._present, slice):
            return answers
        places = np.full(self.rows, NO_ROW, np.int64)
        places[self._present] = answers
        return places


def boundaries(points: Points, hops: Integers) -> tuple[Boundaries, Integers]:
    """The different boundaries that points ask at, and for each point which of these is its own."""
    order = np.lexsort((hops, points.numbers))
    numbers, sorted_hops = points.numbers[order], hops[order]
    new = np.ones(len(order), bool)
    new[1:] = (numbers[1:] != numbers[:-1]) | (sorted_hops[1:] != sorted_hops[:-1])
    own = np.empty(len(order), np.int64)
    own[order] = np.cumsum(new) - 1
    return Boundaries(numbers[new], sorted_hops[new]), own
