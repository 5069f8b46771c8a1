"""Ends a worker that finishes nothing while messages wait, so that another one takes over.

Consumers of Kafka are known to die slowly: the group still hears their heartbeat, no other worker takes over, and
nothing is handled. So a thread of its own, which no stuck loop can stop, compares what was finished with what waits.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

log = logging.getLogger(__name__)

SAMPLE_INTERVAL_S = 1.0
STUCK_STATUS = 1


class ProgressSample(NamedTuple):
    """State of the worker at one time.

    Attributes
    ----------
    handled : int
        Messages finished since the start.
    waiting : int or None
        Messages that are in Kafka and not handled; None where nobody knows.
    beats : int
        Iterations of the worker's loop; the same number twice means that it stands still.
    """

    handled: int
    waiting: int | None
    beats: int


class StuckWatch:
    """Compares one sample with the next.

    Parameters
    ----------
    stuck_after_s : float
        Nothing finished for this long while messages wait, or an event loop that stands still: stuck.
    """

    def __init__(self, stuck_after_s: float, now_s: float) -> None:
        self._stuck_after_s = stuck_after_s
        self._moved_s = now_s
        self._turned_s = now_s
        self._last: ProgressSample | None = None

    def check(self, sample: ProgressSample, now_s: float) -> str:
        """Why the worker is stuck; empty where it is not."""
        last, self._last = self._last, sample
        if last is None or sample.handled != last.handled or not sample.waiting:
            self._moved_s = now_s
        if last is None or sample.beats != last.beats:
            self._turned_s = now_s
        if now_s - self._turned_s > self._stuck_after_s:
            return f"its loop has not turned for {now_s - self._turned_s:.0f} s"
        if now_s - self._moved_s > self._stuck_after_s:
            return f"nothing was finished for {now_s - self._moved_s:.0f} s while {sample.waiting} messages wait"
        return ""


def watch(sample: Callable[[], ProgressSample], stuck_after_s: float, stop: threading.Event) -> threading.Thread:
    """Sample once a second from a thread; end the process with status 1 when the worker is stuck."""

    def run() -> None:
        stuck_watch = StuckWatch(stuck_after_s, time.monotonic())
        while not stop.wait(SAMPLE_INTERVAL_S):
            reason = stuck_watch.check(sample(), time.monotonic())
            if reason:
                log.critical("this worker is stuck: %s; it ends with status %d", reason, STUCK_STATUS)
                logging.shutdown()
                os._exit(STUCK_STATUS)  # a stuck loop runs no handlers

    thread = threading.Thread(target=run, name="progress", daemon=True)
    thread.start()
    return thread
