"""Fault 34: a consumer that is stuck but heart-beating: its group keeps it, so it ends itself, and the next goes on."""

from __future__ import annotations

import time
from pathlib import Path

from streams.wire import encode_window
from tests.agents.signals import S, ecg, messages
from tests.agents.stack import Stack, WorkerProcess, until
from tests.conftest import Broker

# A monitor whose handler of windows never comes back: the loop turns, heartbeats go out, nothing is finished.
STUCK = """
import asyncio, sys
from agents.monitor.partition_processor import PartitionProcessor
async def never(self, message): await asyncio.Future()
PartitionProcessor.process_window = never
from agents.run import run_worker
sys.exit(run_worker("monitor"))
"""


def test_a_stuck_monitor_ends_itself_and_the_next_one_handles_what_waits(
    tansu: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    windows = messages(ecg(30, silent=[(10.0, 20.0)], start_ns=time.time_ns() // S * S))
    with Stack(tansu, redis_url, topic_prefix, tmp_path, stuck_after_s=4) as stack:
        stuck = WorkerProcess("monitor", stack.environment, tmp_path / "stuck.log", STUCK)
        stack.workers.append(stuck)
        stuck.wait_ready()
        for window in windows:
            stack.producer.send_bytes(stack.topics.windows, window.bed_stream, encode_window(window))
        stack.producer.flush()
        until(lambda: stuck.process.poll() is not None, 40, "the stuck monitor to end")
        assert stuck.process.returncode == 1
        assert "nothing was finished" in stuck.text
        stack.environment["GEM_BEDSIDE_STUCK_AFTER_S"] = "30"
        stack.start("monitor", "publisher")
        stack.wait_for("ASYSTOLE", 1)
