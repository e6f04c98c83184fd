"""Settings: one `knownat.toml` beside the definitions, any value overridable by the environment.

`KNOWNAT_ONLINE__URL=redis://…` overrides `url` of the table `[online]`. Relative paths are relative to the project's
folder. Secrets belong in the environment; `Settings` hides them when it is printed.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableVariable

from featurestore.errors import SettingsError

FILE_NAME = "knownat.toml"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OnlineSettings(_Table):
    """`url` is empty for the embedded store, or `redis://…`, `rediss://…` (with TLS), `unix://…`, or for a cluster
    `redis+cluster://host1,host2` or `rediss+cluster://…`."""

    url: SecretStr = SecretStr("")
    path: str = ".knownat/online.sqlite"
    timeout_seconds: float = Field(default=0.5, gt=0)
    """How long a lookup may wait for the store, all in all."""
    ca_file: str = ""
    """Who signs the certificate of a server with TLS (PEM); empty: whom the system trusts."""
    certificate_file: str = ""
    """Where the server wants to know who we are: our certificate and its key (PEM)."""
    key_file: str = ""


class StreamSettings(_Table):
    """The Redis whose streams are consumed; without `url`, that of the online store. Entries that come within
    `gather_seconds` of each other are appended together. What a consumer was given and did not deal with is another's
    after `claim_seconds`."""

    url: SecretStr = SecretStr("")
    batch_entries: int = Field(default=1_000, gt=0, le=10_000)
    gather_seconds: float = Field(default=0.2, ge=0, le=60)
    claim_seconds: float = Field(default=60, gt=0)
    timeout_seconds: float = Field(default=0.5, gt=0)


class StateSettings(_Table):
    """`url` is an SQLAlchemy address; empty for an SQLite file at `path`."""

    url: SecretStr = SecretStr("")
    path: str = ".knownat/state.sqlite"


class OfflineSettings(_Table):
    tables: str = ".knownat/tables"
    objects: str = ".knownat/objects"
    locks: str = ".knownat/locks"
    """Who works on which view, among the processes of this machine."""
    frames: str = ".knownat/frames"
    """The rows that were pushed to frame sources."""


class S3Settings(_Table):
    """Storage that speaks S3, for sources at `s3://bucket/path`. `endpoint` is empty for AWS itself; without an access
    key, AWS's own variables, profiles and roles are looked at."""

    endpoint: str = ""
    region: str = ""
    access_key: SecretStr = SecretStr("")
    secret_key: SecretStr = SecretStr("")
    session_token: SecretStr = SecretStr("")
    timeout_seconds: float = Field(default=10, gt=0)


class EngineSettings(_Table):
    memory_limit: str = "4GB"
    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, gt=0)
    spill_folder: str = ".knownat/spill"
    chunk_days: int = Field(default=31, gt=0)
    workers: int = Field(default=1, gt=0)
    """Chunks of a backfill that are computed at once. They share memory and threads."""


class ServingLogSettings(_Table):
    """Which share of the online requests is logged, from 0 (none) to 1 (all), and where. Within one process, at most
    `most_waiting` rows wait to be written, for at most `flush_seconds`; `rows_per_file` of them are written at once."""

    sample: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    path: str = ".knownat/serving-log"
    most_waiting: int = Field(default=100_000, gt=0)
    flush_seconds: float = Field(default=10.0, gt=0, le=3600, allow_inf_nan=False)
    rows_per_file: int = Field(default=20_000, gt=0)


class Settings(BaseSettings):
    """A project's settings. Build them with `read_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="KNOWNAT_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        toml_file=None,
        hide_input_in_errors=True,  # a traceback is no place for a password either
    )

    folder: Path
    name: str = "knownat"
    definitions: str = "definitions"
    data_folder: str = "data"
    clock: AwareDatetime | None = None
    """Where time stands still, for demonstrations and replays; None: the machine's clock."""
    online: OnlineSettings = OnlineSettings()
    state: StateSettings = StateSettings()
    offline: OfflineSettings = OfflineSettings()
    engine: EngineSettings = Field(default_factory=EngineSettings)
    s3: S3Settings = S3Settings()
    serving_log: ServingLogSettings = ServingLogSettings()
    streams: StreamSettings = StreamSettings()
    connections: Mapping[str, SecretStr] = Field(default_factory=dict)
    """Addresses of databases, `postgresql://…`, by the names that SqlSource uses."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the file, whose values come as arguments."""
        assert isinstance(init_settings, InitSettingsSource)  # noqa: S101 - documented by pydantic-settings
        return env_settings, init_settings

    def path(self, relative: str) -> Path:
        """A path of the settings, relative to the project's folder unless it is absolute."""
        return self.folder / relative


def read_settings(folder: Path, overrides: Mapping[str, object] | None = None) -> Settings:
    """The settings of the project in `folder`, with `overrides` merged over the file, table by table.

    The environment goes before both. Raises SettingsError naming each value that is wrong.
    """
    file = folder / FILE_NAME
    if not file.is_file():
        raise SettingsError(
            f"{folder} is not a Knownat project: it has no {FILE_NAME}. Run `knownat init {folder}` to start one, or "
            "name another folder with --project."
        )
    try:
        values = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}") from error
    try:
        settings = Settings(**{**_merged(values, overrides or {}), "folder": folder})
    except ValidationError as error:
        told = "\n".join(f"  {'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
        raise SettingsError(f"{file} or the environment has settings that are wrong:\n{told}") from error
    except UnreadableVariable as error:
        raise SettingsError(
            f"The environment has a setting that is wrong: {error}. The values of a table are set one by one, as in "
            "KNOWNAT_ONLINE__URL."
        ) from error
    return settings.model_copy(update={"folder": folder.resolve()})  # where the file is, whatever KNOWNAT_FOLDER says


def _merged(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The values with the overrides over them; a table is merged with the table it overrides."""
    merged = {**values}
    for key, value in overrides.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(value, Mapping) and isinstance(below, Mapping) else value
    return merged


def machine_clock() -> datetime:
    """The moment it is now, in UTC. The only place in Knownat that asks."""
    return datetime.now(UTC)
