"""The standby: signal state of partitions that another monitor holds, so that a takeover has nothing to replay.

In: the windows that the holder of a partition has finished, as its beacons say, and its bed documents. Out: a `Replica`
per partition, which the restore takes over (docs/delivery.md, "Takeover"). A standby writes nothing. It never takes a
window that the holder has not finished: a message that ends a worker does not end both.

A replica costs as much computing time as the partition itself. It goes on only while the partitions that this worker
holds keep up, and after its own start at half speed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from agents.clock import Clock
from agents.monitor.bed import BedMonitor, new_bed
from agents.monitor.messages import MessageReader
from agents.monitor.restore import BedDocuments, read_beds
from agents.monitor.state_replay import StateReplay
from agents.settings import Settings
from agents.worker.log_reader import FOLLOW_MS, incoming, offset_before, plain_consumer
from agents.worker.sender import Incoming
from streams.alert import EncoderInfo
from streams.bed import Bed
from streams.topics import Topics
from streams.wire import RejectedMessage

log = logging.getLogger(__name__)

READ_MS = 100  # an answer of the broker is awaited this long
RECORDS = 200  # of one answer
QUEUE_MOST = 1000  # windows read ahead of the holder in one partition, about 100 kB each at most; then reading pauses
IDLE_S = 0.2  # between two looks for partitions to follow
LAG_S = 1.0  # of the partitions held here; at more the standby waits
WAIT_S = 0.25


@dataclass(eq=False)
class Replica:
    """Signal state of one partition, up to the window before ``next_offset``.

    Attributes
    ----------
    beds : dict
        Bed stream to its monitor.
    documents : BedDocuments
        Read so far.
    waiting : int
        Windows that the holder has finished and this replica has not taken, as far as known.
    """

    number: int
    messages: MessageReader
    monitor_of: Callable[[Bed], BedMonitor]
    beds: dict[str, BedMonitor] = field(default_factory=dict)
    documents: BedDocuments = field(default_factory=BedDocuments)
    next_offset: int = -1
    waiting: int = 0
    changed: set[str] = field(default_factory=set)  # beds whose document is newer than their monitor's
    queue: deque[Incoming] = field(default_factory=deque)
    paused: bool = False
    unusable: set[str] = field(default_factory=set)  # beds whose monitor cannot take its document

    def monitors(self, documents: Mapping[str, Bed]) -> dict[str, BedMonitor]:
        """The monitors of the beds, each with the newest document of its bed."""
        found = {}
        for name in documents.keys() & self.beds.keys():
            try:
                self.beds[name].follow(documents[name])
                self.beds[name].check()
                found[name] = self.beds[name]
            except Exception as error:
                log.error("the standby of bed %s cannot be used", name, exc_info=error)
                self.unusable.add(name)
        return found

    def take_document(self, record: Incoming) -> None:
        """Take a record of the bed documents."""
        if self.documents.take(record):
            self.changed.add((record.key or b"").decode(errors="replace"))

    def take_window(self, message: Incoming) -> None:
        """Bring the signal state of one bed up; an exception is that bed's, whose state starts anew."""
        self.next_offset = message.offset + 1
        try:
            window = self.messages.window(message)
        except RejectedMessage:
            return  # the holder has dead-lettered it
        name = window.bed_stream
        try:
            bed = self.beds.get(name)
            if bed is None:
                fresh = new_bed(name, window.unit, window.bed, message.append_ns, window.patient)
                bed = self.beds[name] = self.monitor_of(self.documents.bed(name) or fresh)
            elif name in self.changed and (document := self.documents.bed(name)) is not None:
                bed.follow(document)
            self.changed.discard(name)
            bed.apply_window(window, message.offset, message.append_ns, replay=True)
        except Exception as error:
            log.warning("the standby of bed %s starts anew: %s", name, type(error).__name__)
            self.beds.pop(name, None)

    @property
    def placed(self) -> bool:
        """It is known with which window the replica begins."""
        return self.next_offset >= 0


class Holders(Protocol):
    """What is known of the workers that hold partitions (`agents.worker.beacons.Beacons`)."""

    def finished(self, partition: int) -> int:
        """The offset after the last finished window; -1 where it is not known."""

    def rejected(self, partition: int) -> frozenset[int]:
        """Offsets of windows on which workers ended twice."""


