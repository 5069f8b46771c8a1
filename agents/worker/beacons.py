"""Beacons: the workers of a group see each other stop, and remove a stopped one from the group.

Kafka gives the partitions of a worker that was killed or stopped away when its session ends: 6 s at least, by the
brokers' default. Each worker therefore sends a beacon to ``ecg.workers`` several times a second. A worker that misses
the beacons of a peer (`agents.worker.peer_watch`) sends Kafka the peer's request to leave the group: the partitions are
assigned anew at once, in a new generation, which ends the right of the removed worker to write
(`agents.worker.lease`). The numbers are those of docs/delivery.md, "Takeover".

Beacons are sent and read by a thread of their own. In the worker's event loop they would be late on a machine without
enough computing time, where a removal makes everything worse. A loop that stands still sends none.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, NoError, for_code
from aiokafka.protocol.group import LeaveGroupRequest

from agents.clock import Clock
from agents.settings import Settings
from agents.worker.faust_app import consumer_of
from agents.worker.log_reader import FOLLOW_MS, plain_consumer
from agents.worker.peer_watch import BEACONS, PeerWatch
from streams.beacon import Beacon
from streams.bed import SYSTEM
from streams.partition import partition_of
from streams.topics import Topics

log = logging.getLogger(__name__)

READ_MS = 100  # an answer of the broker is awaited this long
REQUEST_S = 2.0  # without it a coordinator that does not answer would keep this worker from reading beacons
NEWER_S = 1.0  # two beacons and their reading: without it a worker that went on after a pause would not know them
LOOP_S = 5.0  # a loop that has not turned for this long judges no bed: others do so better
RETRY_S = 0.5
RECENT = 64  # beacons read at the start: those of peers that are there


class Beacons:
    """Sends the beacons of one worker and reads those of its group.

    Parameters
    ----------
    settings, clock, app
        Of the worker.
    group : str
        Its consumer group.
    acknowledged : callable
        Called with the time (monotonic, s) at which a beacon was sent that Kafka has acknowledged.

    Attributes
    ----------
    clock_skew_s : float or None
        This machine's clock less the brokers', as far as a beacon shows it.
    """

    def __init__(
        self, settings: Settings, clock: Clock, app: Any, group: str, acknowledged: Callable[[float], None]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._app = app
        self._group = group
        self._acknowledged = acknowledged
        self._topic = Topics(settings.topic_prefix, settings.partitions).workers
        self._watch = PeerWatch(settings.stopped_after_s)
        self._started = False
        self._own: set[str] = set()  # ids of this process: it has another one after each time it left the group
        self._finished: dict[int, int] = {}  # of this worker
        self._rejected: dict[int, list[int]] = {}
        self._turned_s = time.monotonic()  # when its loop said so
        self._finished_by_group: dict[int, tuple[int, int]] = {}  # partition: generation, offset
        self._rejected_by_group: dict[int, frozenset[int]] = {}
        self._generation = -1  # the newest one of the group
        self._peer_beacon_s = -1e9  # monotonic: the last beacon of a peer
        self._read = threading.Event()  # the beacons that were there at the start
        self._stop = threading.Event()
        self._removed = 0
        self.clock_skew_s: float | None = None

    # ---- the worker's loop -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=lambda: asyncio.run(self._run()), name="beacons", daemon=True).start()

    def joined(self) -> None:
        """The app is started. Before that nobody else may look at it: Faust makes its parts for the loop that asks."""
        self._started = True

    def stop(self) -> None:
        """Send no more beacons."""
        self._stop.set()

    async def keep_turning(
        self, finished: Callable[[], Mapping[int, int]], rejected: Callable[[], Mapping[int, list[int]]]
    ) -> None:
        """Show that the loop turns, and what it has finished; runs for as long as the worker does."""
        while True:
            self._rejected = {partition: list(offsets) for partition, offsets in rejected().items()}
            self._finished, self._turned_s = dict(finished()), time.monotonic()
            await asyncio.sleep(self._settings.stopped_after_s / BEACONS / 2)

    @property
    def peer_beacon_recent(self) -> bool:
        """A peer has sent a beacon within the time after which it counts as stopped."""
        return time.monotonic() - self._peer_beacon_s <= self._settings.stopped_after_s

    def finished(self, partition: int) -> int:
        """The offset below which the group has finished all windows of a partition; -1 where nobody said so."""
        return self._finished_by_group.get(partition, (-1, -1))[1]

    def rejected(self, partition: int) -> frozenset[int]:
        """Offsets of windows of a partition on which workers ended twice, as far as known."""
        return self._rejected_by_group.get(partition, frozenset())

    async def held_by_others(self, generation: int) -> bool:
        """A peer holds its partitions in a newer generation than this one: waits for its beacons, for a second."""
        until = time.monotonic() + NEWER_S
        while self._generation <= generation and time.monotonic() < until:
            await asyncio.sleep(READ_MS / 1000)
        return self._generation > generation

    async def peers_at_start(self) -> bool:
        """Peers send beacons, before this worker is a member itself."""
        until = time.monotonic() + self._settings.stopped_after_s
        while not self._read.is_set() and time.monotonic() < until:
            await asyncio.sleep(READ_MS / 1000)
        return self.peer_beacon_recent

    def take_removed(self) -> int:
        """Peers that this worker removed from the group since the last call."""
        removed, self._removed = self._removed, 0
        return removed

    # ---- the thread ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        await asyncio.gather(self._again(self._keep_sending), self._again(self._keep_receiving))

    async def _again(self, work: Callable[[], Any]) -> None:
        """Do the work, again where Kafka does not answer."""
        while not self._stop.is_set():
            try:
                await work()
            except (KafkaError, OSError) as error:
                log.warning("no beacons: %s", error or type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _keep_sending(self) -> None:
        """Send a beacon several times within the time after which a peer has stopped.

        One that is not acknowledged is waited for: beacons never arrive in a burst.
        """
        every_s = self._settings.stopped_after_s / BEACONS
        servers, login = self._settings.kafka.split(","), self._settings.kafka_security.client_options()
        async with AIOKafkaProducer(bootstrap_servers=servers, acks="all", **login) as producer:
            while not self._stop.is_set():
                began = time.monotonic()
                beacon = self._beacon()
                if beacon is not None and began - self._turned_s <= LOOP_S:  # takeover 1
                    sent_ns = self._clock.now_ns()
                    place = await producer.send_and_wait(self._topic, beacon.to_json(), SYSTEM.encode())
                    self._acknowledged(began)
                    self._compare_clocks(sent_ns, self._clock.now_ns(), place.timestamp)
                await asyncio.sleep(max(0.0, began + every_s - time.monotonic()))

    async def _keep_receiving(self) -> None:
        """Read the beacons, and remove peers that have stopped."""
        at = TopicPartition(self._topic, partition_of(SYSTEM.encode(), self._settings.partitions))
        async with plain_consumer(self._settings, self._group, fetch_ms=FOLLOW_MS) as consumer:
            consumer.assign([at])
            begin, end = (await consumer.beginning_offsets([at]))[at], (await consumer.end_offsets([at]))[at]
            consumer.seek(at, max(begin, end - RECENT))
            while not self._stop.is_set():
                for record in (await consumer.getmany(at, timeout_ms=READ_MS)).get(at, []):
                    for peer in self._take(record.value, record.timestamp * 1_000_000):  # takeover 2
                        await self._remove(consumer, peer)
                if await consumer.position(at) >= end:
                    self._read.set()

    def _compare_clocks(self, sent_ns: int, now_ns: int, append_ms: int | None) -> None:
        """Clock skew: no less than the time by which the broker's append time lies outside sending and answer."""
        if append_ms is not None and append_ms > 0:
            append_s, sent_s, now_s = append_ms / 1e3, sent_ns / 1e9, now_ns / 1e9
            self.clock_skew_s = min(now_s, max(sent_s, append_s)) - append_s

    def _take(self, value: bytes | None, append_ns: int) -> list[str]:
        """Take one beacon; the peers that have stopped."""
        try:
            beacon = Beacon.from_json(value or b"")
        except ValueError as error:
            log.warning("no beacon: %.200s", error)
            return []
        if beacon.group != self._group:
            return []
        own = beacon.member in self._own
        self._generation = max(self._generation, beacon.generation)
        for partition, offsets in beacon.rejected.items():  # first: a standby goes on up to what is finished
            self._rejected_by_group[partition] = self.rejected(partition) | frozenset(offsets)
        for partition, offset in beacon.finished.items():
            known = self._finished_by_group.get(partition, (-1, -1))
            self._finished_by_group[partition] = max(known, (beacon.generation, offset))
        if not own and self._clock.now_ns() - append_ns < self._settings.stopped_after_s * 1e9:
            self._peer_beacon_s = time.monotonic()
        return self._watch.receive(beacon.member, append_ns, own=own)

    def _beacon(self) -> Beacon | None:
        """The next beacon; None while this worker is no member of its group."""
        coordinator = self._coordinator
        member = str(getattr(coordinator, "member_id", "") or "")
        if not member:
            return None
        self._own.add(member)
        generation = int(getattr(self._app, "consumer_generation_id", -1))
        return Beacon(
            group=self._group, member=member, generation=generation, finished=self._finished, rejected=self._rejected
        )

    async def _remove(self, consumer: Any, peer: str) -> None:
        """Send the request of a stopped peer to leave the group; Kafka knows nothing of one that was removed."""

        async def removed() -> bool:
            await consumer._coordinator.ensure_coordinator_known()
            answer = await consumer._coordinator._send_req(LeaveGroupRequest(self._group, peer))
            return for_code(answer.error_code) is NoError

        try:
            if await asyncio.wait_for(removed(), REQUEST_S):  # takeover 3
                self._removed += 1
                log.warning("%s sends no beacons any more: it is removed from the group", peer)
                self._rejoin()
        except (KafkaError, TimeoutError) as error:
            log.warning("%s has stopped and cannot be removed from the group: %s", peer, error or type(error).__name__)

    def _rejoin(self) -> None:
        """Join the group again at once, not with the next heartbeat."""
        if self._coordinator is not None:
            self._app.consumer._thread.thread_loop.call_soon_threadsafe(self._coordinator.request_rejoin)

    @property
    def _coordinator(self) -> Any:
        return getattr(consumer_of(self._app), "_coordinator", None) if self._started else None
