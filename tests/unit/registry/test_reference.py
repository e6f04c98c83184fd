"""`name@3` and `name@champion`, and nothing else, name a model version."""

from __future__ import annotations

import pytest

from registry.errors import InvalidModelReference
from registry.reference import ModelReference


def test_a_number_is_a_version() -> None:
    assert ModelReference.parse("arrival delay@3") == ModelReference("arrival delay", 3)


def test_a_word_is_an_alias() -> None:
    assert ModelReference.parse("delay@champion") == ModelReference("delay", "champion")


@pytest.mark.parametrize("text", ["delay@3", "delay@champion"])
def test_a_reference_is_written_as_it_is_read(text: str) -> None:
    assert str(ModelReference.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "delay", "delay@", "@3", "a@b@3", "a/b@3"),
        *("delay@0", "delay@-1", "delay@1.5", "delay@4294967297", "delay@" + "9" * 5_000, "delay@٣", "delay@3 "),
        *("delay@v3", "delay@latest"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidModelReference):
        ModelReference.parse(text)
