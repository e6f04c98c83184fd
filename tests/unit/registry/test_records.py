"""Registrations, versions and aliases are checked when they are built."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from math import nan

import pytest

from registry.errors import InvalidAlias, InvalidModelReference, InvalidRegistration
from registry.records import Alias, RegistrationRequest

NOON = datetime(2014, 1, 1, 12, tzinfo=UTC)
REQUEST = RegistrationRequest(model="delay", file_name="delay.pkl", dataset="abc")


@pytest.mark.parametrize("name", ["delay", "Ankunft verspätet", "a.b-c_d", "x" * 200, "日本"])
def test_most_text_can_name_a_model(name: str) -> None:
    assert replace(REQUEST, model=name).model == name


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a@b", " a", "a\n", "a\0b", ".", "..", "x" * 201, "\ud800"])
def test_a_name_that_would_break_references_and_paths_is_refused(name: str) -> None:
    with pytest.raises(InvalidRegistration, match="model's name"):
        replace(REQUEST, model=name)


@pytest.mark.parametrize("name", ["", "..", "models/delay.pkl", "a\0"])
def test_a_file_name_is_the_name_of_a_file(name: str) -> None:
    with pytest.raises(InvalidRegistration, match="file name"):
        replace(REQUEST, file_name=name)


def test_a_model_without_a_dataset_says_so_and_why() -> None:
    request = RegistrationRequest(model="delay", file_name="m", no_dataset=True, no_dataset_reason="bought")

    assert request.dataset is None


@pytest.mark.parametrize(
    ("dataset", "no_dataset", "reason", "expected"),
    [
        (None, False, None, "names no dataset"),
        ("", False, None, "names no dataset"),
        (None, True, None, "needs a reason"),
        (None, True, "  ", "needs a reason"),
        ("abc", True, "bought", "choose one"),
        ("abc", False, "bought", "leave one out"),
    ],
)
def test_a_dataset_can_not_be_forgotten(
    dataset: str | None, no_dataset: bool, reason: str | None, expected: str
) -> None:
    with pytest.raises(InvalidRegistration, match=expected):
        replace(REQUEST, dataset=dataset, no_dataset=no_dataset, no_dataset_reason=reason)


def test_all_problems_come_at_once() -> None:
    with pytest.raises(InvalidRegistration) as caught:
        RegistrationRequest(model="a/b", file_name="", params=(("p", "1"), ("p", "2")), key="")

    assert len(caught.value.problems) == 5
    assert caught.value.details == {"problems": list(caught.value.problems)}


def test_metrics_may_be_nan_but_not_text() -> None:
    assert replace(REQUEST, metrics=(("auc", nan),)).metrics[0][0] == "auc"
    with pytest.raises(InvalidRegistration, match="'auc' is of type str: convert it to float"):
        replace(REQUEST, metrics=(("auc", "0.9"),))  # type: ignore[arg-type] # what people send


@pytest.mark.parametrize("text", ["a\0b", "\udfff", "x" * 100_001])
def test_text_that_a_database_would_refuse_is_refused_here(text: str) -> None:
    with pytest.raises(InvalidRegistration, match="description"):
        replace(REQUEST, description=text)
    with pytest.raises(InvalidRegistration, match="tag 'k'"):
        replace(REQUEST, tags=(("k", text),))


@pytest.mark.parametrize("name", ["champion", "_x", "A-1", "v", "v2x", "latest_good"])
def test_words_can_be_aliases(name: str) -> None:
    assert Alias(model="delay", name=name, version=1, moved_at=NOON).urn == f"alias:delay@{name}"


@pytest.mark.parametrize("name", ["", "3", "3x", "v3", "V12", "latest", "LATEST", "a b", "a@b", "é", "a\n", "a" * 251])
def test_what_reads_like_a_version_can_not_be_an_alias(name: str) -> None:
    with pytest.raises(InvalidAlias):
        Alias(model="delay", name=name, version=1, moved_at=NOON)


@pytest.mark.parametrize("version", [0, -1, 2**31])
def test_an_alias_points_at_a_number_from_one_on(version: int) -> None:
    with pytest.raises(InvalidModelReference, match="numbered from 1"):
        Alias(model="delay", name="champion", version=version, moved_at=NOON)
