"""The README's examples run as they stand there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
DECLARED, USED = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
[OWN_PROJECT] = re.findall(r"```sh\n(make install.*?)```", README, flags=re.DOTALL)


def knownat(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sdk.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project that the README starts, by its own commands up to `serve`, which would not end."""
    folder = tmp_path_factory.mktemp("readme")
    for line in OWN_PROJECT.splitlines():
        command = shlex.split(line, comments=True)
        if command[0] != "knownat" or "serve" in command:
            continue
        done = knownat(folder, *(command[1 : command.index("&&")] if "&&" in command else command[1:]))
        assert done.returncode == 0, (line, done.stderr)
        if "init" in command:
            folder /= "my-shop"
    return folder


def test_the_commands_leave_a_training_set_behind(shop: Path) -> None:
    assert (shop / "training.parquet").is_file()


def test_what_the_example_declares_is_valid(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "shop.py").write_text(DECLARED)
    (tmp_path / "data").symlink_to(shop / "data")
    (tmp_path / "knownat.toml").write_text("clock = 2026-01-31T00:00:00Z\n")

    done = knownat(tmp_path, "plan")

    assert done.returncode == 0, done.stderr
    assert "checkout_v1" in done.stdout


@pytest.mark.parametrize("run", range(3))
def test_a_script_that_does_what_the_example_does_ends_well(shop: Path, run: int) -> None:
    script = USED.replace('"refund"', f'"refund{run}"').replace("refund@", f"refund{run}@")

    done = subprocess.run([sys.executable, "-c", script], cwd=shop, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "customer_orders__orders_7d" in done.stdout
