"""Tables that are updated in place: the page on them runs as it stands, and a real one is held, followed and kept."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from sdk import open_project
from tests.command import knownat
from tests.postgres_server import PostgresServer

PAGE = (Path(__file__).parents[2] / "docs" / "updated-in-place.md").read_text()
DECLARED, USED = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_example_ends_as_the_page_says(tmp_path: Path) -> None:
    for folder in ("definitions", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "definitions" / "shop.py").write_text(DECLARED)
    (tmp_path / "knownat.toml").write_text('name = "shop"\n')

    done = subprocess.run([sys.executable, "-c", USED], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def days(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


SPINE = pa.table(
    {
        "customer": ["ada", "ada", "ada", "ben", "ben"],
        "event_timestamp": pa.array([days(2), days(3, 1), days(5), days(3), days(5)], pa.timestamp("us", "UTC")),
    }
)


@dataclass(frozen=True)
class Policy:
    """What a source says of rows that are gone, and what comes of it."""

    name: str
    trained: list[str | None]
    statuses: list[str]
    code: int = 0


POLICIES = [
    Policy("hold", ["free", "team", "team", "solo", "solo"], ["present", "present"], 1),
    Policy("follow", [None, "team", "team", None, None], ["present", "missing"]),
    Policy("keep", ["free", "team", "team", "solo", None], ["present", "missing"]),
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_a_postgresql_table_is_updated_and_deleted_from(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, policy: Policy
) -> None:
    address = postgres.url_of(postgres.new_database())
    monkeypatch.setenv("KNOWNAT_CONNECTIONS__SHOP", address)
    kind = f'fs.SqlSource("customers", connection="shop", table="customers", removed_rows="{policy.name}"'
    (tmp_path / "definitions").mkdir()
    text = DECLARED.replace('fs.ParquetSource("customers", path="customers.parquet"', kind)
    (tmp_path / "definitions" / "shop.py").write_text(text.replace(', removed_rows="keep")', ")"))
    (tmp_path / "knownat.toml").write_text('name = "shop"\n')
    with psycopg.connect(address, autocommit=True) as shop:
        shop.execute("CREATE TABLE customers (customer text, updated_at timestamptz, plan text)")
        rows = [("ada", days(1), "free"), ("ben", days(1), "solo")]
        shop.cursor().executemany("INSERT INTO customers VALUES (%s, %s, %s)", rows)
        with open_project(tmp_path, settings={"clock": days(2)}) as project:
            list(project.apply())
            list(project.materialize())
            before = project.client.training_set(SPINE, features=["plans:plan"])
        shop.execute("UPDATE customers SET plan = 'team', updated_at = %s WHERE customer = 'ada'", [days(3)])
        shop.execute("DELETE FROM customers WHERE customer = 'ben'")

    monkeypatch.setenv("KNOWNAT_CLOCK", days(4).isoformat())
    ended = knownat("run", "--due", "--project", tmp_path)

    assert ended.code == policy.code, ended.err
    with open_project(tmp_path, settings={"clock": days(4)}) as project:
        after = project.client.training_set(SPINE, features=["plans:plan"]).to_arrow()
        online = project.client.online(entities=[{"customer": "ada"}, {"customer": "ben"}], features=["plans:plan"])
        assert after["plans__plan"].to_pylist() == policy.trained
        assert [row["plans__plan"] for row in online.statuses()] == policy.statuses
        assert project.client.audit("plans").differences == ()
        assert project.client.explain_known(SPINE, features=["plans:plan"]).differing == 0
        assert project.client.rebuild(before.id).sha256 == before.sha256
