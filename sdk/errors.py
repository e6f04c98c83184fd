"""The errors of Knownat as a client meets them: the same classes over HTTP as in this process.

KnownatError                    every error, of every storey
├── OutputExists                a file with other content is where an answer should be written
└── ClientError                 what can only go wrong between a client and a server
    ├── ServerUnreachable       the server can not be reached, or does not answer in time
    └── ServerFailed            the server answered with an error that is none of ours, or with something else
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import featurestore.errors
import registry.errors
from featurestore.errors import KnownatError, Problem

__all__ = [
    "ClientError",
    "KnownatError",
    "OutputExists",
    "ServerFailed",
    "ServerUnreachable",
    "error_classes",
    "restored_error",
]


class OutputExists(KnownatError):
    """A file that would have been replaced without anybody asking for it."""

    code = "output_exists"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"{path} is there already, and holds something else. It was left as it is: name another file, or say "
            "that it may be replaced (overwrite=True, or --overwrite)."
        )

    @property
    def details(self) -> dict[str, object]:
        return {"path": str(self.path)}


class ClientError(KnownatError):
    code = "client_error"


class ServerUnreachable(ClientError):
    code = "server_unreachable"


class ServerFailed(ClientError):
    code = "server_failed"


def error_classes() -> dict[str, type[KnownatError]]:
    """Every error class of both storeys, by its code."""
    modules = (featurestore.errors, registry.errors)
    return {found.code: found for module in modules for found in _classes(vars(module))}


def restored_error(code: str, message: str, details: Mapping[str, object]) -> KnownatError | None:
    """The error that a server raised, with its message and details; None for a code this client does not know.

    Its facts are attributes again. What a server does not tell, such as every known name, is empty.
    """
    found = error_classes().get(code)
    if found is None:
        return None
    # Not through its own constructor, which would write the message anew from facts that were not all sent.
    error = found.__new__(found)
    KnownatError.__init__(error, message)
    error.__dict__ |= {"known": tuple(_texts(details.get("closest"))), **details}
    if "problems" in details:
        error.__dict__["problems"] = tuple(_problem(one) for one in _list(details["problems"]))
    return error


def _classes(names: Mapping[str, object]) -> Iterator[type[KnownatError]]:
    for value in names.values():
        if isinstance(value, type) and issubclass(value, KnownatError):
            yield value


def _problem(told: object) -> object:
    if isinstance(told, Mapping):
        return Problem(str(told.get("where", "")), str(told.get("what", "")), str(told.get("hint", "")))
    return told


def _texts(value: object) -> Iterator[str]:
    return (str(one) for one in _list(value))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
