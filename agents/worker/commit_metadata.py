"""Metadata of committed offsets: every commit of the app carries it, and the next owner of a partition reads it.

Faust commits offsets without metadata. `MetadataCommits.extend` wraps the commit of the app's own consumer, so that
each of Faust's commits carries the metadata of the moment, without a request of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from agents.worker.faust_app import consumer_of

log = logging.getLogger(__name__)

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


class MetadataCommits:
    """Commits of the app's consumer."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def extend(self, source: MetadataSource) -> None:
        """Let every commit of the app's consumer carry the metadata of ``source``."""
        consumer = consumer_of(self._app)
        if consumer is None or getattr(consumer.commit, "carries_metadata", False):
            return
        plain = consumer.commit

        async def commit(offsets: Mapping[Any, Any] | None = None) -> None:
            extended = {}
            for at, given in (offsets or {}).items():
                offset = int(given[0] if isinstance(given, tuple) else given)
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
