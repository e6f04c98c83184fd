"""A plan says which new and changed features fail on values that rows may hold, and a lookup says which row did."""

from __future__ import annotations

from pathlib import Path

import pytest

from featurestore.errors import KnownatError, SourceError
from sdk import open_project
from tests.command import done
from tests.service.conftest import apply_all, connected
from tests.small_project import SmallProject, small_project

MORE = """
shop_codes = fs.FeatureView("shop_codes", entity=shop, source=facts, features=[fs.Feature("code", "city::INT")])
many = fs.OnDemandFeature("many", expression="asked * 4", inputs={"asked": fs.Int64})
"""


def with_more(folder: Path) -> SmallProject:
    project = small_project(folder)
    definitions = project.folder / "definitions" / "shops.py"
    definitions.write_text(definitions.read_text() + MORE)
    return project


def test_a_plan_says_what_can_fail_until_it_is_applied(tmp_path: Path) -> None:
    project = with_more(tmp_path / "shops")

    told = [done("plan", "--project", project.folder).out for _ in range(2)]
    listed = done("plan", "--project", project.folder, "--json").json["can_fail"]
    project.redefine("city::INT", "TRY_CAST(city AS INT)")
    with open_project(project.folder) as opened:
        list(opened.apply())
        afterwards = opened.plan()

    assert told[0] == told[1]
    assert "shop_codes:code: Conversion Error: Could not convert string" in told[0]
    assert "are too much for: many" in told[0]
    assert [(one["what"], one["at_limits"]) for one in listed] == [("shop_codes:code", False), ("many", True)]
    assert afterwards.can_fail == ()


def test_a_fill_that_fails_on_a_row_names_its_view(tmp_path: Path) -> None:
    project = with_more(tmp_path / "shops")

    with open_project(project.folder) as opened, pytest.raises(SourceError) as failed:
        list(opened.apply())

    assert failed.value.message.startswith("View 'shop_codes' can not be filled.")
    assert "Could not convert string" in failed.value.message


@pytest.mark.parametrize("mode", ["path", "http"])
def test_a_lookup_names_the_row_that_a_feature_can_not_be_computed_of(mode: str, tmp_path: Path) -> None:
    project = with_more(tmp_path / "shops")
    project.redefine("city::INT", "length(city)")
    apply_all(project.folder)
    rows = [{"shop": "a", "asked": asked} for asked in (1, 2, 2**62, 4, 2**61)]

    with connected(project.folder, mode) as client, pytest.raises(KnownatError) as failed:
        client.online(features=["shop_codes:code", "many"], entities=rows)

    assert "A feature can not be computed of row 2. On-demand feature 'many': " in str(failed.value)
