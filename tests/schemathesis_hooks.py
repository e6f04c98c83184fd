"""What schemathesis is told beside the OpenAPI document: how a spine is written, and names that exist.

Without them nearly every request ends at the first name that nobody declared. Every other one keeps what was made up.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pyarrow as pa
import schemathesis

from tests.small_project import SPINE

KNOWN = {"service": "shops_v1", "view": "shop_facts", "name": "basket", "target": "1", "alias": "champion"}
"""Parameters by their names; tests register the model."""


@schemathesis.serializer("application/vnd.apache.arrow.stream")
def arrow_stream(_context: object, value: Any) -> bytes:
    made_up = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
    if len(made_up) % 2:
        return made_up
    body = BytesIO()
    with pa.ipc.new_stream(body, SPINE.schema) as stream:
        stream.write_table(SPINE)
    return body.getvalue()


@schemathesis.hook
def map_path_parameters(_context: object, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    return _with_known(path_parameters)


@schemathesis.hook
def map_query(_context: object, query: dict[str, Any] | None) -> dict[str, Any] | None:
    return _with_known(query)


@schemathesis.hook
def map_body(_context: object, body: Any) -> Any:
    """A lookup by service is not one by references or by model."""
    if not isinstance(body, dict) or "entities" not in body:
        return body
    known = _with_known(body)
    if known is None or known == body:
        return body
    return {name: value for name, value in known.items() if name not in ("features", "model")}


def _with_known(values: dict[str, Any] | None) -> dict[str, Any] | None:
    if not isinstance(values, dict) or len(str(values)) % 2:
        return values
    return values | {name: KNOWN[name] for name in values.keys() & KNOWN.keys()}
