"""Where declarations come from."""

from __future__ import annotations

from typing import Protocol

from featurestore.spec.declarations import Declarations


class DefinitionsReader(Protocol):
    def load(self) -> Declarations:
        """Run the definitions and collect what they declare. Raises DefinitionsError with every problem found."""
        ...
