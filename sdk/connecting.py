"""Where a client is made: from an address, or from a project's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from featurestore.errors import UnsupportedOperation
from sdk.client import Client

HTTP = ("http://", "https://")


def connect(
    target: str | Path, *, settings: Mapping[str, object] | None = None, lookup_seconds: float | None = None
) -> Client:
    """A client of the project in the folder `target`, or served at the address `target` (`http://…`).

    `settings` are merged over the folder's `knownat.toml`; a server has its own. A lookup that has no answer within
    `lookup_seconds` fails: by default after 30 s over HTTP, and after `[online] timeout_seconds` of the folder's
    settings, 0.5 s, in this process. Raises SettingsError.
    """
    if isinstance(target, str) and target.startswith(HTTP):
        from sdk.remote import LOOKUP_SECONDS, RemoteTransport

        if settings:
            raise UnsupportedOperation("Settings belong to the server: they can not be given when connecting to one.")
        return Client(RemoteTransport(target, lookup_seconds=lookup_seconds or LOOKUP_SECONDS))
    from sdk.local import open_local

    if lookup_seconds is not None:
        online = (settings or {}).get("online")
        tables = online if isinstance(online, Mapping) else {}
        settings = {**(settings or {}), "online": {**tables, "timeout_seconds": lookup_seconds}}
    return Client(open_local(Path(target), settings))
