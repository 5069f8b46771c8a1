"""The Faust app of a worker: one place for the settings that were seen to work, and for what must never be changed.

at_least_once with idempotent readers, raw bytes, no Table anywhere on the way of the data: a Table in memory loses
messages after a clean restart under load, and exactly_once lost some on every broker that it was tried on.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Awaitable, Callable
from typing import Any

import aiokafka
import faust

from agents.settings import Settings
from agents.worker.bounded_batches import bound_batches
from agents.worker.log_reader import METADATA_AGE_MS
from streams.embedded import shorten_fetch_wait

FETCH_MIN_BYTES = 64 * 1024
FETCH_MAX_WAIT_MS = 100
"""A broker answers a worker's fetch with so many bytes, or after this time: messages of many beds share an answer. With
Faust's own values (one byte, 1.5 s) each window takes a request of its own, and a dozen turns of two event loops."""
REQUEST_TIMEOUT_S = 30.0  # Faust rejects a session longer than this; brokers answer in milliseconds or are gone


def faust_app(settings: Settings, worker: str) -> Any:
    """An app in the worker's consumer group, not started."""
    bound_batches()
    if settings.embedded:
        shorten_fetch_wait()
    else:
        share_fetches()
    return faust.App(
        settings.group(worker),
        broker=";".join(f"kafka://{address.strip()}" for address in settings.kafka.split(",")),
        broker_credentials=settings.kafka_security.faust_credentials(),
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.heartbeat_s,
        broker_rebalance_timeout=settings.rebalance_timeout_s,
        broker_request_timeout=max(REQUEST_TIMEOUT_S, settings.session_timeout_s),
        broker_commit_interval=settings.commit_interval_s,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=METADATA_AGE_MS,
        processing_guarantee="at_least_once",
        key_serializer="raw",
        value_serializer="raw",
        topic_allow_declare=False,  # `gem-bedside topics` makes them, with the right number of partitions
        topic_disable_leader=True,
        # Faust would wait for messages that a monitor has been given before it revokes the partitions; while they are
        # restored these messages wait, and the group would remove the monitor. It finishes its step itself.
        stream_wait_empty=worker != "monitor",
        web_enabled=False,
        worker_redirect_stdouts=False,
        datadir=tempfile.gettempdir(),
    )


def share_fetches() -> None:
    """Let the consumers of this process's Faust apps wait for more than one message; call it before an app starts."""
    consumer = aiokafka.AIOKafkaConsumer
    plain = consumer.__init__
    if getattr(plain, "min_bytes", None) == FETCH_MIN_BYTES:
        return

    @functools.wraps(plain)
    def init(self: Any, *topics: str, **options: Any) -> None:
        if "partition_assignment_strategy" in options:  # Faust's, not those that read beside the app
            options |= {"fetch_min_bytes": FETCH_MIN_BYTES, "fetch_max_wait_ms": FETCH_MAX_WAIT_MS}
        plain(self, *topics, **options)

    init.min_bytes = FETCH_MIN_BYTES  # type: ignore[attr-defined]
    consumer.__init__ = init


def filter_fetched(app: Any, keep: Callable[[dict[Any, list[Any]]], Awaitable[dict[Any, list[Any]]]]) -> None:
    """Let ``keep`` choose which fetched records the app's streams are given; again: nothing changes.

    Faust spends two tasks and a stream event on each record. One that is left out counts as acknowledged when a later
    one of its partition is; so ``keep`` must keep the last one. After a rebalance Faust fetches from the committed
    offset again: records of a fetch before it are dropped.
    """
    consumer = app.consumer
    plain = consumer._getmany
    if getattr(plain, "filtered", False):
        return

    async def getmany(active_partitions: Any, timeout: float) -> dict[Any, list[Any]]:
        records = await plain(active_partitions, timeout)
        generation = app.consumer_generation_id
        kept = await keep(records) if records else records
        return kept if app.consumer_generation_id == generation else {}

    async def add_gap(at: Any, first: int, next_record: int) -> None:
        committed = consumer._committed_offset[at]
        first = first if committed is None else max(first, committed + 1)
        if first < next_record:
            consumer._gap[at].addi(first, next_record)

    getmany.filtered = True  # type: ignore[attr-defined]
    consumer._getmany = getmany
    consumer._add_gap = add_gap  # Faust's own counts the next record too, which then holds up the commits


def raw_topic(app: Any, name: str) -> Any:
    """A topic whose keys and values stay the bytes that they are."""
    return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def consumer_of(app: Any) -> Any:
    """The app's aiokafka consumer, or None before it has started.

    Faust shows it in private attributes only; tests/agents/worker/test_lease.py holds them to the pinned versions.
    """
    thread = getattr(app.consumer, "_thread", None)
    return getattr(thread, "_consumer", None)
