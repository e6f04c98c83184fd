"""*value(key, T)*: the one way from tiles to the features of a windowed view.

Training sets, materialization, audit and rebuild all go through `window_values`; there is no second implementation of a
window. A state is merged over the tiles that count (`featurestore.merging.visible`) in one of three ways, and the
outcome is the same bits as going through event by event, because states are exact:

- What is added up (counts, sums, squares) is a difference of two running totals.
- The best of something (smallest, greatest, first, last) is the greatest of a range, over values as ordered integers.
- What needs the values themselves (distinct ones, percentiles, the last few) takes them out of the tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.compiler.hops import feature_hops
from featurestore.compiler.tile_states import (
    FRACTION_BITS,
    SPECIAL_BITS,
    SQUARE_SHIFTS,
    Part,
    StateColumn,
    squares_of,
)
from featurestore.compiler.tiles import input_of
from featurestore.errors import QueryError
from featurestore.graph.arrow_types import arrow_type
from featurestore.graph.resolved import ResolvedFeature, ResolvedView
from featurestore.merging import lists
from featurestore.merging.exact import Doubles, Totals, scatter, variance
from featurestore.merging.keys import Column, Integers, to_numpy
from featurestore.merging.orders import Ordered
from featurestore.merging.ranges import greatest_in
from featurestore.merging.visible import Boundaries, TileTimes, VisibleTiles
from featurestore.spec.aggregate import Function
from featurestore.spec.dtypes import Kind


@dataclass(frozen=True, slots=True)
class Tiles:
    """Rows of a windowed view's table: their keys' numbers, both hops, and the state columns by name. With `rows`, the
    times are of these rows of the columns."""

    times: TileTimes
    states: Mapping[str, Column]
    rows: Integers | None = None

    def blocks(self, bounds: Integers) -> list[Tiles]:
        """The tiles of the keys from each bound to the next. Apart from each other, they can be merged side by side,
        and fit a processor's cache."""
        numbers = self.times.numbers
        if len(bounds) == 2:
            return [self]
        # Sorting 16-bit integers is one pass of counting.
        block = (np.searchsorted(bounds, numbers, "right") - 1).astype(np.uint16)
        order = np.argsort(block, kind="stable")
        ends = np.cumsum(np.bincount(block, minlength=len(bounds) - 1))
        return [self._some(order[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    def _some(self, rows: Integers) -> Tiles:
        times = TileTimes(self.times.numbers[rows], self.times.events[rows], self.times.knowns[rows])
        return Tiles(times, self.states, rows)


def window_values(
    view: ResolvedView, features: tuple[ResolvedFeature, ...], points: Boundaries, tiles: Tiles
) -> list[pa.Array]:
    """The features at the points, an array each with a value for each point."""
    merge = _Merge(view, VisibleTiles(tiles.times, points), tiles, len(points))
    return [merge.value(feature) for feature in features]


class _Merge:
    """The merged states of one set of points. What features have in common is computed once."""

    def __init__(self, view: ResolvedView, visible: VisibleTiles, tiles: Tiles, size: int) -> None:
        self._view, self._visible, self._size = view, visible, size
        self._states = tiles.states
        self._rows = visible.order if tiles.rows is None else tiles.rows[visible.order]
        self._running = cache(self._running_total)
        self._total = cache(self._merged_total)
        self._ordered = cache(lambda name: Ordered.of(self._placed(name)))

    def value(self, feature: ResolvedFeature) -> pa.Array:
        """A feature computed from its merged state: the one place where a state becomes a value."""
        window = feature.window
        assert window is not None  # noqa: S101 - only windowed features come here
        try:
            values = _COMPUTED[window.function](self, feature)
        except OverflowError as error:
            raise _too_great(self._view, feature) from error
        array = values if isinstance(values, pa.Array) else pa.array(values)
        return array.cast(arrow_type(feature.dtype))

    def count(self, feature: ResolvedFeature) -> pa.Array:
        return pa.array(self._counted(feature))

    def sum(self, feature: ResolvedFeature) -> pa.Array:
        total, empty = self._added(feature, Part.SUM), self._counted(feature) == 0
        if self._is_float(feature):
            return pa.array(self._with_specials(feature, total), mask=empty)
        if feature.dtype.kind is Kind.DECIMAL:
            return pc.if_else(pa.array(empty), None, total.decimals(feature.dtype.scale))
        return pa.array(total.integers(), mask=empty)

    def mean(self, feature: ResolvedFeature) -> pa.Array:
        total, counted = self._added(feature, Part.SUM), self._counted(feature)
        values = self._with_specials(feature, total) if self._is_float(feature) else total.doubles()
        units = 10.0 ** input_of(self._view, feature).dtype.scale
        return pa.array(values / (np.maximum(counted, 1) * units), mask=counted == 0)

    def variance(self, feature: ResolvedFeature) -> pa.Array:
        return pa.array(self._variance(feature), mask=self._counted(feature) < 2)

    def deviation(self, feature: ResolvedFeature) -> pa.Array:
        return pa.array(np.sqrt(self._variance(feature)), mask=self._counted(feature) < 2)

    def least(self, feature: ResolvedFeature) -> pa.Array:
        ordered = self._ordered(self._state(feature, Part.MIN))
        ranks, present = self._best(feature, ~ordered.ranks, ordered.present)
        return ordered.values(~ranks, present)

    def greatest(self, feature: ResolvedFeature) -> pa.Array:
        ordered = self._ordered(self._state(feature, Part.MAX))
        ranks, present = self._best(feature, ordered.ranks, ordered.present)
        return ordered.values(ranks, present)

    def first(self, feature: ResolvedFeature) -> pa.Array:
        return self._at_end(feature, (Part.FIRST_AT, Part.FIRST_KNOWN, Part.FIRST), -1)

    def last(self, feature: ResolvedFeature) -> pa.Array:
        return self._at_end(feature, (Part.LAST_AT, Part.LAST_KNOWN, Part.LAST), 1)

    def distinct(self, feature: ResolvedFeature) -> pa.Array:
        return lists.count_distinct(
            self._placed(self._state(feature, Part.DISTINCT)), self._visible, feature_hops(self._view, feature)
        )

    def percentile(self, feature: ResolvedFeature) -> pa.Array:
        assert feature.window is not None and feature.window.parameter is not None  # noqa: S101, PT018
        values = self._placed(self._state(feature, Part.VALUES))
        return lists.percentile(values, self._visible, feature_hops(self._view, feature), feature.window.parameter)

    def last_values(self, feature: ResolvedFeature) -> pa.Array:
        assert feature.window is not None and feature.window.parameter is not None  # noqa: S101, PT018
        parts = (Part.RECENT_AT, Part.RECENT_KNOWN, Part.RECENT)
        columns = [self._placed(self._state(feature, part)) for part in parts]
        return lists.last_values(
            columns, self._visible, feature_hops(self._view, feature), int(feature.window.parameter)
        )

    def _placed(self, name: str) -> Column:
        """A state column in the order of the tiles' places."""
        column = self._states[name]
        return column if isinstance(self._rows, slice) else column.take(pa.array(self._rows))

    def _state(self, feature: ResolvedFeature, part: Part) -> str:
        return StateColumn(input_of(self._view, feature), part).name

    def _is_float(self, feature: ResolvedFeature) -> bool:
        return input_of(self._view, feature).dtype.is_float

    def _counted(self, feature: ResolvedFeature) -> Integers:
        return self._added(feature, Part.COUNT).integers()

    def _added(self, feature: ResolvedFeature, part: Part) -> Totals:
        return self._total(self._state(feature, part), feature_hops(self._view, feature))

    def _running_total(self, name: str) -> tuple[Totals, Totals, bool]:
        values = Totals.of(self._placed(name))
        return values, values.running(), values.always_fit

    def _merged_total(self, name: str, window: int | None) -> Totals:
        values, running, fit = self._running(name)
        if not fit:
            high, low = values.halves()
            carried = Totals.of_integers(self._summed(low, low.running(), window).high)
            (self._summed(high, high.running(), window) + carried).integers()
        return self._summed(values, running, window)

    def _summed(self, values: Totals, running: Totals, window: int | None) -> Totals:
        """The sums over the tiles that count, modulo 2**128."""
        starts, ends = self._visible.ranges(window)
        total = running.take(ends) - running.take(starts)
        for some, owners, places in self._visible.others(window):
            added = scatter(values.take(places), owners, some.stop - some.start)
            part = Totals(total.high[some], total.low[some]) + added
            total.high[some], total.low[some] = part.high, part.low
        return total

    def _with_specials(self, feature: ResolvedFeature, total: Totals) -> Doubles:
        """The sum as doubles: NaN and the infinities were counted apart, in three fields of one integer."""
        values = np.ldexp(total.doubles(), -FRACTION_BITS)
        nan, positive, negative = self._specials(feature)
        values = np.where(positive > 0, np.inf, np.where(negative > 0, -np.inf, values))
        return np.where((nan > 0) | ((positive > 0) & (negative > 0)), np.nan, values)

    def _specials(self, feature: ResolvedFeature) -> tuple[Integers, Integers, Integers]:
        fields = self._added(feature, Part.SPECIAL)
        low, mask = fields.low.astype(np.uint64), np.uint64((1 << SPECIAL_BITS) - 1)
        upper = np.uint64(64 - SPECIAL_BITS)
        negative = low & mask
        positive = (low >> np.uint64(SPECIAL_BITS)) | ((fields.high.view(np.uint64) << upper) & mask)
        nan = fields.high >> (2 * SPECIAL_BITS - 64)
        return nan, positive.view(np.int64), negative.view(np.int64)

    def _variance(self, feature: ResolvedFeature) -> Doubles:
        entry = input_of(self._view, feature)
        squares = [self._added(feature, part) for part in squares_of()]
        scale = FRACTION_BITS if entry.dtype.is_float else 0
        values = variance(self._counted(feature), self._added(feature, Part.SUM), squares, SQUARE_SHIFTS, scale)
        if not entry.dtype.is_float:
            return values
        special = self._added(feature, Part.SPECIAL)
        return np.where((special.high != 0) | (special.low != 0), np.nan, values)

    def _best(
        self, feature: ResolvedFeature, ranks: Integers, present: npt.NDArray[np.bool_]
    ) -> tuple[Integers, npt.NDArray[np.bool_]]:
        """The greatest rank of each point's window among tiles that have one, and whether there is any."""
        window = feature_hops(self._view, feature)
        starts, ends = self._visible.ranges(window)
        ranks = np.where(present, ranks, np.iinfo(np.int64).min)
        having = np.concatenate([[0], np.cumsum(present)])
        found = having[ends] > having[starts]
        best = np.where(found, greatest_in(ranks, starts, ends), np.iinfo(np.int64).min)
        for some, owners, places in self._visible.others(window):
            having_one = present[places]
            np.maximum.at(best[some], owners[having_one], ranks[places[having_one]])
            found[some][owners[having_one]] = True
        return best, found

    def _at_end(self, feature: ResolvedFeature, parts: tuple[Part, Part, Part], sign: int) -> pa.Array:
        """The value of the last event (of the first, with the sign reversed): the greatest by time, then by known
        timestamp, then by value."""
        at, known, value = (self._placed(self._state(feature, part)) for part in parts)
        present = to_numpy(value.is_valid()).astype(bool)
        places = np.arange(len(present))
        if self._visible.single:
            rank_at = places
        else:
            order = np.lexsort([Ordered.of(column).ranks for column in (value, known, at)])
            rank_at = np.empty_like(places)
            rank_at[order] = places
            places = order
        best, found = self._best(feature, rank_at * sign, present)
        chosen = places[np.where(found, best * sign, 0)] if len(places) else np.zeros(self._size, np.int64)
        return _taken(value, chosen, found)


def _too_great(view: ResolvedView, feature: ResolvedFeature) -> QueryError:
    return QueryError(
        f"{view.name}:{feature.name}: a sum over a window is too great. Sums of integers must fit 64 bits, those of "
        "decimals 38 digits, those of floating-point numbers must stay below 8.6e19: CAST what is added up to "
        "DECIMAL(38, 0) or DOUBLE, or scale it down, in the aggregate's expression."
    )


def _taken(column: Column, places: Integers, found: npt.NDArray[np.bool_]) -> pa.Array:
    taken = column.take(pa.array(places, mask=~found))
    return taken.combine_chunks() if isinstance(taken, pa.ChunkedArray) else taken


_COMPUTED: Mapping[Function, Callable[[_Merge, ResolvedFeature], pa.Array]] = {
    Function.COUNT: _Merge.count,
    Function.COUNT_DISTINCT: _Merge.distinct,
    Function.SUM: _Merge.sum,
    Function.MEAN: _Merge.mean,
    Function.STD: _Merge.deviation,
    Function.VAR: _Merge.variance,
    Function.MIN: _Merge.least,
    Function.MAX: _Merge.greatest,
    Function.FIRST: _Merge.first,
    Function.LAST: _Merge.last,
    Function.LAST_N: _Merge.last_values,
    Function.PERCENTILE: _Merge.percentile,
}
