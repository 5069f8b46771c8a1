"""A monitor's start reads every bed document, also those of a last batch whose end the broker names too low."""

from __future__ import annotations

from agents.monitor.restore import read_beds
from agents.settings import Settings
from agents.worker.log_reader import plain_consumer
from streams.telemetry import KeyedProducer
from streams.topics import Topics, ensure_topics
from tests.conftest import Broker
from tests.streams.documents import bed


async def test_beds_that_were_written_in_one_batch_are_all_read(kafka: Broker, topic_prefix: str) -> None:
    topics = Topics(topic_prefix, partitions=1)
    ensure_topics(kafka.address, topics)
    with KeyedProducer(kafka.address, linger_ms=500) as producer:  # all in one batch
        for n in range(20):
            name = f"icu-3/{n:02d}"
            producer.send_bytes(topics.beds, name, bed(bed_stream=name, bed=f"{n:02d}").to_json())
    settings = Settings(kafka=kafka.address, topic_prefix=topic_prefix, partitions=1)
    async with plain_consumer(settings) as consumer:
        beds = await read_beds(consumer, topics.beds, 0)
    assert sorted(beds) == [f"icu-3/{n:02d}" for n in range(20)]
