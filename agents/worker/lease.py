"""The lease: a worker may write only while it holds its partitions in the newest generation of the group.

Kafka gives a partition to another worker when this one has sent no heartbeat for the session timeout: its session was
ended, or the process was stopped (a paused container, a suspended machine) and did not notice. A worker calls `check`
before it writes, and ends when it raises: another worker writes by now. The generation is read from private attributes
of Faust and aiokafka, whose versions are pinned in pyproject.toml.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from agents.worker.faust_app import consumer_of

BEATS_A_SESSION = 12


class SessionLost(RuntimeError):  # noqa: N818  (what happened; the worker ends on it)
    """The partitions belong to another worker by now."""


class Lease:
    """The right of a worker to write.

    Parameters
    ----------
    app : faust.App
    session_timeout_s : float
        After this long without a heartbeat the group gives the partitions away.
    monotonic : callable
        Seconds.
    """

    def __init__(self, app: Any, session_timeout_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._timeout_s = session_timeout_s
        self._monotonic = monotonic
        self._alive = monotonic()
        self.generation = -1

    def taken(self) -> int:
        """Partitions have been assigned: the generation in which they are held."""
        self.generation = int(getattr(self._app, "consumer_generation_id", -1))
        self._alive = self._monotonic()
        return self.generation

    def beat(self) -> None:
        """To be called several times within the session timeout: shows that this process was not stopped."""
        self._check_pause()
        self._alive = self._monotonic()

    async def keep_beating(self) -> None:
        """Runs for as long as the worker does."""
        while True:
            self.beat()
            await asyncio.sleep(self._timeout_s / BEATS_A_SESSION)

    def check(self) -> None:
        """Raise `SessionLost` where this worker may not write any more."""
        self._check_pause()
        consumer = consumer_of(self._app)
        coordinator = getattr(consumer, "_coordinator", None)
        known = getattr(coordinator, "generation", None)
        if known is not None and known != self.generation:
            raise SessionLost(
                f"partitions were held in generation {self.generation} of the group, which is in {known} by now"
            )

    def _check_pause(self) -> None:
        paused_s = self._monotonic() - self._alive
        if self.generation >= 0 and paused_s > self._timeout_s:
            raise SessionLost(
                f"this process stood still for {paused_s:.1f} s, longer than its session of {self._timeout_s:g} s"
            )
