"""Metadata of committed offsets: every commit of the app carries it, and the next owner of a partition reads it.

Faust commits offsets without metadata. `MetadataCommits.extend` wraps the commit of the app's own consumer, so that
each of Faust's commits carries the metadata of the moment, without a request of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from agents.worker.faust_app import consumer_of

log = logging.getLogger(__name__)

LETTERS_S = 2.0  # for dead letters to be acknowledged; without it a slow Kafka would keep the commit waiting
COMMIT_S = 3.0  # without it a commit during a rebalance would keep a message, or the end of the worker, waiting


class Committed(NamedTuple):
    """The committed offset of a partition with its metadata, and the end of its log."""

    offset: int
    metadata: str
    end: int


class MetadataSource(Protocol):
    """The metadata of each partition."""

    def metadata(self, topic: str, partition: int) -> str:
        """The metadata of a commit."""

    def committed(self, topic: str, partition: int, offset: int) -> None:
        """An offset is committed."""


class Letters(Protocol):
    """Dead letters that are on their way."""

    @property
    def idle(self) -> bool:
        """No letter is on its way."""

    def undelivered(self, topic: str, partition: int) -> int | None:
        """The first offset of a partition whose letter is not acknowledged."""

    async def delivered(self) -> None:
        """Wait for the letters that were put so far."""


class MetadataCommits:
    """Commits of the app's consumer; none goes past a message whose dead letter is not acknowledged."""

    def __init__(self, app: Any, letters: Letters) -> None:
        self._app = app
        self._letters = letters

    def extend(self, source: MetadataSource) -> None:
        """Let every commit of the app's consumer carry the metadata of ``source``."""
        consumer = consumer_of(self._app)
        if consumer is None or getattr(consumer.commit, "carries_metadata", False):
            return
        plain, loop, letters = consumer.commit, asyncio.get_running_loop(), self._letters

        async def commit(offsets: Mapping[Any, Any] | None = None) -> None:
            if not letters.idle:
                with contextlib.suppress(Exception):  # what is not delivered holds the offset back
                    delivery = asyncio.run_coroutine_threadsafe(letters.delivered(), loop)
                    await asyncio.wait_for(asyncio.wrap_future(delivery), LETTERS_S)
            extended = {}
            for at, given in (offsets or {}).items():
                offset = int(given[0] if isinstance(given, tuple) else given)
                undelivered = letters.undelivered(at.topic, at.partition)
                offset = offset if undelivered is None else min(offset, undelivered)
                source.committed(at.topic, at.partition, offset)
                extended[at] = OffsetAndMetadata(offset, source.metadata(at.topic, at.partition))
            await plain(extended or offsets)

        commit.carries_metadata = True  # type: ignore[attr-defined]
        consumer.commit = commit

    async def commit(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Commit offsets with their metadata; where Kafka does not take them, the work goes on without."""
        consumer = consumer_of(self._app)
        if consumer is None or not offsets:
            return
        wanted = {TopicPartition(*place): OffsetAndMetadata(offset, "") for place, offset in offsets.items()}
        try:
            await asyncio.wait_for(self._app.consumer._thread.call_thread(consumer.commit, wanted), COMMIT_S)
        except (KafkaError, TimeoutError) as error:
            log.warning("the metadata of %d offsets is not committed: %s", len(wanted), error)


async def committed_states(consumer: Any, committed: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], Committed]:
    """Offset, metadata and log end of each partition, by a consumer with the group's id."""
    places = [TopicPartition(*place) for place in committed]
    if not places:
        return {}
    found = await consumer._coordinator.fetch_committed_offsets(places)
    ends = await consumer.end_offsets(places)
    return {
        (at.topic, at.partition): Committed(
            committed[at.topic, at.partition], (found[at].metadata or "") if at in found else "", int(ends[at])
        )
        for at in places
    }
