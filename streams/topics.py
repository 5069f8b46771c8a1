"""The ten topics of a site: names, retention, and their creation and check on the broker.

All topics have the same number of partitions and the same key, the bed stream, so that one worker holds all messages of
a bed. The number is fixed for the life of a site: another one would separate beds from their history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError, for_code

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MESSAGE_LIMIT = 1_048_588  # bytes; Kafka's default of max.message.bytes, set explicitly so that clients can read it
DEAD_LETTER_EXTRA = 65_536  # bytes for the headers, so that every message fits as a dead letter
IN_SYNC = 2  # of three replicas: with one, a write that was acknowledged is lost with its broker
METADATA_S = 30.0  # new topics have their leaders within this; without it a broken cluster blocks the command


class TopicMismatch(RuntimeError):  # noqa: N818  (a finding for the operator)
    """A topic is missing, or has another number of partitions than the site."""


@dataclass(frozen=True)
class TopicPlan:
    """The planned name and broker settings of one topic."""

    name: str
    settings: Mapping[str, str]

    @property
    def limit_bytes(self) -> int:
        """Largest message, in bytes."""
        return int(self.settings["max.message.bytes"])


@dataclass(frozen=True)
class Topics:
    """Names and plans of a site's topics.

    >>> Topics().windows, Topics("ward-b.").dead_letter
    ('ecg.windows', 'ward-b.dead-letter')
    """

    prefix: str = "ecg."
    partitions: int = 8

    @property
    def windows(self) -> str:
        """ECG windows from telemetry."""
        return f"{self.prefix}windows"

    @property
    def actions(self) -> str:
        """People's actions."""
        return f"{self.prefix}actions"

    @property
    def flagged(self) -> str:
        """Segments for the interpreter."""
        return f"{self.prefix}flagged"

    @property
    def interpretations(self) -> str:
        """The interpreter's answers."""
        return f"{self.prefix}interpretations"

    @property
    def beds(self) -> str:
        """Bed documents (compacted)."""
        return f"{self.prefix}beds"

    @property
    def alerts(self) -> str:
        """Alert versions."""
        return f"{self.prefix}alerts"

    @property
    def strips(self) -> str:
        """The signal of alerts."""
        return f"{self.prefix}strips"

    @property
    def vitals(self) -> str:
        """Vitals, once a second."""
        return f"{self.prefix}vitals"

    @property
    def dead_letter(self) -> str:
        """Rejected messages."""
        return f"{self.prefix}dead-letter"

    @property
    def workers(self) -> str:
        """Beacons of the workers, by which they see each other stop (internal)."""
        return f"{self.prefix}workers"

    @property
    def plans(self) -> tuple[TopicPlan, ...]:
        """All topics with their settings (docs/asyncapi.yaml)."""
        return (
            # The broker sets the append time: silence and lateness are judged by it, not by a producer's clock.
            TopicPlan(self.windows, _kept(DAY_MS) | {"message.timestamp.type": "LogAppendTime"}),
            TopicPlan(self.actions, _kept(30 * DAY_MS)),
            TopicPlan(self.flagged, _kept(HOUR_MS)),
            TopicPlan(self.interpretations, _kept(DAY_MS)),
            TopicPlan(self.beds, _compacted()),
            TopicPlan(self.alerts, _kept(30 * DAY_MS)),
            TopicPlan(self.strips, _kept(3 * DAY_MS)),
            TopicPlan(self.vitals, _kept(HOUR_MS)),
            TopicPlan(self.dead_letter, _kept(7 * DAY_MS, MESSAGE_LIMIT + DEAD_LETTER_EXTRA)),
            TopicPlan(self.workers, _kept(HOUR_MS) | {"message.timestamp.type": "LogAppendTime"}),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all topics."""
        return tuple(plan.name for plan in self.plans)

    def plan(self, name: str) -> TopicPlan:
        """The plan of one topic, by full name."""
        for plan in self.plans:
            if plan.name == name:
                return plan
        raise KeyError(f"{name} is none of the topics {', '.join(self.names)}")


@dataclass(frozen=True)
class TopicState:
    """State of one topic after `ensure_topics`.

    ``differs`` holds the broker settings that differ from the plan, as ``{name: (found, planned)}``; empty where the
    broker does not return its settings.
    """

    name: str
    partitions: int
    created: bool
    differs: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def ensure_topics(
    bootstrap: str, topics: Topics, *, create: bool = True, replication: int = 1, **client_options: Any
) -> list[TopicState]:
    """Create the missing topics and check the existing ones.

    Parameters
    ----------
    bootstrap : str
        ``host:port,…``.
    create : bool
        False: a missing topic is an error instead.
    replication : int
        Copies of each partition for new topics.
    **client_options
        Further settings of kafka-python's admin client (TLS, SASL).

    Raises
    ------
    TopicMismatch
        A topic has another number of partitions, or is missing with ``create=False``; no topic was created.
    """
    with KafkaAdminClient(bootstrap_servers=bootstrap, **client_options) as admin:
        found = _partition_counts(admin, topics.names)
        _check_partition_counts(found, topics)
        missing = [plan for plan in topics.plans if plan.name not in found]
        if missing and not create:
            names = ", ".join(plan.name for plan in missing)
            raise TopicMismatch(f"topics are missing on {bootstrap}: {names}; create them with `gem-bedside topics`")
        if missing:
            _create(admin, missing, topics.partitions, replication)
            # Another program may have created a topic meanwhile, with another number of partitions.
            _check_partition_counts(_partition_counts(admin, topics.names), topics)
        differs = _differences(admin, topics, replication)
    created = {plan.name for plan in missing}
    return [
        TopicState(plan.name, topics.partitions, plan.name in created, differs.get(plan.name, {}))
        for plan in topics.plans
    ]


def topic_partitions(bootstrap: str, names: Sequence[str], **client_options: Any) -> dict[str, int]:
    """Number of partitions by topic; missing topics are left out and not created."""
    with KafkaAdminClient(bootstrap_servers=bootstrap, **client_options) as admin:
        return _partition_counts(admin, names)


def broker_limits(bootstrap: str, names: Sequence[str], **client_options: Any) -> dict[str, int]:
    """Largest message by topic, in bytes; missing topics and brokers that return no settings are left out."""
    with KafkaAdminClient(bootstrap_servers=bootstrap, **client_options) as admin:
        described = _described_settings(admin, names)
    return {
        name: int(settings["max.message.bytes"]["value"])
        for name, settings in described.items()
        if "max.message.bytes" in settings
    }


def _kept(retention_ms: int, limit_bytes: int = MESSAGE_LIMIT) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention_ms),
        # Kafka deletes closed segments only: a twelfth of the retention keeps the real one close to the planned one.
        "segment.ms": str(max(retention_ms // 12, 300_000)),
        "max.message.bytes": str(limit_bytes),
    }


def _in_sync(replication: int) -> dict[str, str]:
    """With fewer than three replicas the broker's default stays: two of two would stop all writes with one broker."""
    return {"min.insync.replicas": str(IN_SYNC)} if replication > IN_SYNC else {}


def _compacted() -> dict[str, str]:
    return {
        "cleanup.policy": "compact",
        # A worker reads this topic to its end before it monitors its first bed: keep it short.
        "segment.ms": str(HOUR_MS),
        "min.cleanable.dirty.ratio": "0.1",
        "max.message.bytes": str(MESSAGE_LIMIT),
    }


def _partition_counts(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, int]:
    counts = {}
    for topic in admin.describe_topics(list(names)):
        if topic.get("error_code", 0) == 0 and topic.get("partitions"):
            counts[str(topic["name"])] = len(topic["partitions"])
    return counts


def _check_partition_counts(found: Mapping[str, int], topics: Topics) -> None:
    wrong = [f"{name} has {n}" for name, n in sorted(found.items()) if n != topics.partitions]
    if wrong:
        raise TopicMismatch(
            f"every topic must have {topics.partitions} partitions, but {', '.join(wrong)}: set "
            "GEM_BEDSIDE_PARTITIONS to the site's first number, or use another topic prefix"
        )


def _create(admin: KafkaAdminClient, missing: list[TopicPlan], partitions: int, replication: int) -> None:
    wanted = {
        plan.name: {
            "num_partitions": partitions,
            "replication_factor": replication,
            "configs": {**plan.settings, **_in_sync(replication)},
        }
        for plan in missing
    }
    answer = admin.create_topics(wanted, raise_errors=False)
    for topic in answer["topics"]:
        error = for_code(topic["error_code"])
        if topic["error_code"] and error is not TopicAlreadyExistsError:
            raise error(f"{topic['name']}: {topic.get('error_message') or error.__name__}")
    admin.wait_for_topics([plan.name for plan in missing], timeout_ms=METADATA_S * 1000)


def _described_settings(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    try:
        described: dict[str, dict[str, Any]] = admin.describe_configs(resources, config_filter="all").get("topic", {})
    except KafkaError:  # the embedded broker returns no settings
        return {}
    return described


def _differences(admin: KafkaAdminClient, topics: Topics, replication: int) -> dict[str, dict[str, tuple[str, str]]]:
    described = _described_settings(admin, topics.names)
    out = {}
    for plan in topics.plans:
        settings = described.get(plan.name, {})
        out[plan.name] = {
            name: (str(settings[name]["value"]), planned)
            for name, planned in {**plan.settings, **_in_sync(replication)}.items()
            if name in settings and str(settings[name]["value"]) != planned
        }
    return out
