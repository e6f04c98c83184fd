"""A wish to register a model, completed with what the machine knows: library versions and the commit checked out."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from registry.errors import InvalidRegistration
from sdk.requests import RegisterModel, nameable

LIBRARIES = (
    "numpy", "pandas", "polars", "pyarrow", "scikit-learn", "scipy", "xgboost", "lightgbm", "catboost", "torch",
    "tensorflow", "onnx", "joblib", "cloudpickle",
)  # fmt: skip


def particulars(name: str, artifact: bytes | str | Path, told: Mapping[str, Any]) -> RegisterModel:
    """The question that registers it. Raises InvalidRegistration when the artifact is no file."""
    if not nameable(name):
        raise InvalidRegistration(name, [f"the model's name is {name!r:.80}: use a text without '/'"])
    content = artifact if isinstance(artifact, bytes) else Path(artifact)
    if isinstance(content, Path) and not content.is_file():
        raise InvalidRegistration(name, [f"there is no file {content}: give the artifact's path, or its bytes"])
    values = {key: _plain(key, value) for key, value in told.items() if value is not None}
    if values.get("no_dataset") is False:
        del values["no_dataset"]
    values.setdefault("file_name", content.name if isinstance(content, Path) else "model.bin")
    values.setdefault("environment", installed_libraries())
    if "code_commit" not in values and (commit := checked_out_commit()):
        values["code_commit"] = commit
    try:
        json.dumps(values)
    except (TypeError, ValueError) as error:
        raise InvalidRegistration(name, [f"it has a value that can not be kept: {error}"]) from error
    return RegisterModel(name, content, values)


def installed_libraries() -> dict[str, str]:
    """Python and those libraries that models are usually made with, as far as they are installed."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = installed_version(library)
        except PackageNotFoundError:
            continue
    return found


def checked_out_commit() -> str | None:
    """The Git commit of the current folder; None where there is none, or no Git."""
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - whichever Git the user works with
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip() or None


def _plain(name: str, value: Any) -> Any:
    """Params and tags of any kind are kept as text; NumPy's numbers become Python's."""
    if name in ("params", "tags") and isinstance(value, Mapping):
        return {key: str(one) for key, one in value.items()}
    if name == "metrics" and isinstance(value, Mapping):
        return {key: _plain_number(one) for key, one in value.items()}
    return value


def _plain_number(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        return float(value) if isinstance(value, float) else value
    item = getattr(value, "item", None)
    return item() if callable(item) else value
