"""How many cells were compared with the oracle: a property that compares nothing is always true."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Compared:
    cells: int = 0


COMPARED = Compared()
"""What the properties of this run have compared so far; told at its end."""
