"""Every error the registry raises on purpose, as one tree.

RegistryError                   a KnownatError, so that one `except` catches both storeys
├── ModelNotFound               no model of this name is registered
├── VersionNotFound             the model has no such version
├── AliasNotFound               the model has no such alias
├── InvalidModelReference       text that is not name@version or name@alias
├── InvalidAlias                text that can not be an alias
├── InvalidRegistration         a registration with problems (all of them)
└── RegistrationKeyReused       the key of an earlier registration came with another model

Messages say what was expected, what was found, and what to try. `code` is stable: scripts and clients may match on it.
"""

from __future__ import annotations

from collections.abc import Iterable

from featurestore.errors import KnownatError, suggestion


class RegistryError(KnownatError):
    code = "registry_error"


class ModelNotFound(RegistryError):
    code = "model_not_found"

    def __init__(self, model: str, known: Iterable[str]) -> None:
        self.model, self.known = model, tuple(sorted(known))
        super().__init__(f"There is no registered model '{model}'. {suggestion(model, self.known)}")

    @property
    def details(self) -> dict[str, object]:
        return {"model": self.model}


class VersionNotFound(RegistryError):
    code = "version_not_found"

    def __init__(self, model: str, version: int, known: Iterable[int]) -> None:
        self.model, self.version, self.known = model, version, tuple(sorted(known))
        super().__init__(f"Model '{model}' has no version {version}. {_known_versions(self.known)}")

    @property
    def details(self) -> dict[str, object]:
        return {"model": self.model, "version": self.version}


class AliasNotFound(RegistryError):
    code = "alias_not_found"

    def __init__(self, model: str, alias: str, known: Iterable[str]) -> None:
        self.model, self.alias, self.known = model, alias, tuple(sorted(known))
        super().__init__(f"Model '{model}' has no alias '{alias}'. {suggestion(alias, self.known)}")

    @property
    def details(self) -> dict[str, object]:
        return {"model": self.model, "alias": self.alias}


class InvalidModelReference(RegistryError):
    code = "invalid_model_reference"


class InvalidAlias(RegistryError):
    code = "invalid_alias"


class InvalidRegistration(RegistryError):
    """All problems of a registration at once."""

    code = "invalid_registration"

    def __init__(self, model: object, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        listing = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"Model {model!r} can not be registered like this:\n{listing}")

    @property
    def details(self) -> dict[str, object]:
        return {"problems": list(self.problems)}


class RegistrationKeyReused(RegistryError):
    code = "registration_key_reused"

    def __init__(self, model: str, key: str, version: int) -> None:
        self.model, self.key, self.version = model, key, version
        super().__init__(
            f"The key '{key}' already registered {model}@{version}, with another artifact or dataset. "
            "Use a new key for a new version, or the same artifact and dataset to be given that version again."
        )

    @property
    def details(self) -> dict[str, object]:
        return {"model": self.model, "key": self.key, "version": self.version}


def _known_versions(versions: tuple[int, ...]) -> str:
    if not versions:
        return "It has none yet."
    if len(versions) == 1:
        return f"It has version {versions[0]} only."
    return f"It has {len(versions)} versions, {versions[0]} to {versions[-1]}."
