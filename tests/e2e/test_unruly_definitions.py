"""Definitions that print, end the program or never end: the command tells it, and its answers stay answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import started
from tests.small_project import DEFINITIONS, small_project

PRINTS = "import os\nprint('printed')\nos.write(1, b'written\\n')\nos.system('echo echoed')\n"
SLOW = "levenshtein(repeat('a', 900000), repeat('b', 900000)) > 0"


def ended(folder: Path, *arguments: str, seconds: float = 60) -> tuple[int, str, str]:
    process = started(
        *arguments, "--project", folder, environment={"KNOWNAT_DEFINITIONS_SECONDS": str(seconds), "COLUMNS": "500"}
    )
    out, err = process.communicate()
    return process.returncode, out, err


def test_what_definitions_print_is_no_part_of_an_answer(tmp_path: Path) -> None:
    small_project(tmp_path).redefine(DEFINITIONS, PRINTS + DEFINITIONS)

    code, out, err = ended(tmp_path, "plan", "--json")

    assert code == 0
    assert json.loads(out)["changes"]
    assert err.split()[:3] == ["printed", "written", "echoed"]


@pytest.mark.parametrize("text", ["import os; os._exit(0)", "raise GeneratorExit", "import sys; sys.exit(0)"])
@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_file_that_ends_the_program_is_a_refusal(tmp_path: Path, command: str, text: str) -> None:
    small_project(tmp_path)
    (tmp_path / "definitions" / "ends.py").write_text(text)

    code, out, err = ended(tmp_path, command, "--json")

    assert (code, out) == (1, "")
    assert json.loads(err)["details"]["problems"][0]["where"] == f"{tmp_path}/definitions/ends.py:1"


def test_a_file_that_never_ends_ends_at_the_deadline_of_the_settings(tmp_path: Path) -> None:
    small_project(tmp_path)
    (tmp_path / "definitions" / "hangs.py").write_text("while True: pass")

    code, out, err = ended(tmp_path, "apply", seconds=0.5)

    assert (code, out) == (1, "")
    assert f"{tmp_path}/definitions/hangs.py:1: reading the definitions did not end within 0.5 seconds" in err


def test_what_the_engine_never_understands_ends_at_the_deadline_with_the_view(tmp_path: Path) -> None:
    old = 'fs.Aggregate("amount", fs.sum, windows=["7d"]),'
    small_project(tmp_path).redefine(old, f'fs.Aggregate("amount", fs.sum, windows=["7d"], where="{SLOW}"),')

    code, out, err = ended(tmp_path, "plan", seconds=5)

    assert (code, out) == (1, "")
    assert f"{tmp_path}/definitions/shops.py:9: view 'shop_orders': The engine had not understood it after 5" in err
    assert "goes on with it until this program ends" in err


def test_an_on_demand_feature_that_is_never_understood_is_told_too(tmp_path: Path) -> None:
    small_project(tmp_path).redefine("basket / shop_orders", f"CASE WHEN {SLOW} THEN basket ELSE 1 END / shop_orders")

    code, out, err = ended(tmp_path, "plan", seconds=5)

    assert (code, out) == (1, "")
    assert "on-demand feature 'basket_share': The engine had not understood it after 5 seconds" in err
