"""The lease: a worker may write only while it holds its partitions in the newest generation of the group.

Kafka gives a partition to another worker when this one's session has ended, or when a peer that missed its beacons has
removed it from the group (`agents.worker.beacons`): the process was stopped (a paused container, a suspended machine),
or its messages do not arrive. A worker calls `hold` before it writes. The lease lasts for a part of the time after
which a peer may remove it, from the sending of its last acknowledged beacon. Where it has run out, the worker first
gets a new beacon acknowledged and then asks the group whether it is still a member; where it is not, the step ends.

The generation and the member are read from private attributes of Faust and aiokafka, whose versions are pinned in
pyproject.toml.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from agents.worker.faust_app import consumer_of

LEASE_SHARE = 0.7  # of the time without beacons after which a peer may remove this worker
RETRY_S = 0.05


class SessionLost(RuntimeError):  # noqa: N818  (what happened)
    """The partitions may belong to another worker by now; one that nobody else replaced joins its group again."""


class Lease:
    """The right of a worker to write.

    Parameters
    ----------
    app : faust.App
    stopped_after_s : float
        After this long without a beacon a peer may remove this worker from the group.
    monotonic : callable
        Seconds.
    """

    def __init__(
        self,
        app: Any,
        stopped_after_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._lease_s = stopped_after_s * LEASE_SHARE
        self._monotonic = monotonic
        self._sent = monotonic()  # the last acknowledged beacon
        self._unbroken = True  # no gap between two beacons was longer than the lease since the group was asked
        self.generation = -1

    def taken(self) -> int:
        """Partitions have been assigned: the generation in which they are held."""
        self.generation = int(getattr(self._app, "consumer_generation_id", -1))
        self._sent = self._monotonic()
        self._unbroken = True
        return self.generation

    def acknowledged(self, sent: float) -> None:
        """A beacon that was sent at this time has been acknowledged."""
        self._unbroken = self._unbroken and sent - self._sent <= self._lease_s
        self._sent = max(self._sent, sent)

    async def hold(self) -> None:
        """Return when this worker may write; raise `SessionLost` where it may not any more."""
        self.check()
        while not (self._unbroken and self._monotonic() - self._sent <= self._lease_s):
            asked = self._monotonic()
            if asked - self._sent > self._lease_s:  # first a beacon: peers count from it
                await asyncio.sleep(RETRY_S)
            elif await self._is_member():
                self._unbroken = True
            self.check()

    def check(self) -> None:
        """Raise `SessionLost` where this worker may not write any more."""
        known = getattr(self._coordinator, "generation", None)
        if known is not None and known != self.generation:
            raise SessionLost(
                f"partitions were held in generation {self.generation} of the group, which is in {known} by now"
            )

    @property
    def removed(self) -> bool:
        """The group does not know this worker any more, which held partitions."""
        return self.generation >= 0 and getattr(self._coordinator, "generation", self.generation) < 0

    @property
    def _coordinator(self) -> Any:
        return getattr(consumer_of(self._app), "_coordinator", None)

    async def _is_member(self) -> bool:
        """Ask the group; a worker that is no member any more gets another generation by the answer."""
        if await self._app.consumer._thread.call_thread(self._coordinator._do_heartbeat):
            return True
        await asyncio.sleep(RETRY_S)
        return False
