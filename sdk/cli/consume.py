"""`knownat consume`: feed a view from a stream, until told to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from featurestore.errors import StoreUnavailable
from sdk.cli.invocation import Invocation, project_command
from sdk.cli.json_text import json_text

if TYPE_CHECKING:
    from featurestore.operations.consume import Consumed, Stalled
    from sdk.stream_consumer import StreamConsumer

_REPORT_SECONDS = 10.0
_STALL_SECONDS = 0.5


@project_command
def consume(
    call: Invocation,
    view: Annotated[str, typer.Argument(metavar="VIEW", help="A view over one FrameSource.")],
    stream: Annotated[str, typer.Option("--stream", metavar="NAME", help="The stream's key in Redis.")],
    group: Annotated[str, typer.Option("--group", metavar="NAME", help="Who shares the stream's entries.")] = "knownat",
    consumer: Annotated[
        str | None,
        typer.Option("--consumer", metavar="NAME", help="One of the group. Default: this machine's name."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop when nothing is left.")] = False,
) -> None:
    """Feed a view from a stream in Redis: each entry is appended once, and shown online at once.

    Runs until SIGTERM or Ctrl-C, and then finishes what it is at. The address of Redis is KNOWNAT_STREAMS__URL, or that
    of the online store. Entries that are no rows are put into the stream NAME:rejected.
    """
    with (
        call.project() as project,
        project.consumer(view, stream=stream, group=group, consumer=consumer) as opened,
        _stopping() as stop,
    ):
        report = _Report(opened, _Counts(view, stream), call.json)
        report.tell("started")
        _run(opened, report, stop, once=once)
        report.tell("stopped")


def _run(consumer: StreamConsumer, report: _Report, stop: threading.Event, *, once: bool) -> None:
    for done in consumer.batches():
        report.add(done)
        if done.stalled is not None:
            if once:
                raise StoreUnavailable(done.stalled.message)
            stop.wait(_STALL_SECONDS)
        if stop.is_set() or (once and not done.entries):
            return


@dataclass(slots=True)
class _Counts:
    """What has been done since the start, and how far the group is."""

    view: str
    stream: str
    appended: int = 0
    repeated: int = 0
    rejected: int = 0
    gone: int = 0
    lag: int | None = None
    pending: int | None = None

    def text(self) -> str:
        told = [f"{self.appended:,} appended", f"{self.rejected:,} put aside", f"{self.repeated:,} repeated"]
        told += [f"{self.gone:,} deleted unread"] if self.gone else []
        told += [f"{self.lag:,} to read"] if self.lag is not None else []
        told += [f"{self.pending:,} in hand"] if self.pending is not None else []
        return f"{self.stream} into {self.view}: {', '.join(told)}"


@dataclass(slots=True)
class _Report:
    """Says every now and then what has been done, and at once what keeps it from being done."""

    consumer: StreamConsumer
    counts: _Counts
    in_json: bool
    told_at: float = field(default_factory=time.monotonic)
    told_stall: Stalled | None = None

    def add(self, done: Consumed) -> None:
        for name in ("appended", "repeated", "rejected", "gone"):
            setattr(self.counts, name, getattr(self.counts, name) + getattr(done, name))
        if done.stalled is not None and done.stalled != self.told_stall:
            told = {"event": "stalled", **asdict(done.stalled)}
            self._say(told, f"Waiting: {done.stalled.message}")
        self.told_stall = done.stalled
        if time.monotonic() - self.told_at >= _REPORT_SECONDS:
            self.tell("consuming")

    def tell(self, event: str) -> None:
        """Raises SourceError when the stream's ids have gone back."""
        try:
            progress = self.consumer.progress()
            self.counts.lag, self.counts.pending = progress.lag, progress.pending
        except StoreUnavailable:  # reading it is tried all the same, and says why not
            self.counts.lag = self.counts.pending = None
        self._say({"event": event, **asdict(self.counts)}, f"{event.capitalize()}: {self.counts.text()}")
        self.told_at = time.monotonic()

    def _say(self, data: Mapping[str, object], text: str) -> None:
        print(json_text(data, indent=None) if self.in_json else text, flush=True)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Set by SIGTERM and by Ctrl-C, of which a second one interrupts at once."""
    stop = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        stop.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
