"""Values of any type as integers in the same order, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from featurestore.merging.keys import Column, Integers, to_numpy, whole_numbers

_POSITIVE = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Ordered:
    """A column's values as integers that compare as the values do: NaN greater than all numbers, -0.0 before 0.0. What
    stands for a null means nothing."""

    ranks: Integers
    present: npt.NDArray[np.bool_]
    kind: pa.DataType
    dictionary: pa.Array | None = None
    """Where the integers are positions: the distinct values in their order."""

    @classmethod
    def of(cls, column: Column) -> Ordered:
        present = to_numpy(column.is_valid()).astype(bool)
        if pa.types.is_floating(column.type):
            values = to_numpy(column.fill_null(0.0)).astype(np.float64)
            values = np.where(np.isnan(values), np.nan, values)
            return cls(_flipped(values.view(np.int64)), present, column.type)
        if not _is_numbered(column.type):
            distinct = pc.unique(column).drop_null()
            distinct = distinct.take(pc.sort_indices(distinct))
            found = pc.index_in(column, value_set=distinct).fill_null(0)
            return cls(to_numpy(found).astype(np.int64), present, column.type, distinct)
        return cls(whole_numbers(column), present, column.type)

    def values(self, ranks: Integers, present: npt.NDArray[np.bool_]) -> pa.Array:
        """The values that `ranks` stand for, null where not present."""
        if self.dictionary is not None:
            return self.dictionary.take(pa.array(ranks, pa.int64(), mask=~present))
        if pa.types.is_floating(self.kind):
            doubles = pa.array(_flipped(ranks).view(np.float64), mask=~present)
            return doubles.cast(self.kind)
        kept = np.where(present, ranks, 0)
        if pa.types.is_boolean(self.kind):
            return pa.array(kept.astype(bool), mask=~present)
        if pa.types.is_date32(self.kind):
            return pa.array(kept.astype(np.int32), pa.int32(), mask=~present).cast(self.kind)
        return pa.array(kept, pa.int64(), mask=~present).cast(self.kind)


def _flipped(bits: Integers) -> Integers:
    """Doubles' bits in the order of the doubles, and back: negative ones count downwards."""
    return np.where(bits < 0, bits ^ _POSITIVE, bits)


def _is_numbered(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_signed_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_date32(kind)
        or pa.types.is_timestamp(kind)
    )
