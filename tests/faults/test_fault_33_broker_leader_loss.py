"""Fault 33: the broker that leads a bed's partition dies while hearts stand still. Alarms go on; nothing is lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from streams.alert import State
from tests.agents.signals import S, ecg, messages
from tests.agents.stack import PARTITIONS, Stack, no_version_is_missing_or_different, until
from tests.brokers import ApacheKafka
from tests.conftest import Broker

pytestmark = pytest.mark.kafka

QUICK = {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}  # a dead broker is known in 3 s
BEFORE, AFTER = ("01", "02"), ("03", "04")  # hearts that stop before the broker dies, and while it is dead


def leaders(address: str, topic: str) -> list[int]:
    """Node that leads each partition."""
    consumer = KafkaConsumer(topic, bootstrap_servers=address)
    try:
        until(lambda: len(consumer.partitions_for_topic(topic) or ()) == PARTITIONS, 20, "metadata")
        cluster = consumer._client.cluster  # the public client does not say who leads
        return [int(cluster.leader_for_partition(TopicPartition(topic, p)) or 0) for p in range(PARTITIONS)]
    finally:
        consumer.close()


def test_alarms_go_on_when_a_broker_of_three_is_killed(
    kafka_home: Path, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    start_ns = time.time_ns() // S * S
    beds = [messages(ecg(60, silent=[(10.0, 50.0)], start_ns=start_ns, seed=k), bed=b) for k, b in enumerate(BEFORE)]
    beds += [
        messages(ecg(60, silent=[(30.0, 50.0)], start_ns=start_ns, seed=9 + k), bed=b) for k, b in enumerate(AFTER)
    ]
    with (
        ApacheKafka(kafka_home, tmp_path / "kafka", nodes=3, settings=QUICK) as cluster,
        Stack(Broker(cluster.address, embedded=False), redis_url, topic_prefix, tmp_path, replication=3) as stack,
    ):
        stack.start("monitor", "publisher")
        stack.send(beds, 0, 25, a_second=4)
        stack.wait_for("ASYSTOLE", len(BEFORE))
        lead = leaders(cluster.address, stack.topics.windows)
        assert set(lead) <= {1, 2, 3}
        cluster.nodes[max(set(lead), key=lead.count) - 1].kill()
        stack.send(beds, 25, 40, a_second=2)
        stack.wait_for("ASYSTOLE", len(BEFORE + AFTER), 30)
        stack.send(beds, 40, 60, a_second=4)
        until(lambda: _over(stack) == len(beds), 40, "every asystole latched or off")
        stack.drained()
        log = stack.alert_log()
        no_version_is_missing_or_different(log)
        asystoles = [versions for versions in log.values() if versions[0].code == "ASYSTOLE"]
        assert len(asystoles) == len(beds), "one alarm a bed"
        for versions in asystoles:
            sounding = [a.sounding for a in stack.published() if a.id == versions[0].id]
            assert sum(b and not a for a, b in zip([False, *sounding], sounding, strict=False)) == 1, "it sounded once"
        assert not stack.dead_letters()
        assert all(worker.process.poll() is None for worker in stack.workers), "no worker ended"


def _over(stack: Stack) -> int:
    """Beds whose asystole is over: the heart beats again."""
    newest = {a.bed: a for a in stack.published() if a.code == "ASYSTOLE"}
    return sum(a.state in (State.LATCHED, State.OFF) and a.end is not None for a in newest.values())
