"""Settings: one `knownat.toml` beside the definitions, any value overridable by the environment.

`KNOWNAT_ONLINE__URL=redis://…` overrides `url` of the table `[online]`. Relative paths are relative to the project's
folder. Secrets belong in the environment; `Settings` hides them when it is printed.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableVariable

from featurestore.errors import SettingsError

FILE_NAME = "knownat.toml"

_LEAST_MEMORY = 64 * 1024**2
_FIRST_YEAR, _LAST_YEAR = 1000, 9000
"""Windows and TTLs are counted back from the clock, and publish delays on from it: both must stay representable."""


def _memory_size(text: str) -> str:
    """The text, if it is a number of bytes that an engine can work within."""
    wanted = "write a number of bytes such as 4GB or 512MiB"
    try:
        size = TypeAdapter(ByteSize).validate_python(text)
    except ValidationError as error:
        raise ValueError(f"{text!r} is no size: {wanted}") from error
    if size < _LEAST_MEMORY:
        raise ValueError(f"{text!r} is too little to work with: {wanted}, at least 64MiB")
    return text


def _representable(clock: datetime) -> datetime:
    if not _FIRST_YEAR <= clock.year < _LAST_YEAR:
        raise ValueError(f"{clock.isoformat()} lies outside of the years {_FIRST_YEAR} to {_LAST_YEAR - 1}")
    return clock


Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OnlineSettings(_Table):
    """`url` is empty for the embedded store, or `redis://…`, `rediss://…` (with TLS), `unix://…`, or for a cluster
    `redis+cluster://host1,host2` or `rediss+cluster://…`."""

    url: SecretStr = SecretStr("")
    path: str = ".knownat/online.sqlite"
    timeout_seconds: Seconds = 0.5
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
    gather_seconds: float = Field(default=0.2, ge=0, le=60, allow_inf_nan=False)
    claim_seconds: Seconds = 60
    timeout_seconds: Seconds = 0.5


class StateSettings(_Table):
    """`url` is an SQLAlchemy address; empty for an SQLite file at `path`. A transaction waits `lock_seconds` for a lock
    that others hold. Of PostgreSQL, a statement may take `statement_seconds`, and what a restart of the server cut off
    before it changed anything is tried again for `retry_seconds`."""

    url: SecretStr = SecretStr("")
    path: str = ".knownat/state.sqlite"
    lock_seconds: Seconds = 30
    statement_seconds: Seconds = 120
    retry_seconds: Seconds = 15


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
    timeout_seconds: Seconds = 10


class EngineSettings(_Table):
    memory_limit: Annotated[str, AfterValidator(_memory_size)] = "4GB"
    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, gt=0, le=1024)
    spill_folder: str = ".knownat/spill"
    chunk_days: int = Field(default=31, gt=0, le=100_000)
    workers: int = Field(default=1, gt=0, le=256)
    """Chunks of a backfill that are computed at once. They share memory and threads."""


class ServingLogSettings(_Table):
    """Which share of the online requests is logged, from 0 (none) to 1 (all), and where. Within one process, at most
    `most_waiting` rows wait to be written, for at most `flush_seconds`; `rows_per_file` of them are written at once."""

    sample: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    path: str = ".knownat/serving-log"
    most_waiting: int = Field(default=100_000, gt=0, le=100_000_000)
    flush_seconds: float = Field(default=10.0, gt=0, le=3600, allow_inf_nan=False)
    rows_per_file: int = Field(default=20_000, gt=0, le=100_000_000)


class ServiceSettings(_Table):
    """How large a spine may be that comes over HTTP, in rows, and in memory once it is decompressed and its
    dictionaries are written out."""

    spine_rows: int = Field(default=20_000_000, gt=0, le=10_000_000_000)
    spine_megabytes: int = Field(default=1_024, gt=0, le=1_048_576)


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
    definitions_seconds: float = Field(default=60, gt=0, allow_inf_nan=False)
    """How long the files of definitions may take to be read, all in all, and the engine to understand a view."""
    data_folder: str = "data"
    clock: Annotated[AwareDatetime, AfterValidator(_representable)] | None = None
    """Where time stands still, for demonstrations and replays; None: the machine's clock."""
    online: OnlineSettings = OnlineSettings()
    state: StateSettings = StateSettings()
    offline: OfflineSettings = OfflineSettings()
    engine: EngineSettings = Field(default_factory=EngineSettings)
    s3: S3Settings = S3Settings()
    service: ServiceSettings = ServiceSettings()
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
    settings = settings.model_copy(
        update={"folder": folder.resolve()}
    )  # where the file is, whatever KNOWNAT_FOLDER says
    if wrong := list(_unusable_places(settings)):
        raise SettingsError(f"{file} or the environment has settings that are wrong:\n" + "\n".join(wrong))
    return settings


def _unusable_places(settings: Settings) -> Iterator[str]:
    """Of the folders and files that Knownat itself writes, those that something else is in the way of. Not of the
    serving log, which holds up nothing and tells by itself what it loses."""
    folders = {
        "offline.tables": settings.offline.tables,
        "offline.objects": settings.offline.objects,
        "offline.locks": settings.offline.locks,
        "offline.frames": settings.offline.frames,
        "engine.spill_folder": settings.engine.spill_folder,
    }
    for name, written in folders.items():
        path = settings.path(written)
        if path.exists() and not path.is_dir():
            yield f"  {name}: {path} is a file, and a folder is wanted"
        else:
            yield from _blocked(name, path)
    for name, written in {"state.path": settings.state.path, "online.path": settings.online.path}.items():
        path = settings.path(written)
        if path.is_dir():
            yield f"  {name}: {path} is a folder, and a file is wanted"
        else:
            yield from _blocked(name, path)


def _blocked(name: str, path: Path) -> Iterator[str]:
    """The nearest thing above the path must be a folder, in which the rest can be made."""
    above = next((parent for parent in path.parents if parent.exists()), None)
    if above is not None and not above.is_dir():
        yield f"  {name}: {path} can not be made, because {above} is a file"
    elif above is not None and not path.exists() and not os.access(above, os.W_OK | os.X_OK):
        yield f"  {name}: {path} can not be made, because {above} may not be written to"


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
