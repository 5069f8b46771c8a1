"""Sends a worker's messages to Kafka: keyed by the bed stream, acknowledged by all in-sync replicas, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Self

from aiokafka import AIOKafkaProducer

from agents.clock import Clock
from agents.metrics import Metrics
from agents.settings import Settings
from agents.worker.dead_letters import BATCH_BYTES, DeadLetterWriter
from agents.worker.message import Incoming, Outgoing
from agents.worker.quick_compression import compress_quickly
from streams.dead_letter import DEAD_LETTER_LIMIT
from streams.topics import Topics

__all__ = ["Incoming", "Outgoing", "Sender"]

LINGER_MS = 0  # an alarm waits for nobody
VOLATILE_LINGER_MS = 200  # vitals of many beds share a request: one each costs more than all else that is done for them
OVERHEAD = 1024  # of a record batch around its messages


class Sender:
    """An idempotent producer, one for volatile messages, one for dead letters; the one place that rejects a message.

    Parameters
    ----------
    settings, clock, metrics
        Of the worker.
    fail : callable
        Called with the exception of a dead letter that Kafka did not take.

    Attributes
    ----------
    dead_letters : DeadLetterWriter
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        fail: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        self._settings = settings
        topic = Topics(settings.topic_prefix, settings.partitions).dead_letter
        self.dead_letters = DeadLetterWriter(topic, settings.partitions, clock, metrics, fail)
        self._producer: Any = None
        self._volatile: Any = None
        self._letters: Any = None

    async def start(self) -> Self:
        """Connect to Kafka."""
        compress_quickly()
        common = {
            "bootstrap_servers": self._settings.kafka.split(","),
            "compression_type": "lz4",
            **self._settings.kafka_security.client_options(),
        }
        safe = {
            "acks": "all",
            "enable_idempotence": not self._settings.embedded,  # the embedded broker gives aiokafka no producer id
            "linger_ms": LINGER_MS,
            "max_request_size": DEAD_LETTER_LIMIT + OVERHEAD,
        }
        self._producer = AIOKafkaProducer(**safe, **common)
        self._letters = AIOKafkaProducer(**safe, max_batch_size=BATCH_BYTES, **common)
        self._volatile = AIOKafkaProducer(acks=1, linger_ms=VOLATILE_LINGER_MS, **common)
        for producer in (self._producer, self._letters, self._volatile):
            await producer.start()
        self.dead_letters.start(self._letters)
        return self

    async def stop(self) -> None:
        """Wait for what is under way, then close."""
        for producer in (self._producer, self._letters, self._volatile):
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

    async def reject(self, message: Incoming, reason: str, *, wait: bool = True) -> None:
        """Log and count a message that cannot be read, and write it with the reason to the dead-letter topic.

        Returns when the letter is acknowledged; without ``wait`` before that, and `dead_letters` says which offset of
        the partition must not be committed yet.
        """
        await (self.dead_letters.write if wait else self.dead_letters.put)(message, reason)


async def _queue(producer: Any, message: Outgoing) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = await producer.send(
        message.topic, value=message.value, key=message.key.encode(), headers=list(message.headers)
    )
    return future