class Standby:
    """The replicas of a monitor.

    Parameters
    ----------
    settings, clock
        Of the worker.
    holders : Holders
        What the holders of the partitions have finished and rejected.
    lag_s : callable
        Lag of the partitions that this worker holds, seconds.
    state_replay : StateReplay
        Decides how many seconds of signal a replica begins with.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        holders: Holders,
        lag_s: Callable[[], float],
        state_replay: StateReplay,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._topics = Topics(settings.topic_prefix, settings.partitions)
        self._messages = MessageReader(settings)
        self._finished = holders.finished
        self._rejected = holders.rejected
        self._lag_s = lag_s
        self._state_replay = state_replay
        self.replicas: dict[int, Replica] = {}
        self._following: tuple[int, ...] = ()  # placed replicas that the consumer is assigned to
        self.encoder: EncoderInfo | None = None
        self.hurry = False  # before this worker has joined its group it has nothing else to do

    def watch(self, numbers: Collection[int]) -> None:
        """Keep replicas of these partitions, and of no others."""
        self.replicas = {n: self.replicas.get(n) or self.replica(n) for n in sorted(numbers)}

    def replica(self, number: int) -> Replica:
        """A new replica."""
        return Replica(number, self._messages, self._monitor_of)

    def _monitor_of(self, bed: Bed) -> BedMonitor:
        return BedMonitor(bed, self._settings, self._clock, encoder=self.encoder)

    def take(self, number: int) -> Replica | None:
        """The replica of a partition that this worker holds from now on; None where there is no usable one."""
        replica = self.replicas.pop(number, None)
        return replica if replica is not None and replica.placed else None

    @property
    def waiting(self) -> int:
        """Windows that the holders have finished and the replicas have not taken."""
        return sum(replica.waiting for replica in self.replicas.values())

    @property
    def ready(self) -> bool:
        """Every replica has caught up with the holder of its partition."""
        return all(r.placed and self._finished(r.number) <= r.next_offset for r in self.replicas.values())

    async def keep_following(self) -> None:
        """Runs for as long as the worker does; while Kafka does not answer the replicas stay as they are."""
        while True:
            try:
                async with plain_consumer(self._settings, fetch_ms=FOLLOW_MS) as consumer:
                    self._following = ()
                    while True:
                        await self._follow(consumer)
            except KafkaError as error:
                log.warning("the standby reads nothing: %s", error)
                await asyncio.sleep(IDLE_S)

    async def _follow(self, consumer: Any) -> None:
        await self._place_new()
        if self._following != tuple(n for n, r in self.replicas.items() if r.placed):
            self._assign(consumer)
        if not self._following:
            await asyncio.sleep(IDLE_S)
            return
        for at, records in (await consumer.getmany(timeout_ms=READ_MS, max_records=RECORDS)).items():
            replica = self.replicas.get(at.partition)
            if replica is None:
                continue
            if at.topic == self._topics.windows:
                replica.queue += [incoming(record) for record in records]
            else:
                for record in map(incoming, records):
                    replica.take_document(record)
        for number in self._following:
            if (replica := self.replicas.get(number)) is not None:
                await self.advance(replica)
                self._bound(consumer, replica)

    async def _place_new(self) -> None:
        """Decide with which window each new replica begins."""
        new = [r for r in self.replicas.values() if not r.placed and self._finished(r.number) >= 0]
        if not new:
            return
        async with plain_consumer(self._settings) as consumer:
            for replica in new:
                beds = len(await read_beds(consumer, self._topics.beds, replica.number, replica.documents))
                seconds = self._state_replay.seconds(max(1, beds) * len(self.replicas))
                finished = self._finished(replica.number)
                offset = await offset_before(consumer, self._topics.windows, replica.number, finished, seconds)
                replica.next_offset = offset

    def _assign(self, consumer: Any) -> None:
        """Read the logs of the placed replicas, each from where it stands."""
        placed = {n: r for n, r in self.replicas.items() if r.placed}
        consumer.assign([TopicPartition(t, n) for n in placed for t in (self._topics.windows, self._topics.beds)])
        for number, replica in placed.items():
            replica.queue.clear()
            replica.paused = False
            consumer.seek(TopicPartition(self._topics.windows, number), replica.next_offset)
            consumer.seek(TopicPartition(self._topics.beds, number), replica.documents.next_offset)
        self._following = tuple(placed)

    def _bound(self, consumer: Any, replica: Replica) -> None:
        """Read no further ahead of the holder than the bound."""
        at = TopicPartition(self._topics.windows, replica.number)
        if not replica.paused and len(replica.queue) > QUEUE_MOST:
            consumer.pause(at)
            replica.paused = True
        elif replica.paused and len(replica.queue) < QUEUE_MOST // 2:
            consumer.resume(at)
            replica.paused = False

    async def advance(self, replica: Replica) -> None:
        """Take the windows that the holder has finished."""
        loop = asyncio.get_running_loop()
        while replica.queue and replica.queue[0].offset < self._finished(replica.number):
            if self.replicas.get(replica.number) is not replica:
                return  # this worker holds the partition by now
            if self._lag_s() > LAG_S:
                await asyncio.sleep(WAIT_S)
            message, began = replica.queue.popleft(), loop.time()
            if message.offset in self._rejected(replica.number):
                replica.next_offset = message.offset + 1
            else:
                replica.take_window(message)
            replica.waiting = max(0, self._finished(replica.number) - replica.next_offset)
            backlog = replica.waiting > len(replica.beds)
            await asyncio.sleep(loop.time() - began if backlog and not self.hurry else 0)
