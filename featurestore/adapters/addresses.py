"""A path is a name: what a file or a folder is called never means anything else.

Where a library takes text for a pattern or an address, it gets that from one of these functions.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL

from featurestore.errors import QueryError, SettingsError

_PATTERN = re.compile(r"[*?\[]")
_DECODED = re.compile(r"%[0-9A-Fa-f]{2}")
"""Delta-rs decodes the names of folders once more than they were encoded, however it is told of them."""
_MISREAD = re.compile(rf"{_DECODED.pattern}|\\|[\x00-\x1f\x7f]")
"""On a disk it also takes a backslash for a slash, and refuses what can not be printed."""
_NO_DOMAIN = re.compile(r"[\[\]^|]")


def engine_path(path: str) -> str:
    """The one file for DuckDB, which takes what it reads for patterns. Raises QueryError for the one kind of name that
    it can not be told of."""
    if not _PATTERN.search(path):
        return path
    if "\\" in path:  # it takes a backslash in a pattern for a slash
        raise QueryError(
            f"The engine can not be told of {path!r}, as the path has a backslash and one of * ? [ in it. Rename the "
            "file or its folder."
        )
    return _PATTERN.sub(lambda found: f"[{found[0]}]", path)


def engine_folder(folder: Path) -> str:
    """A folder that DuckDB writes into. Raises SettingsError for a name that it can not be told of."""
    if "\\" in str(folder):
        raise SettingsError(
            f"The engine can not write into {str(folder)!r}: it takes the backslash for a slash. Rename that folder."
        )
    return str(folder)


def table_address(folder: Path) -> str:
    """A Delta table's folder on this disk. Raises SettingsError for a name that delta-rs can not be told of."""
    if (found := misread_name(folder)) is not None:
        raise SettingsError(
            f"Delta tables can not lie in {str(folder.absolute())!r}: their library takes {found!r} in it for "
            "something else. Rename that folder."
        )
    return str(folder.absolute())


def misread_name(folder: Path) -> str | None:
    """What in the folder's path, links followed, delta-rs takes for something else; None when nothing is."""
    found = _MISREAD.search(str(folder.resolve()))
    return found and found[0]


def can_be_queried(folder: Path) -> bool:
    """Whether the queries of delta-rs can be told of the folder. Opening a table and committing to it need no query."""
    return not _NO_DOMAIN.search(str(folder.resolve()))


def remote_table_address(path: str) -> str:
    """A table in an object store, `s3://bucket/key`, whose key is what stands there. Raises SettingsError as
    `table_address` does."""
    scheme, _, place = path.partition("://")
    bucket, slash, key = place.partition("/")
    if found := _DECODED.search(key):
        raise SettingsError(
            f"Delta tables can not lie at {path}: their library takes {found[0]!r} in it for something else. "
            "Copy the table to another name."
        )
    return f"{scheme}://{bucket}{slash}{quote(key, safe='/')}"


def sqlite_address(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))
