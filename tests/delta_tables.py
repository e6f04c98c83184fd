"""Delta tables as other writers leave them: with deletion vectors and mapped columns, written by the protocol's text.

No writer of those is at hand here, so the bytes are put together as https://github.com/delta-io/delta/blob/master/PROTOCOL.md
("Deletion Vectors", "Column Mapping") and the Roaring format's specification describe them.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

_MAGIC = 1681511377
_NO_RUNS = 12346
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def delete_rows(table: Path, positions: Sequence[int]) -> None:
    """Commit a deletion vector over the table's first file: the rows at these positions of the file are no more."""
    log = table / "_delta_log"
    commits = sorted(log.glob("*.json"))
    add = next(action["add"] for action in _actions(commits) if "add" in action)
    vector = {**_written(table, positions), "cardinality": len(positions)}
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"],
        "writerFeatures": ["deletionVectors"],
    }
    remove = {
        "path": add["path"],
        "deletionTimestamp": 0,
        "dataChange": True,
        "partitionValues": add["partitionValues"],
        "size": add["size"],
    }
    commit(table, {"protocol": protocol}, {"remove": remove}, {"add": {**add, "deletionVector": vector}})


def leave_out_statistics(table: Path) -> None:
    """Say of the files only what the protocol demands."""
    for commit_file in (table / "_delta_log").glob("*.json"):
        actions = _actions([commit_file])
        for action in actions:
            action.get("add", {}).pop("stats", None)
        commit_file.write_text("\n".join(json.dumps(action) for action in actions))


def mapped_table(folder: Path, rows: pa.Table) -> None:
    """A table in the mode `name`, whose file calls the columns `col-0`, `col-1` and so on."""
    folder.mkdir(parents=True)
    physical = [f"col-{number}" for number in range(rows.num_columns)]
    pq.write_table(rows.rename_columns(physical), folder / "rows.parquet")
    fields = [
        {
            "name": field.name,
            "type": {"string": "string", "double": "double", "int64": "long"}.get(str(field.type), "timestamp"),
            "nullable": True,
            "metadata": {"delta.columnMapping.id": number + 1, "delta.columnMapping.physicalName": name},
        }
        for number, (field, name) in enumerate(zip(rows.schema, physical, strict=True))
    ]
    configuration = {"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": str(len(fields))}
    metadata = {
        "id": str(uuid4()),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": [],
        "configuration": configuration,
    }
    add = {
        "path": "rows.parquet",
        "partitionValues": {},
        "size": (folder / "rows.parquet").stat().st_size,
        "modificationTime": 0,
        "dataChange": True,
        "stats": json.dumps({"numRecords": rows.num_rows}),
    }
    commit(folder, {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}, {"metaData": metadata}, {"add": add})


def commit(table: Path, *actions: dict[str, Any]) -> None:
    log = table / "_delta_log"
    log.mkdir(exist_ok=True)
    number = len(list(log.glob("*.json")))
    (log / f"{number:020d}.json").write_text("\n".join(map(json.dumps, actions)))


def _actions(commits: Sequence[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for file in commits for line in file.read_text().splitlines()]


def _written(table: Path, positions: Sequence[int]) -> dict[str, Any]:
    """The vector in a file of its own, and where the log says it is: storage type `u`, a name made of a UUID."""
    bitmap = struct.pack("<II", _NO_RUNS, 1) + struct.pack("<HH", 0, len(positions) - 1) + struct.pack("<I", 16)
    bitmap += b"".join(struct.pack("<H", position) for position in sorted(positions))
    data = struct.pack("<i", _MAGIC) + struct.pack("<Q", 1) + struct.pack("<I", 0) + bitmap
    name = uuid4()
    version_and_size = b"\x01" + struct.pack(">i", len(data))
    checksum = struct.pack(">I", zlib.crc32(data))
    (table / f"deletion_vector_{name}.bin").write_bytes(version_and_size + data + checksum)
    return {"storageType": "u", "pathOrInlineDv": _z85(name.bytes), "offset": 1, "sizeInBytes": len(data)}


def _z85(content: bytes) -> str:
    text = ""
    for (number,) in struct.iter_unpack(">I", content):
        text += "".join(_ALPHABET[number // 85**place % 85] for place in (4, 3, 2, 1, 0))
    return text
