"""The telemetry producer: windows arrive under their bed on its partition, and no error stays unseen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition

from deploy.local import LocalKafka
from streams.partition import partition_of
from streams.telemetry import DeliveryError, KeyedProducer, TelemetryProducer
from streams.topics import Topics, ensure_topics
from streams.wire import decode_window
from tests.conftest import Broker
from tests.streams.test_wire import window


def all_records(address: str, topic: str, partitions: int) -> list[object]:
    """Every record of a topic, by partition and offset."""
    consumer = KafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False)
    places = [TopicPartition(topic, p) for p in range(partitions)]
    consumer.assign(places)
    left = {place: end for place, end in consumer.end_offsets(places).items() if end}
    records: list[object] = []
    while left:
        for place, batch in consumer.poll(timeout_ms=500).items():
            records += batch
            if consumer.position(place) >= left.get(place, 0):
                left.pop(place, None)
    consumer.close()
    return records


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_windows_arrive_in_order_under_their_bed(kafka: Broker, topic_prefix: str, compression: str) -> None:
    topics = Topics(topic_prefix, partitions=4)
    ensure_topics(kafka.address, topics)
    beds = [f"icu-3/{n:02d}" for n in range(6)]
    with TelemetryProducer(kafka.address, topics, compression=compression) as producer:
        sent = [producer.send(window(bed_stream=bed, sequence=k)) for k in range(20) for bed in beds]
        producer.flush()
        assert producer.delivered == 120
        assert sent[0].result().partition == partition_of(b"icu-3/00", 4)
    seen: dict[str, list[int]] = {}
    for record in all_records(kafka.address, topics.windows, 4):
        got = decode_window(
            record.value,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            n_partitions=4,
        )
        seen.setdefault(got.bed_stream, []).append(got.sequence)
    assert seen == {bed: list(range(20)) for bed in beds}


@pytest.mark.kafka
def test_a_topic_that_is_not_there_is_an_error_that_says_what_to_do(apache_kafka: Broker, topic_prefix: str) -> None:
    producer = TelemetryProducer(apache_kafka.address, Topics(topic_prefix), delivery_timeout_s=1.5)
    outcome = producer.send(window())
    with pytest.raises(DeliveryError, match=r"`gem-bedside topics`"):
        outcome.result(timeout=10)
    with pytest.raises(DeliveryError):
        producer.close()


def test_a_broker_that_goes_away_is_an_error_of_each_message(tmp_path: Path) -> None:
    topics = Topics(partitions=1)
    with LocalKafka(tmp_path) as server:
        ensure_topics(server.address, topics)
        producer = KeyedProducer(server.address, delivery_timeout_s=1.5)
        assert producer.send_bytes(topics.windows, "icu-3/07", b"1").result(timeout=5).offset == 0
        server.kill()
        lost = [producer.send_bytes(topics.windows, "icu-3/07", os.urandom(10)) for _ in range(3)]
        for outcome in lost:
            with pytest.raises(DeliveryError, match=r"message of icu-3/07 \(\d+ bytes\) did not reach ecg\.windows"):
                outcome.result(timeout=20)
        with pytest.raises(DeliveryError, match="and 2 more"):
            producer.flush(1.0)
        assert (producer.delivered, producer.failed) == (1, 3)
        producer.close(1.0)
