"""A folder of definitions: read as a package, told about with file and line, and left as it was."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from featurestore.adapters.definitions_folder import DefinitionsFolder
from featurestore.errors import DefinitionsError, Problem, SettingsError
from featurestore.spec.aggregate import Function

ENTITY = """\
import featurestore as fs

{name} = fs.Entity("{name}", join_keys={{"{name}_id": fs.String}})
"""
FLIGHTS = """\
import featurestore as fs

flights = fs.ParquetSource("flights", path="flights", event_timestamp="landed_at")
"""


def written(folder: Path, **files: str) -> Path:
    """The folder with these Python files in it; `a__b` is `a/b.py`."""
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


def entity_names(folder: Path) -> list[str]:
    return [entity.name for entity in DefinitionsFolder(folder).load().entities]


def problems(folder: Path) -> list[Problem]:
    """What is wrong, with places relative to the folder."""
    with pytest.raises(DefinitionsError) as caught:
        DefinitionsFolder(folder).load()
    found = caught.value.problems
    return [Problem(str(Path(p.where).relative_to(folder.resolve())), p.what, p.hint) for p in found]


@pytest.fixture
def definitions(tmp_path: Path) -> Path:
    (tmp_path / "defined").mkdir()
    return tmp_path / "defined"


def test_what_all_files_declare_is_collected_by_kind(definitions: Path) -> None:
    views = """\
from defined.aircraft import aircraft
from defined.sources.flights import flights
import featurestore as fs

