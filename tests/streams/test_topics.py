"""Topics are created as planned, checked where they exist, and never changed to another number of partitions."""

from __future__ import annotations

import pytest
from kafka import KafkaAdminClient

from streams.topics import DEAD_LETTER_EXTRA, MESSAGE_LIMIT, TopicMismatch, Topics, ensure_topics
from tests.conftest import Broker


def test_names_follow_from_the_prefix() -> None:
    names = [plan.name for plan in Topics("ward-b.").plans]
    kinds = ["windows", "actions", "flagged", "interpretations", "beds", "alerts", "strips", "vitals", "dead-letter"]
    assert names == [f"ward-b.{kind}" for kind in [*kinds, "workers"]]


def test_settings_are_those_of_the_contract() -> None:
    topics = Topics()
    hours = {
        plan.name.removeprefix("ecg."): int(plan.settings["retention.ms"]) / 3_600_000
        for plan in topics.plans
        if "retention.ms" in plan.settings
    }
    assert hours == {
        "windows": 24,
        "actions": 720,
        "flagged": 1,
        "interpretations": 24,
        "alerts": 720,
        "strips": 72,
        "vitals": 1,
        "dead-letter": 168,
        "workers": 1,
    }
    assert topics.plan("ecg.beds").settings["cleanup.policy"] == "compact"
    assert topics.plan("ecg.windows").settings["message.timestamp.type"] == "LogAppendTime"
    assert topics.plan("ecg.dead-letter").limit_bytes == MESSAGE_LIMIT + DEAD_LETTER_EXTRA == MESSAGE_LIMIT + 65_536


def test_topics_are_created_once_then_checked(kafka: Broker, topic_prefix: str) -> None:
    topics = Topics(topic_prefix, partitions=3)
    with pytest.raises(TopicMismatch, match="topics are missing"):
        ensure_topics(kafka.address, topics, create=False)
    assert all(state.created for state in ensure_topics(kafka.address, topics))
    again = ensure_topics(kafka.address, topics)
    assert not any(state.created for state in again)
    assert [state.partitions for state in again] == [3] * 10
    assert all(state.differs == {} for state in again)


def test_another_partition_count_is_refused_and_nothing_is_created(kafka: Broker, topic_prefix: str) -> None:
    with KafkaAdminClient(bootstrap_servers=kafka.address) as admin:
        admin.create_topics(
            {f"{topic_prefix}windows": {"num_partitions": 5, "replication_factor": 1}}, wait_for_metadata=True
        )
        with pytest.raises(TopicMismatch, match=rf"must have 8 partitions, but {topic_prefix}windows has 5"):
            ensure_topics(kafka.address, Topics(topic_prefix))
        assert [name for name in admin.list_topics() if name.startswith(topic_prefix)] == [f"{topic_prefix}windows"]


@pytest.mark.kafka
def test_settings_that_someone_changed_are_named(apache_kafka: Broker, topic_prefix: str) -> None:
    topics = Topics(topic_prefix, partitions=1)
    with KafkaAdminClient(bootstrap_servers=apache_kafka.address) as admin:
        admin.create_topics(
            {topics.alerts: {"num_partitions": 1, "replication_factor": 1, "configs": {"retention.ms": "1000"}}},
            wait_for_metadata=True,
        )
    states = {state.name: state for state in ensure_topics(apache_kafka.address, topics)}
    assert states[topics.alerts].differs["retention.ms"] == ("1000", str(30 * 24 * 3_600_000))
    assert states[topics.windows].differs == {}
