"""Fingerprints: the identity of what is stored, which formatting, comments, order and ownership leave alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from hashlib import sha256

import msgspec

from featurestore.graph.declared_sources import source_place
from featurestore.graph.resolved import Column, ResolvedSource, WindowOf
from featurestore.spec.source import RemovedRows

STORED_FORMAT = 1
"""Part of every fingerprint: raise it when the layout of tiles or stored rows changes, and tables are built anew."""


def fingerprint(*parts: object) -> str:
    """A sha256, as lower-case hexadecimal, of plain values in one unambiguous encoding."""
    return sha256(msgspec.json.encode([STORED_FORMAT, *parts])).hexdigest()


def source_identity(sources: Iterable[ResolvedSource]) -> list[object]:
    """What decides which rows a source yields and when they count as known."""
    return [
        [source.name, *source_place(source), *_times(source), *_kept(source)]
        for source in sorted(sources, key=lambda source: source.name)
    ]


def _times(source: ResolvedSource) -> list[object]:
    return [source.event_timestamp, source.known_at, _seconds(source.delay)]


def _kept(source: ResolvedSource) -> list[object]:
    """Rows that are kept as they were known are other rows. Whether gone ones stay decides nothing about the others."""
    return ["keep"] if source.removed_rows is RemovedRows.KEEP else []


def key_identity(keys: Iterable[Column]) -> list[object]:
    return [[key.name, key.dtype.value] for key in keys]


def window_identity(window: WindowOf | None) -> list[object] | None:
    """A window without the name of its input, which depends on the view's other features."""
    if window is None:
        return None
    length = None if window.window is None else _seconds(window.window)
    return [window.function.value, length, *([] if window.parameter is None else [window.parameter])]


def rhythm_identity(every: timedelta | None, publish_delay: timedelta) -> list[object]:
    return [None if every is None else _seconds(every), _seconds(publish_delay)]


def _seconds(duration: timedelta) -> int:
    return duration // timedelta(seconds=1)
