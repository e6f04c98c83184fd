"""The page on tables that are updated in place: its example runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "updated-in-place.md").read_text()
DECLARED, USED = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_example_ends_as_the_page_says(tmp_path: Path) -> None:
    for folder in ("definitions", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "definitions" / "shop.py").write_text(DECLARED)
    (tmp_path / "knownat.toml").write_text('name = "shop"\n')

    done = subprocess.run([sys.executable, "-c", USED], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
