"""Move an alias: from this moment on, `name@champion` means another version."""

from __future__ import annotations

from registry.ports import RegistryStores
from registry.records import Alias, ModelVersion


def set_alias(alias: Alias, stores: RegistryStores) -> ModelVersion:
    """Point the alias at its version, and return that version. Raises ModelNotFound, VersionNotFound.

    An alias that is there already is moved; repeating the call changes nothing but when it was moved and by whom.
    """
    stores.aliases.move(alias)
    return stores.models.version(alias.model, alias.version)
