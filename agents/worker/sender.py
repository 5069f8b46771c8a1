"""Sends a worker's messages to Kafka: keyed by the bed stream, acknowledged by all in-sync replicas, in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from aiokafka import AIOKafkaProducer

from agents.clock import Clock
from agents.metrics import Metrics
from agents.settings import Settings
from agents.worker.bounded_batches import BATCH_ERROR, VALUE_BYTES
from agents.worker.quick_compression import compress_quickly
from streams.dead_letter import DEAD_LETTER_LIMIT, dead_letter
from streams.telemetry import Headers
from streams.topics import Topics

log = logging.getLogger(__name__)

LINGER_MS = 0  # an alarm waits for nobody
VOLATILE_LINGER_MS = 200  # vitals of many beds share a request: one each costs more than all else that is done for them
OVERHEAD = 1024  # of a record batch around its messages


@dataclass(frozen=True)
class Outgoing:
    """One message: topic, key (the bed stream), value, headers."""

    topic: str
    key: str
    value: bytes
    headers: Headers = ()


@dataclass(frozen=True)
class Incoming:
    """One message as it came from Kafka; ``append_ns`` is the broker's append time, UTC."""

    topic: str
    partition: int
    offset: int
    append_ns: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def place(self) -> str:
        """Topic, partition and offset, as reasons and logs name them."""
        return f"{self.topic}/{self.partition} offset {self.offset}"

    @property
    def batch_error(self) -> str:
        """Why the batch of this message, or its value, was rejected before it was read; empty for a message."""
        return next(((v or b"").decode(errors="replace") for name, v in self.headers if name == BATCH_ERROR), "")

    @property
    def whole_bytes(self) -> int | None:
        """Length of a value of which only the beginning was kept; None for a whole one."""
        found = next((value for name, value in self.headers if name == VALUE_BYTES), None)
        return int(found) if self.batch_error and found is not None and found.isdigit() else None


class Sender:
    """An idempotent producer, one for volatile messages, and the one place that rejects a message."""

    def __init__(self, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._dead_letter_topic = Topics(settings.topic_prefix, settings.partitions).dead_letter
        self._producer: Any = None
        self._volatile: Any = None

    async def start(self) -> Self:
        """Connect to Kafka."""
        compress_quickly()
        common = {
            "bootstrap_servers": self._settings.kafka.split(","),
            "compression_type": "lz4",
            **self._settings.kafka_security.client_options(),
        }
        self._producer = AIOKafkaProducer(
            acks="all",
            enable_idempotence=not self._settings.embedded,  # the embedded broker gives aiokafka no producer id
            linger_ms=LINGER_MS,
            max_request_size=DEAD_LETTER_LIMIT + OVERHEAD,
            **common,
        )
        self._volatile = AIOKafkaProducer(acks=1, linger_ms=VOLATILE_LINGER_MS, **common)
        await self._producer.start()
        await self._volatile.start()
        return self

    async def stop(self) -> None:
        """Wait for what is under way, then close."""
        for producer in (self._producer, self._volatile):
            if producer is not None:
                await producer.stop()

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Send all, and wait until Kafka has acknowledged all."""
        acknowledged = [await _queue(self._producer, message) for message in messages]
        if acknowledged:
            await asyncio.gather(*acknowledged)

    async def send_volatile(self, message: Outgoing) -> None:
        """Send with others, without waiting for the acknowledgement: it may be dropped, never late."""
        future = await _queue(self._volatile, message)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())  # retrieved, and ignored

    async def reject(self, message: Incoming, reason: str) -> None:
        """Log and count a message that cannot be read, and write it with the reason to the dead-letter topic."""
        log.warning("dead letter: %.1000s", reason)
        self._metrics.dead_letters.inc()
        if message.batch_error:
            self._metrics.rejected_unread.inc()
        letter = dead_letter(
            message.key,
            message.value,
            reason=reason,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            time_ns=self._clock.now_ns(),
            whole_bytes=message.whole_bytes,
        )
        await self._producer.send_and_wait(
            self._dead_letter_topic, value=letter.value, key=letter.key, headers=list(letter.headers)
        )


async def _queue(producer: Any, message: Outgoing) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = await producer.send(
        message.topic, value=message.value, key=message.key.encode(), headers=list(message.headers)
    )
    return future
