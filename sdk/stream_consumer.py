"""A consumer of a stream, as whoever owns the project runs it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from featurestore.adapters.redis_stream import RedisStream
    from featurestore.operations.consume import Consumed, Feed
    from featurestore.ports.stream import StreamProgress
    from featurestore.wiring import FeatureStore


def open_consumer(features: FeatureStore, view: str, member: tuple[str, str, str | None]) -> StreamConsumer:
    """`member`: stream, group, and the consumer's name if it has one of its own. Nothing is read yet."""
    from featurestore.adapters.redis_stream import Membership
    from featurestore.operations.consume import Feed
    from featurestore.operations.push import pushable_source
    from featurestore.operations.view_outlet import AppliedView, ViewOutlet
    from featurestore.wiring import open_stream

    applied = AppliedView(features.project.catalog, view)
    source = pushable_source(applied())
    name, group, consumer = member
    stream = open_stream(features.settings, Membership(name, group, consumer or socket.gethostname()))
    outlet = ViewOutlet(source, applied, features.offline, features.online, features.clock)
    most = features.settings.streams.batch_entries
    return StreamConsumer(Feed(source, stream, features.frames, outlet, features.clock, most), stream)


class StreamConsumer:
    """Reads entries, appends them to the view's source exactly once, and shows them online."""

    def __init__(self, feed: Feed, stream: RedisStream) -> None:
        self.feed = feed
        self._stream = stream

    def batches(self) -> Iterator[Consumed]:
        """Consume for as long as the iterator is read: a record for each batch, and one of nothing after a short wait
        in vain. Stop between any two of them.

        Raises SourceError, InvalidRequest, StoreRefused for what does not pass by itself.
        """
        from featurestore.operations.consume import consume

        return consume(self.feed)

    def progress(self) -> StreamProgress:
        """How far the group is. Raises StoreUnavailable; SourceError when the stream's ids have gone back."""
        from featurestore.operations.consume import check_stream

        return check_stream(self.feed)

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
