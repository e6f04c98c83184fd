"""How people name a model version: `name@3` by its number, `name@champion` by an alias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from registry.errors import InvalidAlias, InvalidModelReference
from registry.rules import check_alias, check_version_number


@dataclass(frozen=True, slots=True)
class ModelReference:
    """`target` is a version's number or an alias.

    >>> ModelReference.parse("fraud@3")
    ModelReference(model='fraud', target=3)
    >>> str(ModelReference("fraud", "champion"))
    'fraud@champion'
    """

    model: str
    target: int | str

    def __post_init__(self) -> None:
        if isinstance(self.target, str):
            check_version_number(self.model, 1)
            check_alias(self.target)
        else:
            check_version_number(self.model, self.target)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidModelReference when `text` is neither `name@version` nor `name@alias`."""
        model, separator, target = text.rpartition("@")
        if not (separator and model and target):
            raise InvalidModelReference(f"'{text}' is not a model version: write name@version or name@alias")
        try:
            # Eleven digits are more than any version has, and int() of thousands of them is refused by Python.
            return cls(model, int(target) if _is_number(target) and len(target) < 12 else target)
        except InvalidAlias as error:
            raise InvalidModelReference(f"'{text}' is not a model version: {error}") from error

    def __str__(self) -> str:
        return f"{self.model}@{self.target}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
