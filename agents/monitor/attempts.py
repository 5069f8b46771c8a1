"""A message that ends the worker process outright (crash, memory, lost session) is taken twice, never a third time.

The metadata of each committed offset of the group says whether a worker holds the partition, which message it has begun
since it took a partition over that was not released, and which messages are rejected (docs/delivery.md, "A message that
ends the worker"). Every commit carries it; a worker writes it by itself once when it takes a partition, once when it
ends, and, after a worker that did not release the partition, before each message that was in the log by then, and when
it gives partitions away.

=========  ================================================================================================
held       a worker has taken the partition and has not released it
begun      offsets that a worker has begun after a worker that did not release it: the second time at least
by         that worker, where ``begun`` names any: it has not ended when it takes the partition again itself
rejected    offsets begun twice by workers that then ended: they are dead-lettered, and skipped by each replay
=========  ================================================================================================
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from agents.worker.bounded_batches import BATCH_ERROR
from agents.worker.commit_metadata import Committed
from agents.worker.sender import Incoming

log = logging.getLogger(__name__)

REJECTED_KEPT = 64  # offsets; a replay reads back two minutes, and Kafka takes 4 kB of metadata
REASON = "the worker ended twice while it processed this message: it is not taken a third time"

Place = tuple[str, int]
Commit = Callable[[Mapping[Place, int]], Awaitable[None]]


@dataclass
class _Partition:
    """State of one partition of one topic; ``text`` is its metadata."""

    offset: int  # the last one committed here
    by: str  # this worker
    careful_until: int = 0  # messages below this offset are recorded before they are begun
    held: bool = True
    begun: set[int] = field(default_factory=set)
    rejected: list[int] = field(default_factory=list)
    text: str = ""

    def write(self) -> None:
        state = {
            "held": self.held,
            "begun": sorted(self.begun),
            "by": self.by if self.begun else "",
            "rejected": self.rejected[-REJECTED_KEPT:],
        }
        self.text = json.dumps({name: value for name, value in state.items() if value}, separators=(",", ":"))


class Attempts:
    """The messages that a worker begins.

    Parameters
    ----------
    commit : callable
        Commits offsets, each with the metadata of `metadata`; None: nothing is recorded.
    """

    def __init__(self, commit: Commit | None = None) -> None:
        self._commit = commit or _no_commit
        self._by = secrets.token_hex(4)
        self._partitions: dict[Place, _Partition] = {}
        self._one = asyncio.Lock()  # of recorded messages one is processed at a time: only that one is rejected
        self._finished: set[Place] = set()  # whose committed metadata still names a message that is finished

    def metadata(self, topic: str, partition: int) -> str:
        """The metadata of a commit; also called by the thread of the consumer."""
        state = self._partitions.get((topic, partition))
        return "" if state is None else state.text

    async def take(self, found: Mapping[Place, Committed]) -> None:
        """Take partitions over, and record that they are held."""
        for place, committed in found.items():
            state = self._partitions[place] = _Partition(committed.offset, self._by)
            self._finished.discard(place)
            before = _parsed(committed.metadata)
            state.rejected = list(before.rejected)
            if before.held:
                state.careful_until = committed.end
                new = sorted(set(before.begun) - set(before.rejected)) if before.by != self._by else []
                state.rejected += new
                if committed.end > committed.offset:
                    log.warning("%s/%d was not released: messages to offset %d are recorded", *place, committed.end - 1)
                if new:
                    log.error("%s/%d: workers ended twice on offsets %s: they are rejected", *place, new)
            state.write()
        await self._commit({place: committed.offset for place, committed in found.items()})

    async def hand_over(self) -> None:
        """Before partitions are given away: the messages that were finished did not end this worker."""
        finished = {place: self._partitions[place].offset for place in self._finished}
        self._finished.clear()
        await self._commit(finished)

    async def release(self, positions: Mapping[Place, int]) -> None:
        """Record that the partitions were left with nothing in progress."""
        for place in positions:
            if place in self._partitions:
                self._partitions[place].held = False
                self._partitions[place].write()
        held = {place: offset for place, offset in positions.items() if place in self._partitions}
        await self._commit({place: max(offset, self._partitions[place].offset) for place, offset in held.items()})

    def committed(self, topic: str, partition: int, offset: int) -> None:
        """An offset is committed: it never goes back by a record of this class."""
        state = self._partitions.get((topic, partition))
        if state is not None:
            state.offset = max(state.offset, offset)

    def rejected(self, topic: str, partition: int) -> list[int]:
        """Offsets that are dead-lettered because workers ended twice on them."""
        state = self._partitions.get((topic, partition))
        return [] if state is None else state.rejected[-REJECTED_KEPT:]

    def marked(self, message: Incoming) -> Incoming:
        """The message, or one with the reason in its headers where it is rejected."""
        state = self._partitions.get((message.topic, message.partition))
        if state is None or not state.rejected or message.offset not in state.rejected:
            return message
        return replace(message, headers=((BATCH_ERROR, REASON.encode()),))

    def only_in_turn(self, message: Incoming) -> bool:
        """Another worker may have ended on the message, or two did: it is read by a recorded attempt only."""
        state = self._partitions.get((message.topic, message.partition))
        return state is not None and (message.offset < state.careful_until or message.offset in state.rejected)

    @asynccontextmanager
    async def attempt(self, message: Incoming | None) -> AsyncIterator[None]:
        """Around the processing of a message: it is recorded first where another worker may have ended on it."""
        place = ("", 0) if message is None else (message.topic, message.partition)
        state = self._partitions.get(place)
        if message is None or state is None or message.offset >= state.careful_until or message.batch_error:
            yield
            return
        async with self._one:
            state.begun.add(message.offset)
            state.write()
            finished = {other: self._partitions[other].offset for other in self._finished}
            await self._commit(finished | {place: max(state.offset, message.offset)})
            self._finished.clear()
            try:
                yield
            finally:
                state.begun.discard(message.offset)
                state.write()
                self._finished.add(place)


async def _no_commit(_: Mapping[Place, int]) -> None:
    """For a partition without Kafka."""


class _Before(NamedTuple):
    """What the worker before has written."""

    held: bool = False
    begun: tuple[int, ...] = ()
    rejected: tuple[int, ...] = ()
    by: str = ""


def _parsed(metadata: str) -> _Before:
    """Of metadata that this program has not written, nothing."""
    try:
        found = json.loads(metadata or "{}")
        begun, rejected = (tuple(int(offset) for offset in found.get(name, ())) for name in ("begun", "rejected"))
        return _Before(bool(found.get("held")), begun, rejected, str(found.get("by", "")))
    except (ValueError, TypeError, AttributeError):
        return _Before()
