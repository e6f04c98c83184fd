"""What delta-rs says of a failure, as one line of plain text: its own is a list, in colors."""

from __future__ import annotations

import re

_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def delta_reason(error: BaseException) -> str:
    """The reason without colors and arrows.

    >>> delta_reason(OSError("\\x1b[31mIO error\\x1b[0m\\n  ↳ No space left on device"))
    'IO error: No space left on device'
    """
    return ": ".join(part.strip() for part in _COLOR.sub("", str(error)).split("↳"))
