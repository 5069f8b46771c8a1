"""A worker that stands still while messages wait ends with a status that is not 0."""

from __future__ import annotations

import subprocess
import sys

from agents.worker.progress import ProgressSample, StuckWatch


def verdicts(samples: list[ProgressSample], after_s: float = 5.0) -> list[str]:
    watch = StuckWatch(after_s, 0.0)
    return [watch.check(sample, float(k)) for k, sample in enumerate(samples)]


def test_a_worker_that_finishes_nothing_while_messages_wait_is_stuck() -> None:
    reasons = verdicts([ProgressSample(7, 10 + k, k) for k in range(10)])
    assert reasons[:6] == [""] * 6
    assert "nothing was finished" in reasons[6]


def test_one_that_has_nothing_to_do_is_not() -> None:
    assert not any(verdicts([ProgressSample(7, 0, k) for k in range(60)]))


def test_one_that_is_slow_but_goes_on_is_not() -> None:
    assert not any(verdicts([ProgressSample(k // 4, 1000, k) for k in range(60)]))


def test_one_that_does_not_know_what_waits_is_not() -> None:
    assert not any(verdicts([ProgressSample(7, None, k) for k in range(60)])), "the broker is away: no reason to end"


def test_one_whose_loop_does_not_turn_is_stuck_whatever_waits() -> None:
    assert "loop has not turned" in verdicts([ProgressSample(7, None, 3)] * 10)[6]


BLOCKED = """
import threading, time
from agents.worker.progress import ProgressSample, watch
watch(lambda: ProgressSample(0, 5, 0), 1.0, threading.Event())
time.sleep(60)  # the loop stands still; heartbeats to Kafka would come from another thread
"""


def test_the_process_of_a_stuck_worker_ends_with_status_1() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED], timeout=30, capture_output=True, text=True)
    assert done.returncode == 1
    assert "this worker is stuck" in done.stderr
