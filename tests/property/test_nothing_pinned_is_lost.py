"""Whatever happens to a project, its datasets are rebuilt to the byte, and what nobody needs can be freed.

`KNOWNAT_HISTORIES=1000 pytest tests/property/test_nothing_pinned_is_lost.py` tells a thousand histories.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from featurestore.adapters.duckdb_engine import DuckDBEngine
from featurestore.adapters.memory_objects import MemoryObjects
from featurestore.operations.rebuild import rebuild
from featurestore.operations.verify import verify
from tests.property.keeping import World, needed_files, needed_objects, online_tables_of_nobody, stored_files

HISTORIES = int(os.environ.get("KNOWNAT_HISTORIES", "6"))
STEPS = 25


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_nothing_pinned_is_ever_lost_and_nothing_else_is_kept(engine: DuckDBEngine, tmp_path: Path, seed: int) -> None:
    world = World.begun(tmp_path, engine, seed)
    for _ in range(STEPS):
        world.step()

    world.collect()

    for dataset in world.datasets():
        rebuild(dataset.id, world.small.offline, world.small.archive)  # raises when a byte differs
    assert verify(world.premises, deep=True).damages == (), world.done
    assert stored_files(world) == needed_files(world), world.done
    assert _objects(world) == needed_objects(world), world.done
    assert online_tables_of_nobody(world) == [], world.done
    assert world.collect().garbage == (), world.done
    shutil.rmtree(tmp_path)  # a thousand of them would fill the disk


def _objects(world: World) -> set[str]:
    objects = world.small.archive.objects
    assert isinstance(objects, MemoryObjects)
    return set(objects.contents)
