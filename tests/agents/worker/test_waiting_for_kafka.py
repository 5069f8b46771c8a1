"""A worker that is started while Kafka is down waits for it, with few lines in its log, and ends on SIGTERM."""

from __future__ import annotations

import os
import time
from pathlib import Path

from deploy.local import LocalKafka, free_port
from tests.agents.stack import BUSY, WorkerProcess, until


def environment(port: int) -> dict[str, str]:
    return os.environ | {
        "GEM_BEDSIDE_KAFKA": f"127.0.0.1:{port}",
        "GEM_BEDSIDE_EMBEDDED": "1",
        "GEM_BEDSIDE_PARTITIONS": "2",
        "GEM_BEDSIDE_GEM": "0",
        "PYTHONUNBUFFERED": "1",
    }


def test_it_is_ready_when_kafka_is_there(tmp_path: Path) -> None:
    port = free_port()
    worker = WorkerProcess("interpreter", environment(port), tmp_path / "worker.log")
    try:
        until(lambda: "is waited for" in worker.text, 60, "a line that says what it waits for")
        time.sleep(3.0)  # nothing is to happen in this time: the worker lives, and its log does not grow
        assert worker.process.poll() is None and worker.text.count("\n") < 12, worker.text
        with LocalKafka(tmp_path / "kafka", port):
            worker.wait_ready()
            assert worker.stop() == 0, worker.text[-2000:]
    finally:
        worker.kill()


def test_sigterm_ends_the_waiting_with_status_0(tmp_path: Path) -> None:
    worker = WorkerProcess("interpreter", environment(free_port()), tmp_path / "worker.log")
    try:
        until(lambda: "is waited for" in worker.text, 60, "a line that says what it waits for")
        worker.process.terminate()
        assert worker.process.wait(20 * BUSY) == 0
    finally:
        worker.kill()
