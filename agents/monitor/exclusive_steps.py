"""The lock of a partition: one step at a time, and only while the partition is restored and held.

A step that ends with `SessionLost` discards the partition: another worker may hold it by now, and what the step has
changed was not written. The worker goes on; it is given partitions again when its consumer has joined the group again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agents.monitor.attempts import Attempts
from agents.worker.lease import SessionLost
from agents.worker.sender import Incoming


class ExclusiveSteps:
    """The steps of one partition.

    Parameters
    ----------
    attempts : Attempts
        Records the message of a step where another worker may have ended on it.
    session_lost : callable
        Called with the exception of a step that ended because the group does not know this worker any more; discards.

    Attributes
    ----------
    available : asyncio.Event
        The partition is restored and held, or discarded.
    discarded : bool
        Its state is not used any more.
    lock : asyncio.Lock
        Held for one step and its delivery.
    """

    def __init__(self, attempts: Attempts, session_lost: Callable[[SessionLost], None]) -> None:
        self.available = asyncio.Event()
        self.discarded = False
        self.lock = asyncio.Lock()
        self._attempts = attempts
        self._session_lost = session_lost

    @asynccontextmanager
    async def held(self, message: Incoming | None = None) -> AsyncIterator[bool]:
        """One step (of a message), when the partition is available; False: it is discarded."""
        while True:
            await self.available.wait()
            await self.lock.acquire()
            if self.available.is_set():
                break
            self.lock.release()  # it was revoked while this waited for the lock
        try:
            async with self._attempts.attempt(message):
                yield not self.discarded
        except SessionLost as error:
            self._session_lost(error)
        finally:
            self.lock.release()

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """One step of a partition that is not restored yet."""
        async with self.lock:
            try:
                yield
            except SessionLost as error:
                self._session_lost(error)

    async def revoke(self) -> None:
        """Let no step begin; returns when the step in progress is finished."""
        self.available.clear()
        async with self.lock:
            pass

    def discard(self) -> None:
        """The steps that wait end; those that come find the partition discarded."""
        self.discarded = True
        self.available.set()
