"""What a server counts of itself, in the form Prometheus reads.

Several processes of one server count into files of a folder they share, and each of them can tell the sum. What is
counted has a bounded number of names: routes, methods, views and statuses, never what a request made up.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from featurestore.errors import KnownatError, NotMaterialized, StoreCorrupted, StoreRefused, StoreUnavailable
from featurestore.ports.serving_log import ServingLog

SECONDS = (
    0.00025, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075,
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
"""The buckets: fine where lookups lie, coarse where training sets do."""

SHARED_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""What prometheus-client looks at when it is imported, so it is set before a process of several begins."""

NO_ROUTE = "none"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_STORE_ERRORS = (StoreUnavailable, StoreRefused, StoreCorrupted, NotMaterialized)


class ServiceMetrics:
    """The counts of one process, and how to tell those of all: `shared` is the folder where there are several."""

    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        self._registry = registry = CollectorRegistry()
        self._seconds = Histogram(
            "knownat_http_request_seconds",
            "Time to answer a request, by route template, method and class of status.",
            ("route", "method", "status"),
            buckets=SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "knownat_http_requests_in_flight",
            "Requests that are being answered.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._rows = Counter("knownat_online_rows", "Rows that lookups asked for.", registry=registry)
        self._values = Counter(
            "knownat_online_values", "Values that lookups gave, by status.", ("view", "status"), registry=registry
        )
        self._store_errors = Counter(
            "knownat_store_errors", "Requests that a store failed, by kind.", ("kind",), registry=registry
        )
        self._logged = Counter(
            "knownat_serving_log_rows", "Sampled rows by what became of them.", ("outcome",), registry=registry
        )
        self._logged_before: dict[str, int] = {}
        self._logged_lock = threading.Lock()
        self._seconds_of: dict[tuple[str, str, int], Histogram] = {}
        self._values_of: dict[tuple[str, str], Counter] = {}

    def begins(self) -> None:
        self._in_flight.inc()

    def ends(self, route: str, method: str, status: int, seconds: float) -> None:
        """`route` is a template, or NO_ROUTE."""
        self._in_flight.dec()
        key = (route, method, status // 100)
        if (histogram := self._seconds_of.get(key)) is None:
            known = method if method in _METHODS else "other"
            histogram = self._seconds_of[route, known, status // 100] = self._seconds.labels(
                route, known, f"{status // 100}xx"
            )
        histogram.observe(seconds)

    def observe_lookup(self, rows: int, values: Mapping[tuple[str, str], int]) -> None:
        """A lookup of so many rows: how many values of each view had each status."""
        self._rows.inc(rows)
        for key, count in values.items():
            if (counter := self._values_of.get(key)) is None:
                counter = self._values_of[key] = self._values.labels(*key)
            counter.inc(count)

    def observe_log(self, log: ServingLog) -> None:
        """What became of the rows that this process has offered to its serving log so far."""
        with self._logged_lock:  # lookups and whoever reads the metrics look at it in threads of their own
            for outcome, count in (("logged", log.logged), ("dropped", log.dropped), ("failed", log.failed)):
                if more := count - self._logged_before.get(outcome, 0):
                    self._logged_before[outcome] = count
                    self._logged.labels(outcome).inc(more)

    def observe_error(self, error: KnownatError) -> None:
        if isinstance(error, _STORE_ERRORS):
            self._store_errors.labels(error.code).inc()

    def text(self, freshness: Mapping[str, timedelta]) -> bytes:
        """Everything that was counted, the freshness of views, and the memory of the processes as it is now."""
        if self._shared is None:
            counted, pids = self._registry.collect(), [str(os.getpid())]
        else:
            files = [str(file) for file in self._shared.glob("*.db")]
            counted, pids = MultiProcessCollector.merge(files), _living(self._shared)  # type: ignore[no-untyped-call]
        return generate_latest(_Collected([*counted, _freshness(freshness), _memory(pids)]))


class _Collected(Collector):
    """What was collected, as what writes the text wants it."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def forget_process(shared: Path, pid: int) -> None:
    """A process has ended: what it counted stays, what it was doing does not."""
    mark_process_dead(pid, str(shared))  # type: ignore[no-untyped-call]  # it is not typed yet


def _freshness(freshness: Mapping[str, timedelta]) -> Metric:
    family = GaugeMetricFamily(
        "knownat_view_freshness_seconds",
        "Time since the moment a view is online up to. A view that is not online has none.",
        labels=("view",),
    )
    for view, behind in freshness.items():
        family.add_metric((view,), behind.total_seconds())
    return family


def _living(shared: Path) -> list[str]:
    """The processes that count now: each has a file for what it is doing."""
    return sorted(file.stem.rpartition("_")[2] for file in shared.glob("gauge_livesum_*.db"))


def _memory(pids: Iterable[str]) -> Metric:
    family = GaugeMetricFamily(
        "knownat_process_resident_memory_bytes", "Memory that a process of the server holds.", labels=("pid",)
    )
    for pid in pids:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:  # it has just ended, or this system does not say
            continue
        family.add_metric((pid,), pages * os.sysconf("SC_PAGE_SIZE"))
    return family
