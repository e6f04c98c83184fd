"""Push a frame: append its rows to a frame source, once for each key, with exactly the columns that it declares.

The views over the source are filled with them by whoever fills views next; `operations/push.py` does not wait for that.
"""

from __future__ import annotations

import pyarrow as pa

from featurestore.errors import InvalidRequest
from featurestore.operations.fitted_frame import check_same_rows, fitted_frame
from featurestore.ports.frames import FrameStore, Pushed
from featurestore.spec.source import FrameSource

MOST_KEY_LENGTH = 500


def push_frame(source: FrameSource, frame: pa.Table, key: str, frames: FrameStore) -> Pushed:
    """Append the frame's rows unless `key` was pushed before. Raises InvalidRequest with all that does not fit."""
    check_key(key, f"'{source.name}'")
    pushed = frames.append(source, fitted_frame(source, frame), key)
    if not pushed.is_new and (kept := frames.kept(source, key)) is not None:
        check_same_rows(source, frame, kept, key)
    return pushed


def check_key(key: object, where: str) -> None:
    """Raises InvalidRequest for what can not name a piece of data."""
    if not isinstance(key, str) or not key or len(key) > MOST_KEY_LENGTH or not key.isprintable():
        raise InvalidRequest(
            f"A push to {where} needs a key, a text of at most {MOST_KEY_LENGTH} characters that names this piece of "
            "data and no other, such as a day: pushed again, it changes nothing."
        )
