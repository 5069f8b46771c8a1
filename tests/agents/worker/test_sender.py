"""Volatile messages share requests; the others wait for nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.protocol.produce import ProduceRequest
from kafka import KafkaConsumer, TopicPartition

from agents.clock import SystemClock
from agents.metrics import Metrics
from agents.settings import Settings
from agents.worker.sender import Outgoing, Sender
from streams.topics import Topics, ensure_topics
from tests.agents.stack import until
from tests.conftest import Broker

BEDS, SECONDS = 32, 0.4


def count_requests(producer: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The produce requests that a producer sends from now on."""
    sent, plain = [], producer.client.send

    async def send(node: int, request: Any, **more: Any) -> Any:
        if isinstance(request, ProduceRequest) or "Produce" in type(request).__name__:
            sent.append(request)
        return await plain(node, request, **more)

    monkeypatch.setattr(producer.client, "send", send)
    return sent


async def test_vitals_of_many_beds_share_requests_and_an_alert_between_them_does_not_wait(
    kafka: Broker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(kafka=kafka.address, topic_prefix=topic_prefix, partitions=2, embedded=kafka.embedded)
    topics = Topics(topic_prefix, 2)
    ensure_topics(kafka.address, topics)
    sender = await Sender(settings, SystemClock(), Metrics("monitor")).start()
    try:
        for topic in (topics.vitals, topics.alerts):  # until new topics have their leaders
            await sender.send([Outgoing(topic, f"icu/{k}", b"{}") for k in range(BEDS)])
        await sender._volatile.send_and_wait(topics.vitals, value=b"{}", key=b"icu/0")
        await sender._volatile.send_and_wait(topics.vitals, value=b"{}", key=b"icu/1")
        together = count_requests(sender._volatile, monkeypatch)
        alone = count_requests(sender._producer, monkeypatch)
        # When 32 beds write vitals one after the other within 0.4 s, and a bed one alert
        for k in range(BEDS):
            await sender.send_volatile(Outgoing(topics.vitals, f"icu/{k}", b'{"hr": 70}'))
            if k == BEDS // 2:
                await sender.send([Outgoing(topics.alerts, "icu/0", b"{}")])
            await asyncio.sleep(SECONDS / BEDS)
    finally:
        await sender.stop()

    # Then the alert had a request of its own, at once, and the vitals share few; none is missing
    assert len(alone) == 1
    assert len(together) <= BEDS / 3
    consumer = KafkaConsumer(bootstrap_servers=kafka.address, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topics.vitals, p) for p in range(2)])
    keys: set[bytes] = set()

    def all_read() -> bool:
        records = [record for batch in consumer.poll(200).values() for record in batch]
        keys.update(record.key for record in records if record.value != b"{}")
        return len(keys) == BEDS

    until(all_read, 20, "the vitals of all beds")
    consumer.close()
