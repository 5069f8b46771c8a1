"""One document that the publisher or Redis cannot take is that document's: the next ones reach the stations."""

from __future__ import annotations

import time
from pathlib import Path

from kafka import KafkaProducer

from streams.partition import partition_of
from tests.agents.stack import PARTITIONS, Stack, until
from tests.conftest import Broker
from tests.streams.documents import alert

BED = "icu-3/07"


def test_documents_that_cannot_be_published_hold_no_other_back(
    tansu: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    with Stack(tansu, redis_url, topic_prefix, tmp_path) as stack:
        # Given a unit whose stream of alerts is a string in Redis, and a publisher
        stack.redis.set("ecg:{main}:alerts:icu-9", "no stream")
        (publisher,) = stack.start("publisher")
        producer = KafkaProducer(bootstrap_servers=tansu.address)

        def write(value: bytes | None, headers: list[tuple[str, bytes]] | None = None, topic: str = "") -> None:
            at = partition_of(BED.encode(), PARTITIONS)
            producer.send(topic or stack.topics.alerts, value, BED.encode(), headers or [], at)

        # When garbage, an alert of that unit and a good alert follow each other
        for value in (b"\xff", b"{}", None, b"[" * 50_000):
            write(value)
        write(alert(1).changed(unit="icu-9", id="f" * 32).to_json())
        for headers in ([("alert_id", b"\xff")], []):
            write(b"\xff", headers, stack.topics.strips)
        write(b"x", topic=stack.topics.beds)
        write(alert(1).to_json())
        producer.flush()
        # Then the good one is published, and each other one is a dead letter
        until(lambda: [a.version for a in stack.published()] == [1], 20, "the good alert")
        until(lambda: len(stack.dead_letters()) == 8, 20, "the dead letters")
        assert len([x for x in stack.dead_letters() if "WRONGTYPE" in x["reason"]]) == 1
        time.sleep(0.5)
        assert publisher.process.poll() is None
