"""Transactions, errors and migrations of the SQL database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, column, func, insert, select, table

from featurestore.adapters.postgres_database import Waits
from featurestore.adapters.sql_database import Database, Migrations, upgrade
from featurestore.adapters.sql_publications import SqlPublications
from featurestore.adapters.sql_state import SqlMaterializations
from featurestore.adapters.sql_tables import STATE_MIGRATIONS, materialization, state_metadata
from featurestore.errors import (
    ConcurrentChange,
    SettingsError,
    StoreCorrupted,
    StoreUnavailable,
    UnsupportedOperation,
)
from featurestore.intervals import DAY, EPOCH
from featurestore.ports.publications import Publication, Published, Push, PushSpan
from featurestore.ports.state import Materialization
from registry.adapters.sql_tables import REGISTRY_MIGRATIONS, registry_metadata

ALL_MIGRATIONS = pytest.mark.parametrize(
    ("migrations", "metadata"), [(STATE_MIGRATIONS, state_metadata), (REGISTRY_MIGRATIONS, registry_metadata)]
)
ROW = {"store": "s", "filled_to": EPOCH, "version": 1, "row_count": 1, "materialized_at": EPOCH}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path}/100%/state.db") as database:
        upgrade(database, STATE_MIGRATIONS)
        yield database


def count(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(materialization)).scalar_one()


def of_before(folder: Path, migration: str, materialized_at: timedelta) -> Database:
    """A database as it was before this migration, in which the table `t` was materialized once, so long after 1970."""
    before = ScriptDirectory(str(STATE_MIGRATIONS.folder)).get_revision(migration).down_revision
    assert isinstance(before, str)
    database = Database(f"sqlite:///{folder}/before.db")
    upgrade(database, replace(STATE_MIGRATIONS, head=before))
    row = {"store": "s", "table_name": "t", "filled_to": 0, "version": 1, "row_count": 1}
    row["materialized_at"] = materialized_at // timedelta(microseconds=1)
    with database.write("test") as connection:
        connection.execute(insert(table("materialization", *map(column, row))).values(**row))
    return database


def test_a_write_that_fails_leaves_nothing_behind(database: Database) -> None:
    def write_and_fail() -> None:
        with database.write("test") as connection:
            connection.execute(insert(materialization).values(table_name="t", **ROW))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert count(database) == 0


def test_a_reader_sees_one_state_while_someone_writes(database: Database) -> None:
    with database.read() as reader:
        before = reader.execute(select(func.count()).select_from(materialization)).scalar_one()
        with database.write("test") as writer:
            writer.execute(insert(materialization).values(table_name="t", **ROW))
        after = reader.execute(select(func.count()).select_from(materialization)).scalar_one()

    assert (before, after) == (0, 0)
    assert count(database) == 1


def test_a_change_that_breaks_a_rule_of_the_tables_is_a_concurrent_change(database: Database) -> None:
    twice = [{"table_name": "t", **ROW}] * 2

    with pytest.raises(ConcurrentChange, match="run it again"), database.write("test") as connection:
        connection.execute(insert(materialization), twice)
    assert count(database) == 0


def test_waiting_for_another_writer_ends_with_an_error_that_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    waiting_in_vain = pytest.raises(ConcurrentChange, match="Another process")

    with Database(url) as one, Database(url, Waits(lock=0)) as other, one.write("a"), waiting_in_vain, other.write("b"):
        pass


def test_a_damaged_file_is_reported_as_damaged(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database at all, but long enough to be read as one" * 100)

    with Database(f"sqlite:///{tmp_path}/state.db") as database, pytest.raises(StoreCorrupted, match="backup"):
        upgrade(database, STATE_MIGRATIONS)


def test_a_folder_in_place_of_the_file_is_reported(tmp_path: Path) -> None:
    with (
        Database(f"sqlite:///{tmp_path}") as database,
        pytest.raises(StoreUnavailable, match="may it be used, and has its disk room"),
    ):
        upgrade(database, STATE_MIGRATIONS)


@pytest.mark.parametrize(
    "url", ["", "state.db", "sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/d", "postgresql://u:secret@h:port/d"]
)
def test_a_url_that_can_not_be_used_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(SettingsError, match=r"sqlite:///path/to/state\.db") as caught:
        Database(url)

    assert "secret" not in str(caught.value)


def test_a_project_on_a_newer_version_is_left_alone(database: Database) -> None:
    older = Migrations(STATE_MIGRATIONS.folder, STATE_MIGRATIONS.version_table, head="0000")
    with database.write("test") as connection:
        version = MetaData()
        version.reflect(connection, only=[STATE_MIGRATIONS.version_table])
        connection.execute(version.tables[STATE_MIGRATIONS.version_table].update().values(version_num="9999"))

    with pytest.raises(UnsupportedOperation, match="newer version"):
        upgrade(database, older)


@ALL_MIGRATIONS
def test_the_head_is_the_last_migration_of_its_folder(migrations: Migrations, metadata: MetaData) -> None:
    assert ScriptDirectory(str(migrations.folder)).get_current_head() == migrations.head
    assert metadata.tables


@ALL_MIGRATIONS
def test_migrations_make_the_tables_that_the_adapters_use(
    tmp_path: Path, migrations: Migrations, metadata: MetaData
) -> None:
    with Database(f"sqlite:///{tmp_path}/state.db") as database:
        upgrade(database, migrations)
        with database.read() as connection:
            options = {"version_table": migrations.version_table, "compare_type": True}
            differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    assert differences == []


def test_state_and_registry_live_in_one_database(database: Database) -> None:
    upgrade(database, REGISTRY_MIGRATIONS)
    upgrade(database, STATE_MIGRATIONS)

    assert count(database) == 0


def test_alembic_is_not_imported_when_nothing_is_to_migrate(database: Database) -> None:
    program = (
        "import sys; from featurestore.adapters.sql_database import Database, upgrade; "
        "from featurestore.adapters.sql_tables import STATE_MIGRATIONS; "
        "database = Database(sys.argv[1]); upgrade(database, STATE_MIGRATIONS); database.close(); "
        "sys.exit('alembic' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program, database.name], check=False).returncode == 0


def test_the_file_is_in_write_ahead_mode(database: Database, tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "100%" / "state.db")
    mode = raw.execute("PRAGMA journal_mode").fetchone()
    raw.close()

    assert mode == ("wal",)
    assert count(database) == 0


def test_of_a_project_of_before_publications_were_kept_the_last_run_is_known(tmp_path: Path) -> None:
    database = of_before(tmp_path, "0004", DAY)

    upgrade(database, STATE_MIGRATIONS)

    run = Publication(EPOCH, EPOCH + DAY, EPOCH + DAY, 1, 1, is_full=False)
    assert SqlPublications(database).published("s", "t") == Published((run,))


def test_what_was_online_before_rows_were_dated_by_the_data_is_remembered_as_such(tmp_path: Path) -> None:
    database = of_before(tmp_path, "0005", timedelta(0))

    upgrade(database, STATE_MIGRATIONS)

    before = Materialization("t", EPOCH, 1, 1, EPOCH, is_dated_by_data=False)
    assert SqlMaterializations(database).last("s", "t") == before


def test_of_pushes_of_before_each_was_kept_the_first_and_the_last_are_known(tmp_path: Path) -> None:
    database, tick = of_before(tmp_path, "0009", timedelta(0)), timedelta(microseconds=1)
    run = {"filled_to": 0, "began_at": 1, "published_at": 2, "version": 3, "row_count": 4, "is_full": False}
    span = {"first_at": 0, "last_at": DAY // tick}
    with database.write("test") as connection:
        for name, values in (("publication", run), ("push_span", span)):
            row = {"store": "s", "table_name": "t", **values}
            connection.execute(insert(table(name, *map(column, row))).values(**row))

    upgrade(database, STATE_MIGRATIONS)
    SqlPublications(database).record_push("s", "t", Push(EPOCH + 2 * DAY, (EPOCH + 2 * DAY,)))

    found = SqlPublications(database).published("s", "t")
    assert found.runs == (Publication(EPOCH, EPOCH + tick, EPOCH + 2 * tick, 3, 4, is_full=False),)
    assert found.pushed == PushSpan(EPOCH, EPOCH + DAY)
    assert (found.push_span, len(found.pushes)) == (PushSpan(EPOCH, EPOCH + 2 * DAY), 1)
