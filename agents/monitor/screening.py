"""Screening: takes unreadable windows out of a fetched batch, so that a flood of them delays no bed of the partition.

Input: the records of one fetch. Output: the records that the partitions are given one by one; the others are written
to the dead letters together, and their offsets are not committed before that. A record stays where it is the last of
its partition in the batch, where the partition is not held, or where only a recorded attempt may read it.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from agents.monitor.attempts import Attempts
from agents.worker.log_reader import incoming
from agents.worker.sender import Incoming
from streams.wire import EcgWindow, RejectedMessage

YIELD_EVERY = 50  # records between two turns of the event loop: about 2 ms


class Offsets:
    """A set of offsets that grows at its end and is cut at its beginning, as runs.

    >>> offsets = Offsets()
    >>> for offset in (3, 4, 5, 9, 7):
    ...     offsets.add(offset)
    >>> offsets.cut(5)
    >>> [offset for offset in range(12) if offset in offsets]
    [5, 7, 9]
    """

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def __contains__(self, offset: int) -> bool:
        run = bisect_right(self._firsts, offset) - 1
        return run >= 0 and offset <= self._lasts[run]

    def add(self, offset: int) -> None:
        """Add one that is not in the set."""
        run = bisect_right(self._firsts, offset) - 1
        if run >= 0 and self._lasts[run] == offset - 1:
            self._lasts[run] = offset
        else:
            self._firsts.insert(run + 1, offset)
            self._lasts.insert(run + 1, offset)

    def cut(self, below: int) -> None:
        """Leave out the runs that end below an offset, and the offsets below it."""
        run = bisect_right(self._lasts, below - 1)
        del self._firsts[:run], self._lasts[:run]
        if self._firsts:
            self._firsts[0] = max(self._firsts[0], below)


class ScreenedPartition(Protocol):
    """The part of a `PartitionProcessor` that the screening uses."""

    attempts: Attempts
    next_offset: int
    screened: Offsets

    @property
    def live(self) -> bool:
        """Restored and held."""

    def decode(self, message: Incoming) -> EcgWindow:
        """The window of a message; raises `RejectedMessage`."""

    async def reject(self, message: Incoming, reason: str, *, wait: bool = True) -> None:
        """Dead-letter a message."""


class Screening:
    """Screens the fetched records of the windows.

    Parameters
    ----------
    topic : str
        Of the windows.
    partition : callable
        The partition of a number; None where it is not held.
    progressed : callable
        Called with the number of records that were taken out, for the watch over progress.
    """

    def __init__(
        self, topic: str, partition: Callable[[int], ScreenedPartition | None], progressed: Callable[[int], None]
    ) -> None:
        self._topic = topic
        self._partition = partition
        self._progressed = progressed

    async def keep(self, records: Mapping[Any, list[Any]]) -> dict[Any, list[Any]]:
        """The records without the unreadable ones, by topic and partition."""
        kept = {}
        for at, batch in records.items():
            partition = self._partition(at.partition) if at.topic == self._topic else None
            kept[at] = batch if partition is None else await self._readable(partition, batch)
        return kept

    async def _readable(self, partition: ScreenedPartition, batch: list[Any]) -> list[Any]:
        kept, taken_out = [], 0
        partition.screened.cut(partition.next_offset)
        for count, record in enumerate(batch[:-1]):
            if count % YIELD_EVERY == YIELD_EVERY - 1:
                self._progressed(taken_out)
                taken_out = 0
                await asyncio.sleep(0)
            if await self._taken_out(partition, record):
                taken_out += 1
            else:
                kept.append(record)
        self._progressed(taken_out)
        return kept + batch[-1:]

    async def _taken_out(self, partition: ScreenedPartition, record: Any) -> bool:
        """Dead-letter an unreadable record, unless it was when it was fetched before."""
        message = incoming(record)
        if not partition.live or message.offset < partition.next_offset or partition.attempts.only_in_turn(message):
            return False
        try:
            partition.decode(message)
        except RejectedMessage as rejected:
            if message.offset not in partition.screened:
                partition.screened.add(message.offset)
                await partition.reject(message, rejected.reason, wait=False)
            return True
        return False
