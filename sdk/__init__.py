"""Knownat for those who use features and models: `connect` to a project, or `open_project` to look after one.

The names are loaded when they are first used: `knownat --help` needs none of them, and Arrow alone takes longer to
load than a person notices.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featurestore.errors import KnownatError
    from sdk.client import Client
    from sdk.connecting import connect
    from sdk.project import Project, open_project
    from sdk.results import OnlineResult, TrainingSet

__all__ = ["Client", "KnownatError", "OnlineResult", "Project", "TrainingSet", "connect", "open_project"]

_HOMES = {
    "Client": "sdk.client",
    "KnownatError": "featurestore.errors",
    "OnlineResult": "sdk.results",
    "Project": "sdk.project",
    "TrainingSet": "sdk.results",
    "connect": "sdk.connecting",
    "open_project": "sdk.project",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'sdk' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
