"""A bed whose analysis raises on every message, on a running stack: the others are monitored, and no worker ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from streams.document import ns_of_time
from streams.partition import partition_of
from streams.wire import EcgWindow
from tests.agents.signals import S, ecg, messages
from tests.agents.stack import PARTITIONS, Stack, WorkerProcess, until
from tests.conftest import Broker

SICK = "icu-3/07"
WELL = next(
    name
    for k in range(100)
    if partition_of((name := f"icu-3/b{k}").encode(), PARTITIONS) == partition_of(SICK.encode(), PARTITIONS)
)  # in the same partition
MONITOR = f"""
import sys
from agents.monitor.analysis import Analysis
from agents.run import run_worker

add = Analysis.add

def raising(analysis, window, append_ns):
    if window.bed_stream == {SICK!r}:
        raise ValueError("the cutoff frequency is above half of the sampling rate")
    return add(analysis, window, append_ns)

Analysis.add = raising
sys.exit(run_worker(sys.argv[1]))
"""


@pytest.fixture
def stack(kafka: Broker, redis_url: str, topic_prefix: str, tmp_path: Path) -> Stack:
    return Stack(kafka, redis_url, topic_prefix, tmp_path)


def test_a_bed_whose_analysis_raises_on_every_message_leaves_the_others_alone(stack: Stack) -> None:
    with stack:
        monitor = WorkerProcess("monitor", stack.environment, stack.folder / "raising-monitor.log", program=MONITOR)
        stack.workers.append(monitor)
        monitor.wait_ready()
        stack.start("publisher")
        beds = two_beds(seconds=24, silent=(8.0, 24.0))
        stack.send(beds, 0, 22, a_second=1.0)
        stack.wait_for("ASYSTOLE", 1)
        stack.wait_for("CANNOT_ANALYZE", 1)
        documents = stack.beds()
        newest = {(a.bed_stream, a.code): a for a in stack.published()}
        until(lambda: len(stack.dead_letters()) >= 22, 20, "the dead letters")
        assert monitor.process.poll() is None, monitor.text[-3000:]
        assert monitor.stop() == 0
    # The bed that is well: its asystole is delivered in time, and nothing else is said of it
    asystole = newest[WELL, "ASYSTOLE"]
    assert (asystole.published - asystole.onset).total_seconds() < 10
    assert (WELL, "CANNOT_ANALYZE") not in newest
    # The bed whose analysis raises: a technical alarm says so within 10 s
    cannot = newest[SICK, "CANNOT_ANALYZE"]
    assert cannot.citations[0].reason == "analysis failed" and cannot.sounding
    assert ns_of_time(cannot.published) - ns_of_time(documents[SICK].since) < 11 * S
    assert (SICK, "SILENT_FEED") not in newest
    # Its messages are dead letters with the reason; neither signal nor pseudonym is in it
    reasons = {letter["reason"].split(" (")[0] for letter in stack.dead_letters()}
    assert reasons == {"analysis failed: ValueError: the cutoff frequency is above half of the sampling rate"}


def two_beds(seconds: float, silent: tuple[float, float]) -> list[list[EcgWindow]]:
    now_ns = time.time_ns() // S * S
    return [
        messages(ecg(seconds, start_ns=now_ns), bed=SICK.partition("/")[2]),
        messages(ecg(seconds, start_ns=now_ns, silent=[silent]), bed=WELL.partition("/")[2]),
    ]
