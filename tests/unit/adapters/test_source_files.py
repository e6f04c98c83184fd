"""Which files a path means: names are names, and what writers have not finished is no data."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from featurestore.adapters.source_files import SourceFiles, WantedFiles
from featurestore.errors import SourceError
from tests.s3_server import S3Server

_NUMBER = count()


class Place:
    """Where files lie, on the disk or in a bucket."""

    def __init__(self, folder: Path, s3: S3Server | None) -> None:
        self._folder, self._s3 = folder, s3
        self._root = f"s3://data/names-{next(_NUMBER)}/" if s3 else ""

    def write(self, *names: str) -> None:
        for name in names:
            if self._s3:
                with self._s3.storage.filesystem().open_output_stream(self._root[5:] + name) as stream:
                    stream.write(b"x")
            else:
                (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
                (self._folder / name).write_bytes(b"x")

    def find(self, path: str, *, with_subfolders: bool = False, may_be_none: bool = False) -> list[str]:
        files = SourceFiles(self._folder, self._s3.storage if self._s3 else None)
        found = files.find(WantedFiles("rows", self._root + path, ".parquet", with_subfolders, may_be_none))
        return [file.name.removeprefix(self._root) for file in found]


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path, request.getfixturevalue("s3") if request.param == "s3" else None)


STRANGE = [
    "d[12]",
    "a*b",
    "q?",
    "{a,b}",
    "~",
    "$HOME",
    "my%20x",
    "#",
    "-dash",
    "a b",
    "ü🎉",
    "'",
    "[",
    "]",
    "a&b=c;d:e@f",
]


@pytest.mark.parametrize("name", STRANGE)
def test_a_path_is_the_name_of_a_file_or_a_folder(place: Place, name: str) -> None:
    place.write(f"{name}.parquet", f"{name}/x.parquet", "other/x.parquet")

    found = place.find(f"{name}.parquet"), place.find(name), place.find(f"{name}/x.parquet"), place.find(f"{name}/*")

    inside = [f"{name}/x.parquet"]
    assert found == ([f"{name}.parquet"], inside, inside, inside)


def test_a_backslash_is_a_letter(tmp_path: Path) -> None:
    disk = Place(tmp_path, None)
    disk.write("back\\slash.parquet", "back/slash.parquet")

    assert disk.find("back\\slash.parquet") == ["back\\slash.parquet"]


def test_a_path_that_is_a_name_and_a_pattern_of_others_is_told(place: Place) -> None:
    place.write("d[12].parquet", "d1.parquet")

    with pytest.raises(SourceError, match=r"d\[12\]\.parquet is there and .*d1\.parquet matches it"):
        place.find("d[12].parquet")

    assert place.find("d[[]12].parquet") == ["d[12].parquet"]
    assert place.find("d[1]*") == ["d1.parquet"]


def test_a_folder_may_be_named_in_a_path_that_ends_in_a_pattern(place: Place) -> None:
    place.write("days[1]/a.parquet", "days[1]/deep/b.parquet", "days/c.parquet")

    assert place.find("days[1]/*.parquet") == ["days[1]/a.parquet"]
    assert place.find("days[1]/**") == ["days[1]/a.parquet", "days[1]/deep/b.parquet"]


HIDDEN = ["_SUCCESS.parquet", "_part.parquet", ".part.parquet", "_temporary/0/task/year=1/a.parquet", ".crc/a.parquet",
          "_delta_log/1.checkpoint.parquet", "year=1/_part.parquet", "year=1/.a.parquet", "year=1/_tmp/a.parquet",
          "_year=1/.a.parquet", ".year=1/a.parquet"]  # fmt: skip
DATA = ["_year=1/a.parquet", "a.parquet", "year=1/a.parquet"]


def test_what_begins_with_an_underscore_or_a_dot_is_no_data(place: Place) -> None:
    place.write(*(f"lake/{name}" for name in (*HIDDEN, *DATA)))
    data = [f"lake/{name}" for name in DATA]

    assert place.find("lake") == place.find("lake/*") == ["lake/a.parquet"]
    assert place.find("lake", with_subfolders=True) == data
    assert place.find("lake/**/*.parquet") == place.find("lake/**") == data
    assert place.find("lake/*/*.parquet") == ["lake/_year=1/a.parquet", "lake/year=1/a.parquet"]


@pytest.mark.parametrize(
    "path", ["_part.parquet", ".part.parquet", "_delta_log", ".crc", "_temporary/0/*/*/*", "_part*", ".p*"]
)
def test_what_is_said_in_so_many_words_is_taken(place: Place, path: str) -> None:
    place.write(*HIDDEN)

    assert place.find(path)


def test_a_folder_with_unfinished_files_alone_says_that_they_were_left_out(place: Place) -> None:
    place.write("days/_part.parquet")

    with pytest.raises(SourceError, match=r"What begins with _ or . is no data"):
        place.find("days")


@pytest.mark.parametrize("path", ["drops", "drops/", "drops/*.parquet", "dr*/x/*.parquet", "drops/d[[]12].parquet"])
def test_where_there_may_be_none_a_folder_has_none_yet(place: Place, path: str) -> None:
    place.write("drops/readme.md")

    assert place.find(path, may_be_none=True) == []
    with pytest.raises(SourceError, match="has no files"):
        place.find(path)


@pytest.mark.parametrize("path", ["drops/day.parquet", "drop/*.parquet", "drop/"])
def test_a_folder_or_a_named_file_that_is_not_there_is_a_mistake_all_the_same(place: Place, path: str) -> None:
    place.write("drops/readme.md")

    with pytest.raises(SourceError, match="has no files"):
        place.find(path, may_be_none=True)


def test_links_are_followed_where_they_can_not_lead_in_circles(tmp_path: Path) -> None:
    disk = Place(tmp_path, None)
    disk.write("days/a.parquet")
    (tmp_path / "linked").symlink_to(tmp_path / "days")
    (tmp_path / "days" / "up").symlink_to(tmp_path)

    assert disk.find("linked") == ["linked/a.parquet"]
    assert disk.find("*/a.parquet") == ["days/a.parquet", "linked/a.parquet"]
    assert disk.find("**/*.parquet") == ["days/a.parquet"]
