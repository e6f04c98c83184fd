"""Settings: the file, the environment over it, and messages that say which value is wrong but never a secret."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from featurestore.errors import SettingsError
from featurestore.settings import FILE_NAME, Settings, read_settings

SECRET = "hunter2"  # noqa: S105 - what must not be printed
ADDRESS = f"redis://:{SECRET}@cache:6379/0"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("KNOWNAT_")]:
        monkeypatch.delenv(name)


def project(folder: Path, text: str = "") -> Path:
    (folder / FILE_NAME).write_text(text, encoding="utf-8")
    return folder


def value(settings: Settings, dotted: str) -> Any:
    """The value at `table.key`, secrets uncovered."""
    found: Any = settings
    for part in dotted.split("."):
        found = getattr(found, part)
    return found.get_secret_value() if hasattr(found, "get_secret_value") else found


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("name", "knownat"),
        ("definitions", "definitions"),
        ("definitions_seconds", 60),
        ("data_folder", "data"),
        ("clock", None),
        ("online.url", ""),
        ("online.path", ".knownat/online.sqlite"),
        ("online.timeout_seconds", 0.5),
        ("online.ca_file", ""),
        ("state.url", ""),
        ("state.path", ".knownat/state.sqlite"),
        ("offline.tables", ".knownat/tables"),
        ("offline.objects", ".knownat/objects"),
        ("engine.memory_limit", "4GB"),
        ("engine.threads", os.cpu_count()),
        ("engine.spill_folder", ".knownat/spill"),
        ("engine.chunk_days", 31),
        ("service.spine_rows", 20_000_000),
        ("service.spine_megabytes", 1_024),
        ("serving_log.sample", 0.0),
        ("serving_log.path", ".knownat/serving-log"),
        ("serving_log.most_waiting", 100_000),
        ("serving_log.flush_seconds", 10.0),
        ("serving_log.rows_per_file", 20_000),
    ],
)
def test_an_empty_file_means_everything_stays_in_the_project_folder(tmp_path: Path, key: str, expected: object) -> None:
    settings = read_settings(project(tmp_path))

    assert value(settings, key) == expected


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ('name = "vols à Orly"', "name", "vols à Orly"),
        ('clock = "2014-01-01T00:00:00Z"', "clock", datetime(2014, 1, 1, tzinfo=UTC)),
        ("clock = 2014-01-01T00:00:00Z", "clock", datetime(2014, 1, 1, tzinfo=UTC)),
        (f'[online]\nurl = "{ADDRESS}"', "online.url", ADDRESS),
        ("[online]\ntimeout_seconds = 2", "online.timeout_seconds", 2.0),
        ("[engine]\nchunk_days = 7", "engine.chunk_days", 7),
    ],
)
def test_the_file_says_what_differs(tmp_path: Path, text: str, key: str, expected: object) -> None:
    settings = read_settings(project(tmp_path, text))

    assert value(settings, key) == expected


@pytest.mark.parametrize(
    ("variable", "text", "key", "expected"),
    [
        ("KNOWNAT_NAME", "other", "name", "other"),
        ("KNOWNAT_ONLINE__URL", "redis://elsewhere", "online.url", "redis://elsewhere"),
        ("KNOWNAT_ENGINE__CHUNK_DAYS", "9", "engine.chunk_days", 9),
        ("KNOWNAT_CLOCK", "2015-06-01T00:00:00Z", "clock", datetime(2015, 6, 1, tzinfo=UTC)),
    ],
)
def test_the_environment_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, key: str, expected: object
) -> None:
    written = f'name = "file"\n[online]\nurl = "{ADDRESS}"\n[engine]\nchunk_days = 7'
    monkeypatch.setenv(variable, text)

    settings = read_settings(project(tmp_path, written))

    assert value(settings, key) == expected


def test_the_environment_changes_one_value_of_a_table_and_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNOWNAT_ENGINE__THREADS", "2")

    settings = read_settings(project(tmp_path, "[engine]\nchunk_days = 7"))

    assert (settings.engine.threads, settings.engine.chunk_days) == (2, 7)


def test_overrides_go_before_the_file_table_by_table(tmp_path: Path) -> None:
    text = 'name = "file"\n[engine]\nchunk_days = 7\nthreads = 3'

    settings = read_settings(project(tmp_path, text), {"engine": {"threads": 1}, "online": {"path": "o.sqlite"}})

    assert (settings.engine.threads, settings.engine.chunk_days) == (1, 7)
    assert (settings.name, settings.online.path) == ("file", "o.sqlite")


def test_the_environment_goes_before_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWNAT_ENGINE__THREADS", "2")

    settings = read_settings(project(tmp_path), {"engine": {"threads": 1}})

    assert settings.engine.threads == 2


def test_the_folder_is_where_the_file_is_whatever_else_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWNAT_FOLDER", "/elsewhere")

    settings = read_settings(project(tmp_path))

    assert settings.folder == tmp_path.resolve()


@pytest.mark.parametrize(("written", "expected"), [("data", "{project}/data"), ("/mnt/data", "/mnt/data")])
def test_paths_are_relative_to_the_project(tmp_path: Path, written: str, expected: str) -> None:
    settings = read_settings(project(tmp_path, f'data_folder = "{written}"'))

    assert str(settings.path(settings.data_folder)) == expected.format(project=tmp_path.resolve())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nmae = 'x'", "nmae"),
        ("[onlin]\nurl = ''", "onlin"),
        ("[online]\nurll = ''", "online.urll"),
        ("name = 3", "name"),
        ("online = 3", "online"),
        ("[online]\ntimeout_seconds = 0", "online.timeout_seconds"),
        ("[online]\ntimeout_seconds = 'soon'", "online.timeout_seconds"),
        ("[engine]\nthreads = 0", "engine.threads"),
        ("[engine]\nchunk_days = 1.5", "engine.chunk_days"),
        ("clock = 2014-01-01T00:00:00", "clock"),
        ("[serving_log]\nsample = 1.1", "serving_log.sample"),
        ("[serving_log]\nsample = nan", "serving_log.sample"),
        ("[serving_log]\nmost_waiting = 0", "serving_log.most_waiting"),
        ("[serving_log]\nflush_seconds = inf", "serving_log.flush_seconds"),
        ("[serving_log]\nrows_per_file = 0", "serving_log.rows_per_file"),
        ("[engine]\nmemory_limit = 'lots'", "engine.memory_limit"),
        ("[engine]\nmemory_limit = '-5GB'", "engine.memory_limit"),
        ("[engine]\nmemory_limit = '1B'", "engine.memory_limit"),
        ("[engine]\nthreads = 1000000000000", "engine.threads"),
        ("[engine]\nworkers = 1000000000", "engine.workers"),
        ("[engine]\nchunk_days = 100000000000000", "engine.chunk_days"),
        ("[online]\ntimeout_seconds = inf", "online.timeout_seconds"),
        ("[serving_log]\nmost_waiting = 9223372036854775807", "serving_log.most_waiting"),
        ("clock = 0001-01-01T00:00:00Z", "clock"),
        ("clock = 9999-12-31T23:59:59Z", "clock"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SettingsError, match=rf"(?m)^  {named}: "):
        read_settings(project(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[offline]\ntables = 'taken'", "offline.tables"),
        ("[offline]\nobjects = 'taken/objects'", "offline.objects"),
        ("[offline]\nlocks = 'taken'", "offline.locks"),
        ("[offline]\nframes = 'taken'", "offline.frames"),
        ("[engine]\nspill_folder = 'taken'", "engine.spill_folder"),
        ("[state]\npath = 'folder'", "state.path"),
        ("[state]\npath = 'taken/state.sqlite'", "state.path"),
        ("[online]\npath = 'folder'", "online.path"),
    ],
)
def test_a_place_that_something_else_is_in_the_way_of_is_named(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "taken").touch()
    (tmp_path / "folder").mkdir()

    with pytest.raises(SettingsError, match=rf"(?m)^  {named}: {tmp_path}"):
        read_settings(project(tmp_path, text))


@pytest.mark.parametrize("size", ["4GB", "512MiB", "1.5 GB", "64MiB"])
def test_memory_is_a_number_of_bytes(tmp_path: Path, size: str) -> None:
    settings = read_settings(project(tmp_path, f"[engine]\nmemory_limit = '{size}'"))

    assert settings.engine.memory_limit == size


def test_all_wrong_values_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(project(tmp_path, "nmae = 'x'\n[engine]\nthreads = 0\nchunk_days = 0"))

    told = [line.partition(":")[0].strip() for line in caught.value.message.splitlines()[1:]]
    assert sorted(told) == ["engine.chunk_days", "engine.threads", "nmae"]


@pytest.mark.parametrize(
    ("variable", "text", "named"),
    [
        ("KNOWNAT_ENGINE__THREADS", "many", "engine.threads"),
        ("KNOWNAT_ONLINE__URLL", "redis://x", "online.urll"),
        ("KNOWNAT_ONLINE", "redis://x", "online"),
    ],
)
def test_a_wrong_value_of_the_environment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, named: str
) -> None:
    monkeypatch.setenv(variable, text)

    with pytest.raises(SettingsError, match=named):
        read_settings(project(tmp_path))


@pytest.mark.parametrize("show", [str, repr], ids=["str", "repr"])
def test_printed_settings_hide_secrets(tmp_path: Path, show: type[str]) -> None:
    settings = read_settings(project(tmp_path, f'[online]\nurl = "{ADDRESS}"\n[state]\nurl = "{ADDRESS}"'))

    assert SECRET not in show(settings)


@pytest.mark.parametrize(
    "text",
    [
        f'[online]\nurll = "{ADDRESS}"',
        f'[online]\nurl = ["{ADDRESS}"]',
        f'onlin = "{ADDRESS}"',
        f'online = "{ADDRESS}"',
        f'[online]\nurl = "{ADDRESS}',
    ],
)
def test_what_is_wrong_with_a_secret_is_told_without_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(project(tmp_path, text))

    assert SECRET not in str(caught.value)
    assert SECRET not in str(caught.value.__cause__)


def test_settings_can_not_be_changed(tmp_path: Path) -> None:
    settings = read_settings(project(tmp_path))

    with pytest.raises(ValueError, match="frozen"):
        settings.name = "other"


def test_a_folder_without_the_file_is_not_a_project(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"is not a Knownat project: it has no knownat\.toml\. Run `knownat init"):
        read_settings(tmp_path)


@pytest.mark.parametrize("content", [b"name = ", b"[online", b"name = 'a'\nname = 'b'", b"name = '\xff'"])
def test_a_broken_file_is_not_toml(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)

    with pytest.raises(SettingsError, match=r"knownat\.toml is not TOML: "):
        read_settings(tmp_path)
