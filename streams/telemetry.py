"""The telemetry producer: sends windows and other messages keyed by a bed stream to Kafka, with kafka-python.

The producer is idempotent, waits for all in-sync replicas, batches and compresses. The future of a message carries its
error, and `flush` raises it. A message over the broker's limit is an error that names both sizes.

>>> with TelemetryProducer("127.0.0.1:9092") as producer:       # doctest: +SKIP
...     producer.send(window)
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from kafka.partitioner import DefaultPartitioner

from streams.topics import MESSAGE_LIMIT, Topics, broker_limits, topic_partitions
from streams.wire import EcgWindow, encode_window

LINGER_MS = 5  # windows of many beds share a batch; adds at most 5 ms to the delay of an alarm
BATCH_BYTES = 262_144  # twenty 12-lead seconds
RECONNECT_MS = 1000  # kafka-python's 30 s would keep the windows of a broker that is back for as long
DELIVERY_TIMEOUT_S = 120.0  # longer than the restart of a broker; without it a message is never reported as lost
METADATA_TIMEOUT_S = 10.0  # a new topic appears within this; without it a send to a missing topic blocks forever
TOPIC_PROBE_S = 0.1
RECORD_OVERHEAD = 512  # bytes that a record batch may add around key, value and headers

Compression = Literal["lz4", "zstd"]
Headers = Sequence[tuple[str, bytes]]


class DeliveryError(RuntimeError):
    """A message did not reach Kafka; the text names topic, key, size and what to do."""


@dataclass(frozen=True)
class Delivered:
    """Place of a message in Kafka."""

    topic: str
    partition: int
    offset: int


class KeyedProducer:
    """Producer of bytes under a key; murmur2 of the key selects the partition.

    Parameters
    ----------
    bootstrap : str
        ``host:port,…``.
    limits : mapping, optional
        Largest message by topic name, in bytes; `MESSAGE_LIMIT` for others. A larger message is not sent.
    compression : {"lz4", "zstd"}
    **client_options
        Further settings of `kafka.KafkaProducer` (TLS, SASL, client_id).
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        limits: Mapping[str, int] | None = None,
        compression: Compression = "lz4",
        linger_ms: int = LINGER_MS,
        delivery_timeout_s: float = DELIVERY_TIMEOUT_S,
        **client_options: Any,
    ) -> None:
        self._limits = dict(limits or {})
        self._bootstrap, self._client_options = bootstrap, client_options
        self._wait_s = min(METADATA_TIMEOUT_S, delivery_timeout_s)
        self._seen_topics: set[str] = set()
        self._lock = threading.Lock()
        self._failures: list[DeliveryError] = []
        self.delivered = 0
        self.failed = 0
        options: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "acks": "all",
            "enable_idempotence": True,
            "compression_type": compression,
            "linger_ms": linger_ms,
            "reconnect_backoff_max_ms": RECONNECT_MS,
            "batch_size": BATCH_BYTES,
            "delivery_timeout_ms": round(delivery_timeout_s * 1000),
            "request_timeout_ms": min(30_000, max(1000, round(delivery_timeout_s * 1000) - linger_ms - 1)),
            "max_block_ms": round(self._wait_s * 1000),
            "max_request_size": max([MESSAGE_LIMIT, *self._limits.values()]) + RECORD_OVERHEAD,
            "partitioner": DefaultPartitioner(),
        }
        self._producer = KafkaProducer(**(options | client_options))

    def send_bytes(self, topic: str, key: str, value: bytes | None, headers: Headers = ()) -> Future[Delivered]:
        """Queue one message; the result of the future is its place, or a `DeliveryError`."""
        outcome: Future[Delivered] = Future()
        key_bytes = key.encode()
        size = message_size(key_bytes, value, headers)
        limit = self._limits.get(topic, MESSAGE_LIMIT)
        if size > limit:
            self._fail(outcome, _too_large(topic, key, size, f"the topic's limit of {limit} bytes"))
            return outcome
        try:
            self._wait_for_topic(topic)
            sent = self._producer.send(topic, value=value, key=key_bytes, headers=list(headers))
        except (KafkaError, AssertionError, ValueError) as e:
            self._fail(outcome, self._explained(e, topic, key, size))
            return outcome
        sent.add_callback(lambda at: self._succeed(outcome, Delivered(at.topic, at.partition, at.offset)))
        sent.add_errback(lambda e: self._fail(outcome, self._explained(e, topic, key, size)))
        return outcome

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until all messages are acknowledged; raises the first `DeliveryError` since the last flush."""
        try:
            self._producer.flush(timeout=timeout_s)
        except KafkaTimeoutError as e:
            raise DeliveryError(
                f"messages were not acknowledged within {timeout_s} s: {e}; is the broker up (`gem-bedside doctor`)?"
            ) from e
        with self._lock:
            failures, self._failures = self._failures, []
        if failures:
            more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
            raise DeliveryError(f"{failures[0]}{more}") from failures[0]

    def close(self, timeout_s: float = 30.0) -> None:
        """Flush, then close the connections; raises the `DeliveryError` of a failed message."""
        try:
            self.flush(timeout_s)
        finally:
            self._producer.close(timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:  # the exception of the ``with`` block is reported, not that of a message still in flight
            with contextlib.suppress(KafkaError):
                self._producer.close(timeout=0)

    def _wait_for_topic(self, topic: str) -> None:
        """Wait until a topic exists, with a request that creates nothing.

        kafka-python's own metadata request lets the broker create the topic (3.0.12 does not hand its setting on), with
        the broker's default partition count instead of the site's.
        """
        if topic in self._seen_topics:
            return
        deadline = time.monotonic() + self._wait_s
        while not topic_partitions(self._bootstrap, [topic], **security_of(self._client_options)):
            if time.monotonic() > deadline:
                raise KafkaTimeoutError(f"no topic {topic} within {self._wait_s:g} s")
            time.sleep(TOPIC_PROBE_S)
        self._seen_topics.add(topic)

    def _explained(self, error: BaseException, topic: str, key: str, size: int) -> DeliveryError:
        if isinstance(error, MessageSizeTooLargeError):
            limit = self._limits.get(topic, MESSAGE_LIMIT)
            return _too_large(
                topic, key, size, f"the broker's max.message.bytes, which is below the planned {limit} bytes"
            )
        text = f"message of {key} ({size} bytes) did not reach {topic}: {type(error).__name__}: {error}"
        if isinstance(error, KafkaTimeoutError):
            text += "; is the broker up, and does the topic exist (`gem-bedside topics`)?"
        return DeliveryError(text)

    def _succeed(self, outcome: Future[Delivered], at: Delivered) -> None:
        with self._lock:
            self.delivered += 1
        outcome.set_result(at)

    def _fail(self, outcome: Future[Delivered], error: DeliveryError) -> None:
        with self._lock:
            self.failed += 1
            self._failures.append(error)
        outcome.set_exception(error)


class TelemetryProducer(KeyedProducer):
    """Producer of windows on ``ecg.windows``, keyed by bed stream; the broker's own limit applies."""

    def __init__(self, bootstrap: str, topics: Topics | None = None, **options: Any) -> None:
        self.topics = topics or Topics()
        limits = {plan.name: plan.limit_bytes for plan in self.topics.plans}
        limits |= broker_limits(bootstrap, [self.topics.windows], **security_of(options))
        super().__init__(bootstrap, **({"limits": limits} | options))

    def send(self, window: EcgWindow) -> Future[Delivered]:
        """Queue one window."""
        return self.send_bytes(self.topics.windows, window.bed_stream, encode_window(window))


def security_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The client settings for TLS and SASL, which the admin client needs too."""
    return {name: value for name, value in options.items() if name.startswith(("security_", "ssl_", "sasl_"))}


def message_size(key: bytes | None, value: bytes | None, headers: Headers = ()) -> int:
    """Size of a message for the limits, in bytes before compression: key, value, headers and framing."""
    return len(key or b"") + len(value or b"") + sum(len(name.encode()) + len(data) + 10 for name, data in headers) + 80


def _too_large(topic: str, key: str, size: int, limit: str) -> DeliveryError:
    return DeliveryError(
        f"message of {key} has {size} bytes, over {limit} ({topic}): send fewer seconds, leads or samples per message"
    )
