"""Who is asked for: a table of keys and moments, as numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from featurestore.merging.keys import Integers, KeyIndex, whole_numbers
from featurestore.merging.newest import NO_ROW, Points
from featurestore.merging.served import NOT_ONLINE
from featurestore.merging.visible import Boundaries


@dataclass(frozen=True)
class Asked:
    """Rows that each ask for a key, at a moment or hop. Rows with a null in their key ask for nothing, nor do those who
    are answered as of NOT_ONLINE: `places` puts the answers of the others where they belong."""

    rows: int
    index: KeyIndex
    asked_at: Integers
    """When each row asks."""
    answered_as_of: Integers
    """The moment whose answer it gets: the same, but where a store answered that was behind."""

    @classmethod
    def of(cls, table: pa.Table, join_columns: tuple[str, ...], when: str) -> Asked:
        """The rows of a table, at the moments or hops of its column `when`."""
        moments = whole_numbers(table[when])
        return cls(table.num_rows, KeyIndex([table[name] for name in join_columns], table.num_rows), moments, moments)

    def as_of(self, moments: Integers) -> Asked:
        """The same rows, answered as of these moments."""
        return replace(self, answered_as_of=moments)

    @cached_property
    def _present(self) -> Integers | slice:
        missing = (self.index.numbers < 0) | (self.answered_as_of == NOT_ONLINE)
        return np.flatnonzero(~missing) if missing.any() else slice(None)

    @cached_property
    def points(self) -> Points:
        """Rows that ask for something, in their order, at the moments whose answers they get."""
        return Points(self.index.numbers[self._present], self.answered_as_of[self._present], self.index.count)

    @property
    def moments(self) -> Integers:
        """When the points ask: what the age of their answers is counted from."""
        return self.asked_at[self._present]

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
