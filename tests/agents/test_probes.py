"""The port of a worker: it answers before the worker is ready, and says why it is not."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from agents.metrics import Metrics
from agents.probes import serve_probes


class WorkerUnderProbe:
    """A port whose worker is ready when `reason` is empty."""

    def __init__(self) -> None:
        self.reason = "partitions [3] are being restored"
        self.metrics = Metrics()
        self.server = serve_probes("127.0.0.1", 0, self.metrics.registry, lambda: self.reason)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.server.server_port}{path}")


@pytest.fixture
def worker() -> Iterator[WorkerUnderProbe]:
    under_probe = WorkerUnderProbe()
    yield under_probe
    under_probe.server.shutdown()
    under_probe.server.server_close()


def test_a_worker_that_restores_lives_and_is_not_ready(worker: WorkerUnderProbe) -> None:
    assert worker.get("/healthz").status_code == 200
    answer = worker.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "partitions [3] are being restored\n")
    worker.reason = ""
    assert worker.get("/readyz").status_code == 200
    worker.reason = "a rebalance is in progress"
    assert worker.get("/readyz").status_code == 503, "readiness is lost with the partitions"


def test_prometheus_gets_the_metrics_and_another_path_is_not_found(worker: WorkerUnderProbe) -> None:
    worker.metrics.windows.inc(7)
    answer = worker.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "gem_bedside_windows_total 7.0" in answer.text
    assert "gem_bedside_build_info{" in answer.text
    assert worker.get("/metricz").status_code == 404
