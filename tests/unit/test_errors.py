"""The errors as scripts and clients see them: one tree, a code for each, messages that help."""

from __future__ import annotations

import inspect
import re
from types import ModuleType

import pytest

from featurestore import errors
from featurestore.errors import DefinitionsError, KnownatError, Problem, UnknownName, suggestion
from registry import errors as registry_errors

MODULES = [errors, registry_errors]
NAME_IN_TREE = re.compile(r"^((?:│   |    )*)(?:[├└]── )?([A-Z]\w+)(?: {2}|$)", re.MULTILINE)


def classes_of(module: ModuleType) -> list[type[KnownatError]]:
    """The errors that the module itself defines, in its order."""
    found = [item for item in vars(module).values() if inspect.isclass(item) and issubclass(item, KnownatError)]
    return [item for item in found if item.__module__ == module.__name__]


EVERY_ERROR = [error for module in MODULES for error in classes_of(module)]


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: error.__name__)
def test_every_error_has_a_code_of_its_own(error: type[KnownatError]) -> None:
    sharing = [other for other in EVERY_ERROR if other.code == error.code]

    assert sharing == [error]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_tree_at_the_top_of_the_file_draws_exactly_the_errors_in_it(module: ModuleType) -> None:
    root, *below = classes_of(module)

    assert drawn_parents(module) == {root.__name__: None} | {one.__name__: one.__bases__[0].__name__ for one in below}
    assert issubclass(root, KnownatError)


def drawn_parents(module: ModuleType) -> dict[str, str | None]:
    """Each name in the drawn tree, and the name that it hangs on."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for indent, name in NAME_IN_TREE.findall(module.__doc__ or ""):
        depth = 0 if not parents else 1 + len(indent) // 4
        parents[name] = above[depth - 1] if depth else None
        above[depth:] = [name]
    return parents


def test_problems_come_sorted_and_each_once() -> None:
    first, second = Problem("a.py:1", "wrong"), Problem("b.py:1", "wrong", "try this")

    error = DefinitionsError([second, first, second])

    assert error.problems == (first, second)
    assert error.message == "2 problems in the definitions:\n  a.py:1: wrong\n  b.py:1: wrong (try this)"


def test_problems_are_plain_values_for_scripts() -> None:
    error = DefinitionsError([Problem("a.py:1", "wrong")])

    assert error.details == {"problems": [{"where": "a.py:1", "what": "wrong", "hint": ""}]}
    assert error.message.startswith("1 problem in the definitions:")


def test_an_unknown_name_comes_with_the_closest_one() -> None:
    error = UnknownName("feature view", "wether", ["flights", "weather"])

    assert str(error) == "There is no feature view 'wether'. Did you mean 'weather'?"
    assert error.details == {"kind": "feature view", "name": "wether", "closest": ["weather"]}


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([], "None exist yet."),
        (["weather"], "Did you mean 'weather'?"),
        (["weather", "wethers"], "Did you mean 'wethers' or 'weather'?"),
        (["zoo", "box"], "There is: box, zoo."),
        ([f"x{number:02}" for number in range(12)], f"There is: {', '.join(f'x{n:02}' for n in range(12))}."),
        (
            [f"x{number:02}" for number in range(15)],
            f"There is: {', '.join(f'x{n:02}' for n in range(12))} and 3 more.",
        ),
    ],
)
def test_a_suggestion_is_what_is_close_or_else_what_there_is(known: list[str], expected: str) -> None:
    assert suggestion("wether", known) == expected
