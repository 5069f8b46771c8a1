"""Fault 29: a message that is too large. Over the limit it is the producer's error; just under it, a dead letter."""

from __future__ import annotations

import os

import numpy as np
import pytest

from streams.telemetry import DeliveryError, KeyedProducer, TelemetryProducer
from streams.topics import MESSAGE_LIMIT, Topics, ensure_topics
from tests.conftest import Broker, MonitoredSite
from tests.faults.broken_messages import dead_letters_after, fresh_bed
from tests.streams.test_wire import window


def test_a_message_over_the_limit_is_an_error_that_names_both_sizes(kafka: Broker, topic_prefix: str) -> None:
    topics = Topics(topic_prefix, partitions=1)
    ensure_topics(kafka.address, topics)
    leads = tuple(f"R{k}" for k in range(30))
    noise = np.random.default_rng(1).integers(-3000, 3000, (30, 20_000)).astype(np.int16)  # 10 s at 2 kHz: 1.2 MB
    large = window(leads=leads, lsb_uv=np.array([1.0], np.float32), samples=noise, fs_hz=2000.0)
    with TelemetryProducer(kafka.address, topics) as producer:
        failed = producer.send(large)
        assert producer.send(window()).result(timeout=10).offset == 0  # the next one goes through
        with pytest.raises(DeliveryError) as error:
            producer.flush()
    assert failed.exception() is error.value or failed.exception() is error.value.__cause__
    size = next(int(word) for word in str(error.value).split() if word.isdigit())
    assert size > 1_200_000
    assert f"{MESSAGE_LIMIT} bytes" in str(error.value)
    assert "icu-3/07" in str(error.value)


@pytest.mark.kafka
def test_a_broker_with_a_lower_limit_is_heard(apache_kafka: Broker, topic_prefix: str) -> None:
    from kafka import KafkaAdminClient

    topics = Topics(topic_prefix, partitions=1)
    small = {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": "20000"}}
    with KafkaAdminClient(bootstrap_servers=apache_kafka.address) as admin:
        admin.create_topics({topics.windows: small}, wait_for_metadata=True)
    noise = np.random.default_rng(1).integers(-3000, 3000, (2, 10_000)).astype(np.int16)
    producer = TelemetryProducer(apache_kafka.address, topics)
    producer.send(window(samples=noise, fs_hz=1000.0))
    with pytest.raises(DeliveryError, match=r"has 40\d\d\d bytes, over the topic's limit of 20000 bytes"):
        producer.close()
    unaware = KeyedProducer(apache_kafka.address)
    outcome = unaware.send_bytes(topics.windows, "icu-3/07", os.urandom(40_000))
    assert "message of icu-3/07 has 40088 bytes, over the broker's max.message.bytes" in str(
        outcome.exception(timeout=10)
    )
    with pytest.raises(DeliveryError):
        unaware.close()


def test_the_largest_message_that_arrives_is_set_aside_whole(monitored_site: MonitoredSite) -> None:
    value = os.urandom(MESSAGE_LIMIT - 200)
    ((record, headers),) = dead_letters_after(monitored_site, [(fresh_bed(monitored_site), value)])
    assert record.value == value
    assert "truncated" not in headers
    assert f"value of {len(value)} bytes" in headers["reason"]
