"""What every object store promises, in memory and in a local folder."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from featurestore.adapters.local_objects import LocalObjects
from featurestore.adapters.memory_objects import MemoryObjects
from featurestore.errors import InvalidReference, StoreCorrupted, UnknownName
from featurestore.ports.objects import ObjectReference, ObjectShelf, ObjectStore

HELLO = hashlib.sha256(b"hello").hexdigest()
NOTHING = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Objects:
    store: ObjectStore
    damage: Callable[[str, bytes], object]


@pytest.fixture(params=["memory", "local"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "memory":
        memory = MemoryObjects(tmp_path)
        return Objects(memory, memory.contents.__setitem__)
    folder = tmp_path / "objects"
    return Objects(LocalObjects(folder), lambda sha256, data: (folder / sha256[:2] / sha256[2:]).write_bytes(data))


def shelf_of(objects: Objects) -> ObjectShelf:
    assert isinstance(objects.store, MemoryObjects | LocalObjects)
    return objects.store


class Interrupted(io.BytesIO):
    """Content that breaks off after its first chunk."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise ConnectionResetError("the client went away")
        return super().read(size)


def test_what_is_put_is_read_back(objects: Objects) -> None:
    reference = objects.store.put(io.BytesIO(b"hello"))

    assert reference == ObjectReference(HELLO, 5)
    assert b"".join(objects.store.read(HELLO)) == b"hello"


def test_nothing_is_an_object_too(objects: Objects) -> None:
    reference = objects.store.put(io.BytesIO(b""))

    assert reference == ObjectReference(NOTHING, 0)
    assert b"".join(objects.store.read(NOTHING)) == b""


def test_a_large_object_is_read_in_chunks(objects: Objects) -> None:
    content = bytes(range(256)) * 20_000
    reference = objects.store.put(io.BytesIO(content))

    chunks = list(objects.store.read(reference.sha256))

    assert len(chunks) > 1
    assert b"".join(chunks) == content


def test_storing_the_same_bytes_again_gives_the_same_object(objects: Objects) -> None:
    first = objects.store.put(io.BytesIO(b"hello"))

    assert objects.store.put(io.BytesIO(b"hello")) == first


def test_the_path_leads_to_the_bytes(objects: Objects) -> None:
    objects.store.put(io.BytesIO(b"hello"))

    assert Path(objects.store.path(HELLO)).read_bytes() == b"hello"


def test_an_object_that_was_never_stored_is_an_unknown_name(objects: Objects) -> None:
    objects.store.put(io.BytesIO(b""))

    with pytest.raises(UnknownName, match=NOTHING):
        objects.store.read(HELLO)
    with pytest.raises(UnknownName):
        objects.store.path(HELLO)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", HELLO.upper(), HELLO[:-1], HELLO + "0", HELLO + "\n"])
def test_only_a_hash_can_name_an_object(objects: Objects, name: str) -> None:
    with pytest.raises(InvalidReference):
        objects.store.read(name)
    with pytest.raises(InvalidReference):
        objects.store.path(name)


def test_damage_is_noticed_at_the_end_of_a_read(objects: Objects) -> None:
    objects.store.put(io.BytesIO(b"hello"))
    objects.damage(HELLO, b"hullo")

    with pytest.raises(StoreCorrupted, match="other bytes"):
        b"".join(objects.store.read(HELLO))


def test_the_path_of_a_damaged_object_is_not_handed_out(objects: Objects) -> None:
    objects.store.put(io.BytesIO(b"hello"))
    objects.damage(HELLO, b"hell")

    with pytest.raises(StoreCorrupted):
        objects.store.path(HELLO)


def test_storing_the_same_bytes_again_heals_a_damaged_object(objects: Objects) -> None:
    objects.store.put(io.BytesIO(b"hello"))
    objects.damage(HELLO, b"hullo")

    objects.store.put(io.BytesIO(b"hello"))

    assert b"".join(objects.store.read(HELLO)) == b"hello"


def test_many_may_store_the_same_bytes_at_once(objects: Objects) -> None:
    ready = threading.Barrier(8)

    def put(_: int) -> ObjectReference:
        ready.wait()
        return objects.store.put(io.BytesIO(b"hello"))

    with ThreadPoolExecutor(8) as threads:
        references = set(threads.map(put, range(8)))

    assert references == {ObjectReference(HELLO, 5)}
    assert b"".join(objects.store.read(HELLO)) == b"hello"


def test_content_that_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path)

    with pytest.raises(ConnectionResetError):
        store.put(Interrupted(b"x" * 3_000_000))

    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_what_is_stored_is_listed_with_its_size(objects: Objects) -> None:
    objects.store.put(io.BytesIO(b"hello"))
    objects.store.put(io.BytesIO(b""))

    assert {(one.sha256, one.size) for one in shelf_of(objects).stored()} == {(HELLO, 5), (NOTHING, 0)}


def test_a_removed_object_is_gone_and_others_stay(objects: Objects) -> None:
    objects.store.put(io.BytesIO(b"hello"))
    objects.store.put(io.BytesIO(b""))
    listed = next(one for one in shelf_of(objects).stored() if one.sha256 == HELLO)

    removed = [shelf_of(objects).remove(listed) for _ in range(2)]

    assert removed == [True, False]
    assert [one.sha256 for one in shelf_of(objects).stored()] == [NOTHING]


def test_an_object_that_was_stored_again_since_it_was_listed_stays(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path)
    store.put(io.BytesIO(b"hello"))
    file = tmp_path / HELLO[:2] / HELLO[2:]
    os.utime(file, (1_700_000_000, 1_700_000_000))
    (listed,) = store.stored()

    store.put(io.BytesIO(b"hello"))

    assert not store.remove(listed)
    assert b"".join(store.read(HELLO)) == b"hello"


def test_an_upload_that_was_never_finished_is_listed_as_one(tmp_path: Path) -> None:
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "0123").write_bytes(b"half")

    (found,) = LocalObjects(tmp_path).stored()

    assert (found.sha256, found.size) == (None, 4)
    assert LocalObjects(tmp_path).remove(found)
    assert LocalObjects(tmp_path).stored() == ()
