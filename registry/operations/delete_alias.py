"""Delete an alias. The version it points at stays as it is."""

from __future__ import annotations

from registry.ports import RegistryStores


def delete_alias(model: str, name: str, stores: RegistryStores) -> None:
    """Raises ModelNotFound, AliasNotFound."""
    stores.aliases.remove(model, name)
