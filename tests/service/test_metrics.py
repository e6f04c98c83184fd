"""What /metrics tells: requests by route, values by view and status, freshness, store errors; and what it never is."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from featurestore.adapters.memory_online import MemoryOnlineStore
from featurestore.adapters.threaded_reader import ThreadedReader
from featurestore.errors import StoreUnavailable
from featurestore.ports.serving_log import ServedAnswer
from featurestore.service.metrics import ServiceMetrics
from featurestore.service.served import LoopReaders
from registry.service.app import create_app
from registry.service.served import ServedProject
from registry.wiring import WiredProject, served_project
from registry.wiring import open_project as wire_folder
from tests.raw_http import asked
from tests.service.conftest import served
from tests.service.test_app import send

ROWS = [{"shop": "alma", "basket": 1.0}, {"shop": "nobody", "basket": 1.0}, {"shop": "closed", "basket": 1.0}]


@pytest.fixture(scope="module")
def wired(filled_folder: Path) -> Iterator[WiredProject]:
    project = wire_folder(filled_folder)
    yield project
    project.close()


@pytest.fixture
def app(wired: WiredProject) -> FastAPI:
    """With counts of its own."""
    return create_app(served_project(wired))


def told(app: FastAPI) -> dict[tuple[str, ...], float]:
    """Each sample by its name and its labels' values, in the order of the labels' names."""
    response = send(app, "GET", "/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_a_lookup_counts_its_rows_and_its_values_by_view_and_status(app: FastAPI) -> None:
    send(app, "POST", "/v1/online", json={"service": "shops_v1", "entities": ROWS})
    send(app, "POST", "/v1/online", json={"features": ["shop_facts:score"], "entities": ROWS[:1]})

    found = told(app)

    assert found["knownat_online_rows_total",] == 4
    values = {key[1:]: value for key, value in found.items() if key[0] == "knownat_online_values_total" and value}
    assert values == {
        ("present", "shop_orders"): 5,  # all of alma's; of nobody's and of a shop that closed there is no row
        ("missing", "shop_orders"): 10,
        ("present", "shop_facts"): 5,
        ("missing", "shop_facts"): 4,
        ("expired", "shop_facts"): 4,
        ("present", "on demand"): 1,
        ("null", "on demand"): 2,
    }


def test_requests_are_counted_by_route_template_method_and_status_class(app: FastAPI) -> None:
    for path in ("/health/live", "/health/live", "/v1/models/one", "/v1/models/two"):
        send(app, "GET", path)
    send(app, "DELETE", "/v1/catalog")

    found = told(app)

    counts = {key[1:]: value for key, value in found.items() if key[0] == "knownat_http_request_seconds_count"}
    assert counts == {
        ("GET", "/health/live", "2xx"): 2,
        ("GET", "/v1/models/{name}", "4xx"): 2,
        ("DELETE", "/v1/catalog", "4xx"): 1,
    }
    assert found["knownat_http_request_seconds_bucket", "+Inf", "GET", "/health/live", "2xx"] == 2
    assert ("knownat_http_request_seconds_bucket", "0.00025", "GET", "/health/live", "2xx") in found


def test_what_requests_make_up_is_no_label(filled_folder: Path) -> None:
    with served(filled_folder) as address:
        for number in range(20):
            asked(address, f"GET /made-up/{number} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            asked(address, f"GET /v1/made-up/{number} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            httpx.post(f"{address}/v1/online", json={"service": f"made-up-{number}", "entities": []})
        for method in ("PROPFIND", "REPORT", "MKCOL"):
            asked(address, f"{method} /v1/catalog HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        text = httpx.get(f"{address}/metrics").text

    assert "made-up" not in text
    assert sorted(set(re.findall(r'_count\{method="(\w+)",route="([^"]+)"', text))) == [
        ("GET", "none"),
        ("POST", "/v1/online"),
        ("other", "/v1/catalog"),
    ]
    assert 'count{method="GET",route="none",status="4xx"} 40.0' in text


def test_freshness_is_the_time_since_a_view_was_filled(app: FastAPI, wired: WiredProject) -> None:
    now = wired.features.clock()
    later = replace(served_project(wired).features, clock=lambda: now.replace(hour=1, minute=30))
    aged = create_app(ServedProject(later, wired.registry))

    assert told(app)["knownat_view_freshness_seconds", "shop_orders"] == 0
    assert told(aged)["knownat_view_freshness_seconds", "shop_facts"] == 5400


class SilentStore(MemoryOnlineStore):
    def read(self, reads: object) -> Any:  # noqa: ARG002 - it answers nobody
        raise StoreUnavailable("The online store does not answer.")


def with_store(wired: WiredProject, store: MemoryOnlineStore) -> FastAPI:
    whole = served_project(wired)
    online, readers = replace(whole.features.online, store=store), LoopReaders(lambda: ThreadedReader(store))
    features = replace(whole.features, online=online, readers=readers)
    return create_app(ServedProject(features, whole.registry))


def test_a_store_that_fails_is_counted_and_the_counts_are_told_all_the_same(wired: WiredProject) -> None:
    app = with_store(wired, SilentStore())
    for _ in range(3):
        send(app, "POST", "/v1/online", json={"service": "shops_v1", "entities": ROWS})
    send(app, "POST", "/v1/online", json={"service": "nosuch", "entities": ROWS})

    found = told(app)

    assert {key: value for key, value in found.items() if key[0] == "knownat_store_errors_total"} == {
        ("knownat_store_errors_total", "store_unavailable"): 3
    }
    assert not [key for key in found if key[0] == "knownat_view_freshness_seconds"]


def test_a_process_tells_its_memory_and_what_it_is_answering(app: FastAPI) -> None:
    found = told(app)

    [memory] = [value for key, value in found.items() if key[0] == "knownat_process_resident_memory_bytes"]
    assert 10e6 < memory < 10e9
    assert found["knownat_http_requests_in_flight",] == 1  # this one


class BrokenStore(MemoryOnlineStore):
    """It fails on every lookup."""

    def read(self, reads: Any) -> Any:
        if any(read.keys for read in reads):
            raise RuntimeError
        return super().read(reads)


def test_an_error_nobody_foresaw_is_counted_as_such(wired: WiredProject) -> None:
    app = with_store(wired, BrokenStore())

    send(app, "POST", "/v1/online", json={"service": "shops_v1", "entities": ROWS})

    assert told(app)["knownat_http_request_seconds_count", "POST", "/v1/online", "5xx"] == 1


def test_what_became_of_logged_rows_is_counted_once() -> None:
    metrics, log = ServiceMetrics(), LoggedSoFar()

    for log.logged, log.dropped in ((5, 0), (5, 0), (7, 3)):
        metrics.observe_log(log)

    families = text_string_to_metric_families(metrics.text({}).decode())
    samples = [sample for family in families for sample in family.samples]
    counted = {s.labels["outcome"]: s.value for s in samples if s.name == "knownat_serving_log_rows_total"}
    assert counted == {"logged": 7, "dropped": 3}


class LoggedSoFar:
    """A ServingLog's counts, without a log."""

    logged = dropped = failed = 0

    def offer(self, answer: ServedAnswer) -> None:
        raise AssertionError(answer)

    def close(self) -> None:
        raise AssertionError


def test_whoever_is_overtaken_while_looking_at_the_log_counts_nothing_twice() -> None:
    metrics = ServiceMetrics()
    log = OvertakingLog(metrics)

    metrics.observe_log(log)
    log.other.join()

    assert 'knownat_serving_log_rows_total{outcome="logged"} 7.0' in metrics.text({}).decode()


class OvertakingLog(LoggedSoFar):
    """While the first who looks is told of five rows, another thread is told of seven."""

    def __init__(self, metrics: ServiceMetrics) -> None:
        self.other = threading.Thread(target=metrics.observe_log, args=[self])
        self._is_first = True

    @property
    def logged(self) -> int:  # type: ignore[override]  # it is told to one after the other
        if not self._is_first:
            return 7
        self._is_first = False
        self.other.start()
        self.other.join(0.2)
        return 5
