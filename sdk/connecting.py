"""Where a client is made: from an address, or from a project's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from featurestore.errors import UnsupportedOperation
from sdk.client import Client

HTTP = ("http://", "https://")


def connect(target: str | Path, *, settings: Mapping[str, object] | None = None) -> Client:
    """A client of the project in the folder `target`, or served at the address `target` (`http://…`).

    `settings` are merged over the folder's `knownat.toml`; a server has its own. Raises SettingsError.
    """
    if isinstance(target, str) and target.startswith(HTTP):
        from sdk.remote import RemoteTransport

        if settings:
            raise UnsupportedOperation("Settings belong to the server: they can not be given when connecting to one.")
        return Client(RemoteTransport(target))
    from sdk.local import open_local

    return Client(open_local(Path(target), settings))
