"""Reads ranges of Kafka logs and their offsets beside the app's own consumer.

The consumers here belong to no group, or to the worker's group only to ask for its committed offsets. They move no
offset of the app.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.settings import Settings
from agents.worker.bounded_batches import bound_batches
from agents.worker.sender import Incoming

POLL_MS = 200  # an answer of the broker is awaited this long before it is asked again
METADATA_AGE_MS = 3000  # aiokafka keeps asking an old leader for offsets until it asks who leads; it would after 5 min
FETCH_MS = 20
"""A broker holds an answer without records back this long, and answers nothing else on the connection meanwhile: with
aiokafka's 500 ms the restore of eight partitions at their ends would take seconds."""
FOLLOW_MS = 100  # the same of a consumer that follows a log for as long as its worker runs
BATCH = 500  # records of one poll: bounds the memory that a backlog takes (1 MB each at most)


@asynccontextmanager
async def plain_consumer(
    settings: Settings, group: str | None = None, *, fetch_ms: int = FETCH_MS
) -> AsyncIterator[Any]:
    """A consumer for reading beside the app; with ``group`` it can ask what that group has committed."""
    bound_batches()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka.split(","),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=BATCH,
        fetch_max_wait_ms=fetch_ms,
        metadata_max_age_ms=METADATA_AGE_MS,
        **settings.kafka_security.client_options(),
    )
    await consumer.start()
    await asyncio.sleep(0)  # aiokafka's own tasks must have begun: stopped before that, they cancel who stops them
    try:
        yield consumer
    finally:
        await consumer.stop()


async def read_range(
    consumer: Any, topic: str, partition: int, start: int, stop: int, *, whole_batches: bool = False
) -> AsyncIterator[list[Incoming]]:
    """The records of one partition from offset ``start`` to ``stop`` (exclusive), poll by poll.

    ``whole_batches``: also the records after ``stop`` in the batch that reaches it. The embedded broker names an end
    inside the last batch, so whoever reads to the end wants that batch whole.
    """
    at = TopicPartition(topic, partition)
    consumer.assign([at])
    begin = (await consumer.beginning_offsets([at]))[at]
    position = max(start, begin)
    consumer.seek(at, position)
    while position < stop:
        records = (await consumer.getmany(at, timeout_ms=POLL_MS)).get(at, [])
        if not records:
            # Compacted away, or control records at the end: the position is past them.
            position = await consumer.position(at)
            continue
        position = records[-1].offset + 1
        yield [incoming(record) for record in records if whole_batches or record.offset < stop]


def incoming(record: Any) -> Incoming:
    """A record of aiokafka as this program passes it on."""
    return Incoming(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        append_ns=record.timestamp * 1_000_000,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers or ()),
    )


async def committed_offsets(consumer: Any, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """What the consumer's group has committed of each partition; the log's beginning where it has not."""
    held = [TopicPartition(topic, partition) for topic, partition in places]
    if not held:
        return {}
    consumer.assign(held)
    begins = await consumer.beginning_offsets(held)
    out = {}
    for at in held:
        offset = await consumer.committed(at)
        out[at.topic, at.partition] = max(int(begins[at]), int(begins[at] if offset is None else offset))
    return out


async def log_end(consumer: Any, topic: str, partition: int, beyond: int) -> int:
    """The offset that the next record gets; exact where the broker names ``beyond`` as outside the log.

    The embedded broker names an end inside the last batch: that batch is read before a lower end is returned.
    """
    at = TopicPartition(topic, partition)
    end = int((await consumer.end_offsets([at]))[at])
    if beyond < end or end == 0:
        return end
    async for batch in read_range(consumer, topic, partition, end - 1, end, whole_batches=True):
        end = max(end, batch[-1].offset + 1) if batch else end
    return end


async def offset_before(consumer: Any, topic: str, partition: int, offset: int, seconds: float) -> int:
    """The first offset appended at most ``seconds`` before the record that lies before ``offset``."""
    at = TopicPartition(topic, partition)
    begin = int((await consumer.beginning_offsets([at]))[at])
    if offset <= begin:
        return begin
    last = None
    async for batch in read_range(consumer, topic, partition, offset - 1, offset):
        last = batch[-1] if batch else last
    if last is None:
        return begin
    since_ms = last.append_ns // 1_000_000 - round(seconds * 1000)
    found = (await consumer.offsets_for_times({at: since_ms})).get(at)
    return begin if found is None else max(begin, min(int(found.offset), offset))
