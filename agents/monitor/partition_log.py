"""The logs of one partition, as `PartitionProcessor` and the backfill read them: protocols, and their Kafka form.

Tests pass a log in memory (tests/agents/monitor/memory_log.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from agents.monitor.restore import BedDocuments, read_beds
from agents.settings import Settings
from agents.worker.high_watermarks import LogEnds
from agents.worker.log_reader import offset_before, plain_consumer, read_range
from agents.worker.sender import Incoming
from streams.bed import Bed
from streams.topics import Topics


class LogReader(Protocol):
    """Reads the logs of one partition."""

    async def read_beds(self, documents: BedDocuments | None = None) -> dict[str, Bed]:
        """The newest document of each bed, by bed stream; ``documents`` holds those that are read already."""

    async def offset_before(self, offset: int, seconds: float) -> int:
        """The first offset of a window appended at most ``seconds`` before the window before ``offset``."""

    def read_windows(self, start: int, stop: int) -> AsyncIterator[list[Incoming]]:
        """The windows from offset ``start`` to ``stop`` (exclusive), batch by batch."""


class PartitionLog(Protocol):
    """The log of windows of one partition."""

    def open(self) -> AbstractAsyncContextManager[LogReader]:
        """A reader of this partition."""

    def end(self) -> int | None:
        """The offset after the last window; None where it is not known as of now."""

    async def current_end(self) -> int:
        """The same; waits for an answer of the broker, 0 where none comes."""


class KafkaLogReader:
    """`LogReader` on a plain consumer."""

    def __init__(
        self, consumer: Any, topics: Topics, number: int, mark: Callable[[Incoming], Incoming] = lambda message: message
    ) -> None:
        self._consumer = consumer
        self._mark = mark  # refused messages (`agents.monitor.attempts`)
        self._topics = topics
        self._number = number

    async def read_beds(self, documents: BedDocuments | None = None) -> dict[str, Bed]:
        """The newest document of each bed, by bed stream; ``documents`` holds those that are read already."""
        return await read_beds(self._consumer, self._topics.beds, self._number, documents)

    async def offset_before(self, offset: int, seconds: float) -> int:
        """The first offset of a window appended at most ``seconds`` before the window before ``offset``."""
        return await offset_before(self._consumer, self._topics.windows, self._number, offset, seconds)

    async def read_windows(self, start: int, stop: int) -> AsyncIterator[list[Incoming]]:
        """The windows from offset ``start`` to ``stop`` (exclusive), batch by batch."""
        async for batch in read_range(self._consumer, self._topics.windows, self._number, start, stop):
            yield [self._mark(message) for message in batch]


class KafkaPartitionLog:
    """`PartitionLog` of one partition in Kafka."""

    def __init__(
        self,
        settings: Settings,
        topics: Topics,
        ends: LogEnds,
        number: int,
        mark: Callable[[Incoming], Incoming] = lambda message: message,
    ) -> None:
        self._settings = settings
        self._mark = mark
        self._topics = topics
        self._ends = ends
        self._number = number

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LogReader]:
        """A reader with a consumer of its own."""
        async with plain_consumer(self._settings) as consumer:
            yield KafkaLogReader(consumer, self._topics, self._number, self._mark)

    def end(self) -> int | None:
        """The offset after the last window; None where it is not known as of now."""
        return self._ends.end(self._topics.windows, self._number)

    async def current_end(self) -> int:
        """The same; waits for an answer of the broker, 0 where none comes."""
        return await self._ends.known(self._topics.windows, self._number)
