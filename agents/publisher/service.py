"""The publisher worker: the bridge between Kafka, the system of record, and Redis, where stations read and act.

Output: alerts, beds, strips and vitals, each with its offset in one script call (`streams.alert_bus`). It continues
from the offsets in Redis, not from those of its group: a Redis that was rolled back is filled again. Input: people's
actions, which leave the inbox when Kafka has them. While Redis is not reachable it waits. The numbers are those of
docs/delivery.md, "Redis".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any

from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from agents.clock import Clock
from agents.settings import Settings
from agents.worker.log_reader import committed_offsets, log_end, plain_consumer, read_range
from agents.worker.sender import Incoming, Outgoing
from agents.worker.worker import Worker
from streams.action_inbox import ActionInbox, InboxItem
from streams.alert import Alert
from streams.alert_bus import (
    AlertBus,
    Entry,
    PublishOutcome,
    RolledBack,
    alert_entry,
    bed_entry,
    place_of,
    strip_entry,
    vitals_entry,
)
from streams.bed import Bed, Vitals
from streams.document import wrong_fields

log = logging.getLogger(__name__)

# Errors of a Redis that takes no writes for now; another one is about the document, which would hold back all others.
# The client gives some of them a class of their own and takes the word out of their text.
OF_REDIS = ("MISCONF", "BUSY", "NOREPLICAS")
CLASSES_OF_REDIS = (
    OutOfMemoryError,
    ReadOnlyError,
    MasterDownError,
    ClusterDownError,
    TryAgainError,
    NoPermissionError,
    NoScriptError,
)
REASON_LONGEST = 300  # characters of an exception's text in a dead letter

WAIT_S = 0.5  # before Redis is asked again; its fail-over takes seconds
SOCKET_S = (
    5.0  # without an answer for this long Redis is lost: without the limit a cut connection blocks the worker forever
)
VITALS_S = 5.0  # vitals older than this are dropped: a late trace shows a wrong present
VITALS_BATCH_S = 0.05  # vitals that come within this share a round trip
VITALS_MOST = 4096  # that wait; the oldest are dropped first
REFILL_BATCH = 200  # entries of one round trip


class Publisher(Worker):
    """The publisher worker."""

    name = "publisher"

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self.redis = settings.redis_access.async_client(socket_timeout=SOCKET_S, socket_connect_timeout=SOCKET_S)
        self.bus = AlertBus(self.redis, settings.site)
        self.inbox = ActionInbox(self.redis, settings.site, f"{socket.gethostname()}-{os.getpid()}")
        topics = self.topics
        self._record = (topics.alerts, topics.beds, topics.strips)  # what Redis is filled up with again
        self._filled = asyncio.Event()
        self._filling = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._vitals: deque[Incoming] = deque(maxlen=VITALS_MOST)
        self._vitals_wait = asyncio.Event()
        for topic in self._record:
            self.agent(topic, self._publish)
        self.agent(topics.vitals, self._queue_vitals)
        self.app.on_partitions_assigned.connect(self._assigned)
        self.app.on_partitions_revoked.connect(self._revoked)

    async def start(self) -> None:
        """Start the app, the publishing of vitals and the forwarding of actions."""
        await super().start()
        self.run_forever(self._publish_vitals_forever(), "the publishing of vitals")
        self.run_forever(self._forward_actions(), "the inbox of actions")

    async def stop(self) -> None:
        """Stop the app, then close Redis."""
        if self._task is not None:
            self._task.cancel()
        await super().stop()
        await self.redis.aclose()

    def unready(self) -> str:
        """Why alerts do not reach Redis now."""
        return "" if self._filled.is_set() else "no partitions are assigned, or Redis is not filled up yet"

    # ---- Kafka to Redis ------------------------------------------------------------------------------------------

    async def _revoked(self, _app: Any, revoked: set[Any], **_: Any) -> None:
        self._filled.clear()
        if self._task is not None:
            self._task.cancel()

    async def _assigned(self, _app: Any, assigned: set[Any], **_: Any) -> None:
        places = [(at.topic, at.partition) for at in assigned]
        async with plain_consumer(self.settings, self.settings.group(self.name)) as consumer:
            committed = await committed_offsets(consumer, places)
        self.hold(committed)
        self._task = asyncio.create_task(self._begin(committed))

    async def _begin(self, committed: dict[tuple[str, int], int]) -> None:
        """Fill Redis up to the committed offsets of the group, before newer messages are published (Redis 1)."""
        try:
            await self._fill(committed)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.fail(error)
            return
        self._filled.set()
        self.ready.set()

    async def _publish(self, message: Incoming) -> None:
        await self._filled.wait()
        await self._publish_entries([message])

    async def _queue_vitals(self, message: Incoming) -> None:
        """Vitals are published with those of other beds; the message is done, as vitals may be dropped."""
        self._vitals.append(message)
        self._vitals_wait.set()

    async def _publish_vitals_forever(self) -> None:
        while True:
            await self._vitals_wait.wait()
            await asyncio.sleep(VITALS_BATCH_S)
            self._vitals_wait.clear()
            while self._vitals:
                batch = [self._vitals.popleft() for _ in range(min(REFILL_BATCH, len(self._vitals)))]
                await self._publish_entries(batch)

    async def _publish_entries(self, messages: Sequence[Incoming]) -> None:
        """Publish messages of one topic, in one round trip (Redis 2); one that Redis refuses is dead-lettered."""
        items = [(m, entry) for m in messages if self._in_time(m) and (entry := await self._entry(m)) is not None]
        while items := [item for item in items if self._in_time(item[0])]:
            await self._filled.wait()
            try:
                outcomes = await self.bus.publish_each([entry for _, entry in items])
            except RolledBack as rollback:
                # Nothing newer may be published before Redis is full again: it would hide what is missing before it.
                self._filled.clear()
                log.warning("%s", rollback)
                await self._fill(dict(self._positions))  # Redis 3
                self._filled.set()
            except (RedisError, OSError) as error:
                await self._wait(error)  # Redis 4
            else:
                items = await self._after(items, outcomes)

    async def _after(
        self, items: Sequence[tuple[Incoming, Entry]], outcomes: Sequence[PublishOutcome | ResponseError]
    ) -> list[tuple[Incoming, Entry]]:
        """Count what was published, dead-letter what Redis refuses; returned: what Redis takes later."""
        away: ResponseError | None = None
        later = []
        for item, outcome in zip(items, outcomes, strict=True):
            if not isinstance(outcome, ResponseError):
                self._count(*item)
            elif _of_redis(outcome):
                away = outcome
                later.append(item)
            else:
                await self.sender.reject(item[0], f"Redis refuses it: …{str(outcome)[-200:]} ({item[0].place})")
        if away is not None:
            await self._wait(away)
        return later

    def _in_time(self, message: Incoming) -> bool:
        """False for vitals that are too old to be shown."""
        return message.topic != self.topics.vitals or self.clock.now_ns() - message.append_ns <= VITALS_S * 1e9

    def _count(self, message: Incoming, entry: Entry) -> None:
        self.metrics.published.labels(entry.kind).inc()
        if entry.kind == "alert":
            alert = Alert.from_json(message.value or b"")
            self.metrics.reached_redis(alert, message.append_ns, self.clock.now_ns())

    async def _fill(self, up_to: dict[tuple[str, int], int]) -> None:
        """Publish what Redis does not have of the record, up to these offsets (exclusive)."""
        async with self._filling:
            applied = await self._applied()
            async with plain_consumer(self.settings) as consumer:
                for topic, partition in up_to:
                    await self._forget_replaced(consumer, topic, partition, applied)
                self.bus.expect(applied)
                for (topic, partition), stop in up_to.items():
                    if topic not in self._record:
                        continue
                    start = applied.get(place_of(topic, partition), -1) + 1
                    if start >= stop:
                        continue
                    log.info("Redis is filled with %s/%d from offset %d to %d", topic, partition, start, stop - 1)
                    async for batch in read_range(consumer, topic, partition, start, stop):
                        entries = [entry for message in batch if (entry := await self._entry(message)) is not None]
                        for k in range(0, len(entries), REFILL_BATCH):
                            await self._publish_all(entries[k : k + REFILL_BATCH])

    async def _forget_replaced(self, consumer: Any, topic: str, partition: int, applied: dict[str, int]) -> None:
        """Redis is ahead of a log: the log was replaced by a new one, whose messages would all count as applied."""
        place = place_of(topic, partition)
        known = applied.get(place, -1)
        if known < 0:
            return
        end = await log_end(consumer, topic, partition, beyond=known)
        if known < end:
            return
        log.warning("Redis has applied %s up to offset %d, but the log ends at %d: a new log begins", place, known, end)
        while True:
            try:
                await self.bus.reset(place)
                break
            except (RedisError, OSError) as error:
                await self._wait(error)
        del applied[place]

    async def _publish_all(self, entries: list[Entry]) -> None:
        while True:
            try:
                await self.bus.publish(entries)
                self.progressed()
                return
            except ResponseError as error:
                if not _of_redis(error):
                    if len(entries) == 1:  # it was dead-lettered when it was first published
                        log.error("Redis refuses an entry of %s: %s", entries[0].place, error)
                        return
                    for entry in entries:
                        await self._publish_all([entry])
                    return
                await self._wait(error)
            except (RedisError, OSError) as error:
                await self._wait(error)

    async def _applied(self) -> dict[str, int]:
        while True:
            try:
                return await self.bus.applied_offsets()
            except (RedisError, OSError) as error:
                await self._wait(error)

    async def _wait(self, error: Exception) -> None:
        self.metrics.redis_waits.inc()
        log.warning("Redis is away (%s): waiting", error)
        self.progressed()  # it waits for another, it is not stuck itself
        await asyncio.sleep(WAIT_S)

    async def _entry(self, message: Incoming) -> Entry | None:
        """What a message is in Redis; None, and a dead letter, where it cannot be read."""
        topics, place, value = self.topics, place_of(message.topic, message.partition), message.value or b""
        keys = self.bus.keys
        try:
            if message.batch_error:
                raise ValueError(message.batch_error)
            if message.topic == topics.alerts:
                alert = Alert.from_json(value)
                return alert_entry(keys, alert, place, message.offset, alert.generation)
            if message.topic == topics.beds:
                if message.value is None:
                    return None
                bed = Bed.from_json(value)
                return bed_entry(keys, bed, place, message.offset, bed.generation)
            if message.topic == topics.vitals:
                return vitals_entry(keys, Vitals.from_json(value), place, message.offset)
            alert_id = dict(message.headers).get("alert_id")
            if alert_id is None:
                raise ValueError("header alert_id is missing")
            return strip_entry(keys, alert_id.decode(), value, place, message.offset, message.append_ns // 1_000_000)
        except Exception as error:  # one document's failure is that document's
            reason = wrong_fields(error)[:REASON_LONGEST]
            await self.sender.reject(message, f"{reason} ({place} offset {message.offset})")
            return None

    # ---- Redis to Kafka ------------------------------------------------------------------------------------------

    async def _forward_actions(self) -> None:
        while True:
            try:
                items = await self.inbox.read()
            except (RedisError, OSError) as error:
                await self._wait(error)
                continue
            for item in items:
                await self._forward(item)
                with contextlib.suppress(RedisError, OSError):  # it is read again then, and its id is applied once
                    await self.inbox.ack(item)

    async def _forward(self, item: InboxItem) -> None:
        if item.action is None:
            entry = Incoming(
                topic=self.inbox.stream,
                partition=0,
                offset=0,
                append_ns=self.clock.now_ns(),
                key=None,
                value=item.raw,
            )
            await self.sender.reject(entry, f"{item.reason} (inbox entry {item.entry_id})")
            return
        await self.sender.send([Outgoing(self.topics.actions, item.action.bed_stream, item.action.to_json())])


def _of_redis(error: ResponseError) -> bool:
    return isinstance(error, CLASSES_OF_REDIS) or any(f"{word} " in str(error) for word in OF_REDIS)