seats = fs.FeatureView("seats", entity=aircraft, source=flights, features=["seats"])
share = fs.OnDemandFeature("share", expression="basket / seats:seats", inputs={"basket": fs.Float64})
delay_v1 = fs.FeatureService("delay_v1", features=[seats, share])
"""
    written(definitions, aircraft=ENTITY.format(name="aircraft"), sources__flights=FLIGHTS, views=views)

    found = DefinitionsFolder(definitions).load()

    kinds = (found.entities, found.sources, found.views, found.on_demand, found.services)
    assert [[item.name for item in kind] for kind in kinds] == [
        ["aircraft"],
        ["flights"],
        ["seats"],
        ["share"],
        ["delay_v1"],
    ]


def test_a_folder_without_files_declares_nothing(definitions: Path) -> None:
    assert entity_names(definitions) == []


def test_what_editors_and_notebooks_keep_is_not_read_and_private_modules_are(definitions: Path) -> None:
    written(definitions, pets=ENTITY.format(name="cat"), _private__dogs=ENTITY.format(name="dog"))
    copied = (definitions / "pets.py").read_text()
    for kept in (".ipynb_checkpoints/pets-checkpoint.py", ".venv/lib/site.py", "__pycache__/pets.py", ".hidden.py"):
        (definitions / kept).parent.mkdir(parents=True, exist_ok=True)
        (definitions / kept).write_text(copied)
    (definitions / "._pets.py").write_bytes(b"\x00\x05\x16\x07\x00Mac OS X")
    (definitions / ".#pets.py").symlink_to("somebody@host.123")
    (definitions / "folder.py").mkdir()

    assert entity_names(definitions) == ["dog", "cat"]


def test_a_definitions_folder_may_lie_in_a_folder_that_is_hidden(tmp_path: Path) -> None:
    written(tmp_path / ".kept" / "[1] %20" / "defined", a=ENTITY.format(name="cat"))

    assert entity_names(tmp_path / ".kept" / "[1] %20" / "defined") == ["cat"]


@pytest.mark.parametrize(
    "line", ["from defined.entities import aircraft", "from .entities import aircraft", "from . import entities"]
)
def test_files_import_each_other_and_a_declaration_counts_once(definitions: Path, line: str) -> None:
    written(definitions, a=line, entities=ENTITY.format(name="aircraft"), z=line)

    assert entity_names(definitions) == ["aircraft"]


def test_threads_may_read_definitions_at_the_same_time(definitions: Path) -> None:
    files = {f"entity_{number}": ENTITY.format(name=f"e{number}") for number in range(9)}
    written(definitions, **files, last="from defined.entity_0 import e0")
    together = threading.Barrier(8)

    def read(_: int) -> list[str]:
        together.wait(timeout=30)
        return entity_names(definitions)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, range(8)))

    assert found == [[f"e{number}" for number in range(9)]] * 8


def test_a_name_for_a_declaration_does_not_make_it_two(definitions: Path) -> None:
    written(definitions, a=ENTITY.format(name="aircraft") + "plane = aircraft\n")

    assert entity_names(definitions) == ["aircraft"]


def test_two_equal_declarations_are_both_found(definitions: Path) -> None:
    written(definitions, a=ENTITY.format(name="aircraft"), b=ENTITY.format(name="aircraft"))

    assert entity_names(definitions) == ["aircraft", "aircraft"]


def test_declarations_come_in_the_order_of_files_and_lines(definitions: Path) -> None:
    second = "\n" * 8 + 'second = fs.Entity("second", join_keys={"x": fs.String})'
    a = "from defined.b import third\n" + ENTITY.format(name="first") + second
    written(definitions, b=ENTITY.format(name="third"), a=a, c__a=ENTITY.format(name="fourth"))

    assert entity_names(definitions) == ["first", "second", "third", "fourth"]


def test_a_change_is_seen_when_the_folder_is_read_again(definitions: Path) -> None:
    folder = DefinitionsFolder(written(definitions, a=ENTITY.format(name="cat"), b="from defined.a import cat"))
    before = folder.load()
    written(definitions, a=ENTITY.format(name="dog"), b="from defined.a import dog")

    assert [entity.name for entity in before.entities] == ["cat"]
    assert [entity.name for entity in folder.load().entities] == ["dog"]


def test_a_file_that_was_removed_is_gone_for_those_who_import_it(definitions: Path) -> None:
    written(definitions, a=ENTITY.format(name="cat"), b="from defined.a import cat")
    DefinitionsFolder(definitions).load()
    (definitions / "a.py").unlink()

    assert problems(definitions) == [Problem("b.py:1", "ModuleNotFoundError: No module named 'defined.a'")]


def test_projects_whose_folders_have_the_same_name_do_not_meet(tmp_path: Path) -> None:
    first = written(tmp_path / "first" / "defined", a=ENTITY.format(name="cat"), only_here=ENTITY.format(name="ox"))
    second = written(tmp_path / "second" / "defined", a=ENTITY.format(name="dog"))

    assert entity_names(first) == ["cat", "ox"]
    assert entity_names(second) == ["dog"]
    assert entity_names(first) == ["cat", "ox"]


def test_a_folder_with_an_init_file_is_a_package_like_any_other(definitions: Path) -> None:
    written(definitions, a=ENTITY.format(name="cat"), b="from defined import cat", views__c="from defined import cat")
    (definitions / "__init__.py").write_text("from .a import cat")
    (definitions / "views" / "__init__.py").touch()

    assert entity_names(definitions) == ["cat"]


SYNTAX = "x = 1\nthis is no Python\n"
RAISES = "import featurestore as fs\n\ndef declare():\n    return 1 / 0\n\ndeclare()\n"
INVALID = 'import featurestore as fs\n\n\ncat = fs.Entity(\n    "cat",\n    join_keys={},\n)\n'
UNKNOWN = 'import featurestore as fs\n\nfs.Aggregate("x", "median", windows=["1d"])\n'
EXITS = "import sys\n\nsys.exit(3)\n"


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (SYNTAX, "a.py:2", "syntax error: invalid syntax"),
        ("x = (\n", "a.py:1", "syntax error: '(' was never closed"),
        ("if 1:\nx = 2\n", "a.py:2", "syntax error: expected an indented block after 'if' statement on line 1"),
        (RAISES, "a.py:4", "ZeroDivisionError: division by zero"),
        ("import not_installed\n", "a.py:1", "ModuleNotFoundError: No module named 'not_installed'"),
        ("from defined.b import cat\n", "a.py:1", "ModuleNotFoundError: No module named 'defined.b'"),
        (EXITS, "a.py:3", "the file ends the program"),
        ("raise SystemExit\n", "a.py:1", "the file ends the program"),
        (INVALID, "a.py:4", "entity 'cat' needs at least one join key: join_keys={'id': String}"),
        (
            UNKNOWN,
            "a.py:3",
            f"there is no aggregate 'median'; there is: {', '.join(function.value for function in Function)}",
        ),
    ],
)
def test_a_problem_comes_with_file_and_line_and_says_each_thing_once(
    definitions: Path, text: str, where: str, what: str
) -> None:
    written(definitions, a=text)

    (problem,) = problems(definitions)

    assert (problem.where, problem.what) == (where, what)


def test_an_error_is_told_where_it_stands_and_not_where_it_was_imported(definitions: Path) -> None:
    written(definitions, a="from .broken import x", b="import defined.broken", broken=INVALID, c="from .wrong import x")
    written(definitions, wrong=SYNTAX)

    assert [problem.where for problem in problems(definitions)] == ["broken.py:4", "wrong.py:2"]


def test_an_error_inside_a_library_is_told_where_it_was_called(definitions: Path) -> None:
    written(definitions, a="import json\n\njson.loads('{')\n")

    (problem,) = problems(definitions)

    assert problem.where == "a.py:3"
    assert problem.what.startswith("JSONDecodeError: ")


def test_all_broken_files_are_told_at_once(definitions: Path) -> None:
    files = {"a": SYNTAX, "b": RAISES, "c": ENTITY.format(name="fine"), "d": INVALID, "e": EXITS}
    written(definitions, **files)

    assert [problem.where for problem in problems(definitions)] == ["a.py:2", "b.py:4", "d.py:4", "e.py:3"]


def test_a_file_that_is_no_text_is_told_by_its_name(definitions: Path) -> None:
    (definitions / "a.py").write_bytes(b"x = '\xff\xfe'\n")

    (problem,) = problems(definitions)

    assert problem.where.startswith("a.py:")
    assert problem.what.startswith("syntax error: ")


def test_a_missing_folder_is_told_with_the_way_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no definitions folder .*/defined\. Run `knownat init`"):
        DefinitionsFolder(tmp_path / "defined").load()


@pytest.mark.parametrize("name", ["json", "asyncio", "sys", "featurestore", "pyarrow", "pytest", "sklearn"])
def test_a_folder_may_not_have_the_name_of_another_module(tmp_path: Path, name: str) -> None:
    written(tmp_path / name, a="")

    with pytest.raises(SettingsError, match=f"/{name} has the name of a Python module. Rename it"):
        DefinitionsFolder(tmp_path / name).load()


@pytest.mark.parametrize("name", ["my-definitions", "2024", "a.b", "a b"])
def test_a_folder_needs_a_name_that_can_be_imported(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    with pytest.raises(SettingsError, match="needs a name that Python can import"):
        DefinitionsFolder(tmp_path / name).load()


@pytest.mark.parametrize("text", ["", SYNTAX, RAISES, EXITS], ids=["fine", "syntax", "raises", "exits"])
def test_nothing_is_left_behind(definitions: Path, text: str) -> None:
    written(definitions, a=text, b=ENTITY.format(name="cat"), views__c="from defined.b import cat")
    files = sorted(definitions.rglob("*"))
    before = list(sys.path), sys.dont_write_bytecode, dict(sys.modules)

    try:
        DefinitionsFolder(definitions).load()
    except DefinitionsError:
        assert text

    assert (list(sys.path), sys.dont_write_bytecode, dict(sys.modules)) == before
    assert sorted(definitions.rglob("*")) == files


def test_a_folder_reached_through_a_link_is_read_where_it_stands(tmp_path: Path) -> None:
    written(tmp_path / "real" / "defined", a=ENTITY.format(name="cat"), b="from defined.a import cat")
    (tmp_path / "defined").symlink_to(tmp_path / "real" / "defined")

    assert entity_names(tmp_path / "defined") == ["cat"]
