"""Embedded mode: the work-around for Tansu's fetches is off unless asked for, and does what it is for."""

from __future__ import annotations

import asyncio
import time

import aiokafka
import pytest

from streams.embedded import is_embedded, shorten_fetch_wait
from streams.topics import Topics, ensure_topics
from tests.conftest import Broker


@pytest.mark.parametrize(("value", "embedded"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)])
def test_embedded_mode_is_a_setting(value: str, embedded: bool) -> None:
    assert is_embedded({"GEM_BEDSIDE_EMBEDDED": value}) is embedded
    assert not is_embedded({})


async def test_a_message_reaches_a_waiting_consumer_at_once(
    tansu: Broker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = Topics(topic_prefix, partitions=1)
    ensure_topics(tansu.address, topics)
    monkeypatch.setattr(aiokafka.AIOKafkaConsumer, "__init__", aiokafka.AIOKafkaConsumer.__init__)  # undone afterwards
    shorten_fetch_wait()
    shorten_fetch_wait()  # twice is as good as once
    waits = []
    async with (
        aiokafka.AIOKafkaProducer(bootstrap_servers=tansu.address) as producer,
        aiokafka.AIOKafkaConsumer(bootstrap_servers=tansu.address, fetch_max_wait_ms=1500) as consumer,
    ):
        place = aiokafka.TopicPartition(topics.windows, 0)
        consumer.assign([place])
        await consumer.seek_to_end(place)
        for k in range(5):
            reading = asyncio.create_task(consumer.getone())
            await asyncio.sleep(0.15 + 0.01 * k)  # it waits for a message that is not there yet
            began = time.monotonic()
            await producer.send_and_wait(topics.windows, b"window")
            await reading
            waits.append(time.monotonic() - began)
    assert sorted(waits)[2] < 0.3  # with Faust's own 1.5 s the median is above 0.7 s
