"""Nanoseconds are floored, whatever holds them, at every moment that they can tell."""

from __future__ import annotations

import pyarrow as pa
import pytest

from featurestore.graph.microseconds import floored, floored_rows, floored_type, has_nanoseconds

LAST = 2**63 - 1
MOMENTS = [0, 1, -1, 999, -999, 1000, -1000, -1001, None, LAST, -LAST, LAST - 807, 807 - LAST]
FLOORED = [None if moment is None else moment // 1000 for moment in MOMENTS]
FINE = pa.timestamp("ns", "UTC")
SHAPES: dict[str, pa.Array] = {
    "alone": pa.array(MOMENTS, FINE),
    "naive": pa.array(MOMENTS, pa.timestamp("ns")),
    "in another zone": pa.array(MOMENTS, pa.timestamp("ns", "America/New_York")),
    "in a dictionary": pa.array(MOMENTS, FINE).dictionary_encode(),
    "in lists": pa.array([None if one is None else [one, None] for one in MOMENTS], pa.list_(FINE)),
    "in large lists": pa.array([None if one is None else [one, None] for one in MOMENTS], pa.large_list(FINE)),
    "in lists of one size": pa.array([None if one is None else [one, None] for one in MOMENTS], pa.list_(FINE, 2)),
    "in structs": pa.array(
        [None if one is None else {"at": one, "n": 1} for one in MOMENTS], pa.struct([("at", FINE), ("n", pa.int8())])
    ),
    "in maps": pa.array([None if one is None else [("a", one)] for one in MOMENTS], pa.map_(pa.string(), FINE)),
    "in lists of structs": pa.array(
        [None if one is None else [{"at": one}] for one in MOMENTS], pa.list_(pa.struct([("at", FINE)]))
    ),
}


def _made(kind: str, moment: int) -> object:
    match kind:
        case "in lists" | "in large lists" | "in lists of one size":
            return [moment, None]
        case "in structs":
            return {"at": moment, "n": 1}
        case "in maps":
            return [("a", moment)]
        case "in lists of structs":
            return [{"at": moment}]
        case _:
            return moment


def whole(kind: str) -> pa.Array:
    """The same values, made of whole microseconds."""
    fine = SHAPES[kind]
    return pa.array([None if one is None else _made(kind, one) for one in FLOORED], floored_type(fine.type))


@pytest.mark.parametrize("kind", SHAPES)
def test_every_moment_is_floored_wherever_it_is(kind: str) -> None:
    values = SHAPES[kind]

    found = floored(values)

    found.validate(full=True)
    assert found.equals(whole(kind))
    assert floored(values.slice(3, 7)).equals(whole(kind).slice(3, 7))
    assert floored(pa.chunked_array([values[:4], values[4:]])).equals(pa.chunked_array([whole(kind)]))
    assert not has_nanoseconds(found.type)


def test_what_has_no_nanoseconds_comes_back_as_it_is() -> None:
    values = pa.array([{"at": 1}], pa.struct([("at", pa.timestamp("ms"))]))

    assert floored(values) is values
    assert floored_type(values.type) is values.type


def test_the_other_columns_of_rows_stay() -> None:
    rows = pa.table({"n": [1], "at": pa.array([-1], FINE), "s": pa.array([1], pa.timestamp("s"))})

    found = floored_rows(rows)

    assert found.drop_columns(["at"]).equals(rows.drop_columns(["at"]))
    assert found["at"].cast(pa.int64()).to_pylist() == [-1]
    assert floored_rows(rows.to_batches()[0]).equals(found.to_batches()[0])
