"""Everything wrong with a folder is told at once, and nothing is told twice."""

from __future__ import annotations

import featurestore as fs
from tests.unit.graph.resolving import aircraft, flights, problems

SOURCE, TAIL = flights(), aircraft()


def view(name: str, *features: str) -> fs.FeatureView:
    return fs.FeatureView(name, entity=TAIL, source=SOURCE, features=features)


def test_problems_of_names_columns_types_features_and_services_are_told_together() -> None:
    good = view("good", "seats")
    late = fs.OnDemandFeature("late", expression="good:seat + 1")

    told = problems(
        view("twice", "seats"),
        view("twice", "delay"),
        view("misspelled", "sets"),
        view("odd", "fare"),
        late,
        fs.FeatureService("service", features=[good["carrier"]]),
    )

    assert len(told) == 5
    for part in ("declared twice", "column 'sets'", "decimal128", "'seat'", "'good:carrier'"):
        assert any(part in one for one in told), (part, told)


def test_what_refers_to_a_broken_view_is_not_told_again() -> None:
    broken = view("broken", "sets")
    twice = fs.OnDemandFeature("twice", expression="2 * broken:sets")

    told = problems(
        broken, twice, fs.FeatureService("service", features=[broken, broken.role("other", tail="o"), twice])
    )

    assert len(told) == 1
    assert "column 'sets'" in told[0]
