"""The public names are exactly these, and every module can be found by its name and read in one sitting."""

from __future__ import annotations

import ast
import re

import pytest

import featurestore
from tests.architecture.imports import ROOT, STOREYS, module_name, modules

PUBLIC = [
    "Aggregate",
    "Bool",
    "CsvSource",
    "Date",
    "Decimal",
    "DeltaSource",
    "Embedding",
    "Entity",
    "Feature",
    "FeatureService",
    "FeatureView",
    "Float32",
    "Float64",
    "FrameSource",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "List",
    "OnDemandFeature",
    "ParquetSource",
    "SqlSource",
    "String",
    "Timestamp",
    "count",
    "count_distinct",
    "first",
    "last",
    "last_n",
    "max",
    "mean",
    "min",
    "percentile",
    "std",
    "sum",
    "var",
]

DRAWERS = {"base", "common", "helper", "helpers", "manager", "misc", "shared", "util", "utils"}
LONGEST_MODULE = 400
UNFINISHED = re.compile("TO" + r"DO|FIX" + r"ME|XX" + "X")  # in pieces, so that this file does not find itself

EVERYTHING = [*STOREYS, "docs", "tests"]


def test_people_declare_features_with_exactly_these_names() -> None:
    assert sorted(featurestore.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(featurestore, name) is not None


def test_no_module_is_a_drawer() -> None:
    drawers = [
        str(path.relative_to(ROOT))
        for path in modules(*EVERYTHING)
        if DRAWERS & {word for part in module_name(path).split(".") for word in part.split("_")}
    ]

    assert not drawers, f"name the noun instead: {drawers}"


def test_no_module_is_longer_than_one_can_read() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules(*EVERYTHING)}

    too_long = {path: lines for path, lines in lengths.items() if lines > LONGEST_MODULE}

    assert not too_long, f"longer than {LONGEST_MODULE} lines, so probably two ideas: {too_long}"


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in modules(*STOREYS, "docs")
        if path.read_text().strip() and ast.get_docstring(ast.parse(path.read_text())) is None
    ]

    assert not silent, f"modules without a docstring: {silent}"


def test_nothing_is_marked_as_unfinished() -> None:
    marked = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in modules(*EVERYTHING)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if UNFINISHED.search(line)
    ]

    assert not marked, "\n".join(marked)
