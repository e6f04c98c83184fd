"""What every keeper of datasets promises, in memory and in a SQL database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from featurestore.errors import UnknownName
from tests.contract.states import HOUR, MANIFEST, NOON, State


def test_a_deleted_dataset_is_unknown_and_others_stay(state: State) -> None:
    other = replace(MANIFEST, id="b" * 64)
    state.datasets.put(MANIFEST)
    state.datasets.put(other)

    state.datasets.delete(MANIFEST.id)
    state.datasets.delete(MANIFEST.id)

    assert state.datasets.all() == (other,)
    with pytest.raises(UnknownName):
        state.datasets.get(MANIFEST.id)


def test_a_manifest_comes_back_equal_in_every_part(state: State) -> None:
    state.datasets.put(MANIFEST)

    assert state.datasets.get(MANIFEST.id) == MANIFEST


def test_the_first_manifest_with_an_id_is_the_one_that_is_kept(state: State) -> None:
    state.datasets.put(MANIFEST)

    kept = state.datasets.put(replace(MANIFEST, created_at=NOON + HOUR))

    assert kept == MANIFEST
    assert state.datasets.all() == (MANIFEST,)


def test_the_beginning_of_an_id_is_enough_when_it_has_six_characters(state: State) -> None:
    state.datasets.put(MANIFEST)

    assert state.datasets.get("abcdef") == MANIFEST
    with pytest.raises(UnknownName, match="There is no dataset 'abcde'"):
        state.datasets.get("abcde")


def test_the_beginning_of_two_ids_is_refused_with_both(state: State) -> None:
    state.datasets.put(replace(MANIFEST, id="abcdef1"))
    state.datasets.put(replace(MANIFEST, id="abcdef2"))

    with pytest.raises(UnknownName, match=r"no single dataset whose id starts with 'abcdef'.*abcdef2.*abcdef1"):
        state.datasets.get("abcdef")


@pytest.mark.parametrize("text", ["", "%%%%%%", "______", "ABCDEF", "' OR 1=1 --"])
def test_text_that_begins_no_id_is_an_unknown_dataset(state: State, text: str) -> None:
    state.datasets.put(MANIFEST)

    with pytest.raises(UnknownName):
        state.datasets.get(text)


def test_datasets_are_listed_oldest_first(state: State) -> None:
    younger, older = replace(MANIFEST, id="a" * 64), replace(MANIFEST, id="b" * 64, created_at=NOON - HOUR)
    state.datasets.put(younger)
    state.datasets.put(older)

    assert state.datasets.all() == (older, younger)
