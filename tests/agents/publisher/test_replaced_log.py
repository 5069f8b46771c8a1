"""A Kafka that was set up anew beside a Redis that lives on: its first alerts do not count as applied before."""

from __future__ import annotations

import time
from pathlib import Path

from streams.alert_bus import place_of
from tests.agents.signals import S, ecg, messages
from tests.agents.stack import PARTITIONS, Stack
from tests.conftest import Broker

APPLIED = 5000  # what Redis had applied of the log that is gone


def test_alerts_of_a_new_log_reach_a_redis_that_had_applied_more_of_the_old_one(
    kafka: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    windows = messages(ecg(40, silent=[(10.0, 20.0)], start_ns=time.time_ns() // S * S))
    with Stack(kafka, redis_url, topic_prefix, tmp_path) as stack:
        topics = stack.topics
        places = [place_of(t, p) for t in (topics.alerts, topics.beds, topics.vitals) for p in range(PARTITIONS)]
        stack.redis.hset("ecg:{main}:offsets", mapping=dict.fromkeys(places, APPLIED))
        stack.start("monitor", "publisher")
        stack.send([windows], 0, 35, a_second=6)
        stack.drained()
        assert [a.bed for a in stack.published() if a.code == "ASYSTOLE" and a.version == 1] == ["07"]
        assert max(stack.offsets().values()) < APPLIED, "the offsets are those of the new log"


def test_a_publisher_that_restarts_publishes_nothing_twice(
    tansu: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    windows = messages(ecg(40, silent=[(10.0, 20.0)], start_ns=time.time_ns() // S * S))
    with Stack(tansu, redis_url, topic_prefix, tmp_path) as stack:
        _monitor, publisher = stack.start("monitor", "publisher")
        stack.send([windows], 0, 30, a_second=6)
        stack.wait_for("ASYSTOLE", 1)
        before = [(a.id, a.version) for a in stack.published()]
        assert publisher.stop() == 0, publisher.text[-3000:]
        stack.start("publisher")
        stack.send([windows], 30, 40, a_second=6)
        stack.drained()
        after = [(a.id, a.version) for a in stack.published()]
        assert after[: len(before)] == before and len(set(after)) == len(after)
        assert "a new log begins" not in stack.workers[-1].text
