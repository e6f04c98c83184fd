"""A made-up project of many views: columns and expressions, SQL joins of two sources, windows with filters."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.history import NOW, START

SOURCES = 50
SERVICES = 50
FEATURES = 20
_ROWS = 200
_COLUMNS = 20
_VIEWS_IN_A_FILE = 20


def write_many_views(folder: Path, views: int) -> None:
    """`views` views of 20 features over 50 sources, in files of 20 views, with 50 services over all of them."""
    (folder / "data").mkdir(parents=True)
    for number in range(SOURCES):
        pq.write_table(_rows(number), folder / "data" / f"source_{number}.parquet")
    definitions = folder / "definitions"
    definitions.mkdir()
    (definitions / "sources.py").write_text("\n".join(_source_lines()))
    files = range(0, views, _VIEWS_IN_A_FILE)
    for first in files:
        numbers = range(first, min(first + _VIEWS_IN_A_FILE, views))
        text = "\n".join(["import featurestore as fs", "from definitions.sources import *", *map(_view, numbers), ""])
        (definitions / f"views_{first:04d}.py").write_text(text)
    (definitions / "services.py").write_text("\n".join(_service_lines(views)))
    (folder / "knownat.toml").write_text(f'name = "many"\nclock = {NOW.isoformat()}\n')


def _rows(number: int) -> pa.Table:
    random = np.random.default_rng(number)
    moments = [START + timedelta(hours=int(hour)) for hour in random.integers(0, 24 * 89, _ROWS)]
    columns = {f"c{column}": random.normal(size=_ROWS) for column in range(_COLUMNS)}
    happened = pa.array(moments, pa.timestamp("us", tz="UTC"))
    return pa.table({"user": random.integers(0, 50, _ROWS), "happened": happened, **columns})


def _source_lines() -> Iterator[str]:
    yield "import featurestore as fs"
    yield 'user = fs.Entity("user", join_keys={"user": fs.Int64})'
    for number in range(SOURCES):
        name = f"source_{number}"
        yield f'{name} = fs.ParquetSource("{name}", path="{name}.parquet", event_timestamp="happened")'
    yield ""


def _view(number: int) -> str:
    kind = (_row_level, _joined, _windowed)[number % 3]
    return kind(number)


def _row_level(number: int) -> str:
    features = [f'fs.Feature("c{n}")' for n in range(FEATURES // 2)]
    features += [
        f'fs.Feature("e{n}", "CASE WHEN c{n} > {number % 7} THEN c{n} * {n + 1} ELSE coalesce(c{n + 1}, 0) END")'
        for n in range(FEATURES // 2)
    ]
    return _declared(number, f'source=source_{number % SOURCES}, ttl="7d"', features)


def _joined(number: int) -> str:
    left, right = f"source_{number % SOURCES}", f"source_{(number + 1) % SOURCES}"
    columns = [f"l.c{n} + r.c{n} * {number % 5 + 1} AS j{n}" for n in range(FEATURES)]
    sql = (
        f"SELECT l.user, l.happened AS event_timestamp, {', '.join(columns)} FROM {left} AS l"
        f" JOIN {right} AS r ON l.user = r.user AND r.happened <= l.happened WHERE l.c0 > -{number % 9 + 1}"
    )
    return _declared(number, f'sql="{sql}", ttl="30d"', [])


def _windowed(number: int) -> str:
    features = [
        f'fs.Aggregate("c{n}", fs.{kind}, windows=["1d", "7d"], where="c{n + 1} > {number % 4}", name="a{n}_{kind}")'
        for n in range(FEATURES // 4)
        for kind in ("sum", "max")
    ]
    return _declared(number, f'source=source_{number % SOURCES}, every="1h"', features)


def _declared(number: int, where_from: str, features: list[str]) -> str:
    listed = f", features=[{', '.join(features)}]" if features else ""
    return f'view_{number} = fs.FeatureView("view_{number}", entity=user, {where_from}{listed})'


def _service_lines(views: int) -> Iterator[str]:
    yield "import featurestore as fs"
    for first in range(0, views, _VIEWS_IN_A_FILE):
        yield f"from definitions.views_{first:04d} import *"
    for number in range(min(SERVICES, views)):
        members = ", ".join(f"view_{view}" for view in range(number, views, SERVICES))
        yield f'service_{number} = fs.FeatureService("service_{number}", features=[{members}])'
    yield ""
