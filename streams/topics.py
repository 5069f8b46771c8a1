"""The nine topics of a site: their names, how long they keep, and creating or checking them on the broker.

All topics have the same number of partitions and share the key (the bed stream), so that one worker holds all of a bed.
The number is fixed for the life of a site: another one would move beds to partitions that their history is not on.
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
MESSAGE_LIMIT = 1_048_588  # Kafka's own default of max.message.bytes, set by name so that every client can know it
DEAD_LETTER_EXTRA = 65_536  # room for the headers, so that any message that fitted its topic fits as a dead letter
METADATA_S = 30.0  # a new topic has its leaders within this, also on three brokers that have just started


class TopicMismatch(RuntimeError):  # noqa: N818  (what was found, told to the operator)
    """A topic exists with another number of partitions than the site's."""


@dataclass(frozen=True)
class TopicPlan:
    """One topic as it should be: its name and its settings on the broker."""

    name: str
    settings: Mapping[str, str]

    @property
    def limit_bytes(self) -> int:
        """The largest message that the broker takes."""
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
        return f"{self.prefix}windows"

    @property
    def actions(self) -> str:
        return f"{self.prefix}actions"

    @property
    def flagged(self) -> str:
        return f"{self.prefix}flagged"

    @property
    def interpretations(self) -> str:
        return f"{self.prefix}interpretations"

    @property
    def beds(self) -> str:
        return f"{self.prefix}beds"

    @property
    def alerts(self) -> str:
        return f"{self.prefix}alerts"

    @property
    def strips(self) -> str:
        return f"{self.prefix}strips"

    @property
    def vitals(self) -> str:
        return f"{self.prefix}vitals"

    @property
    def dead_letter(self) -> str:
        return f"{self.prefix}dead-letter"

    @property
    def plans(self) -> tuple[TopicPlan, ...]:
        """All topics with their settings; kept times are those of the contract."""
        return (
            # The append time is the broker's: silence and lateness are judged by it, whatever a producer's clock says.
            TopicPlan(self.windows, _kept(DAY_MS) | {"message.timestamp.type": "LogAppendTime"}),
            TopicPlan(self.actions, _kept(30 * DAY_MS)),
            TopicPlan(self.flagged, _kept(HOUR_MS)),
            TopicPlan(self.interpretations, _kept(DAY_MS)),
            TopicPlan(self.beds, _compacted()),
            TopicPlan(self.alerts, _kept(30 * DAY_MS)),
            TopicPlan(self.strips, _kept(3 * DAY_MS)),
            TopicPlan(self.vitals, _kept(HOUR_MS)),
            TopicPlan(self.dead_letter, _kept(7 * DAY_MS, MESSAGE_LIMIT + DEAD_LETTER_EXTRA)),
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(plan.name for plan in self.plans)

    def plan(self, name: str) -> TopicPlan:
        """The plan of one topic, by full name."""
        for plan in self.plans:
            if plan.name == name:
                return plan
        raise KeyError(f"{name} is none of the topics {', '.join(self.names)}")


@dataclass(frozen=True)
class TopicState:
    """What `ensure_topics` found or did for one topic.

    ``differs`` holds broker settings that are not as planned, as ``{name: (found, planned)}``; empty where the broker
    shows none of its settings.
    """

    name: str
    partitions: int
    created: bool
    differs: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def ensure_topics(
    bootstrap: str, topics: Topics, *, create: bool = True, replication: int = 1, **client_options: Any
) -> list[TopicState]:
    """Create the topics that are missing and check those that are there.

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
        A topic has another number of partitions, or is missing with ``create=False``. Nothing was created then.
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
            # Another program may have been quicker with a partition count of its own.
            _check_partition_counts(_partition_counts(admin, topics.names), topics)
        differs = _differences(admin, topics)
    created = {plan.name for plan in missing}
    return [
        TopicState(plan.name, topics.partitions, plan.name in created, differs.get(plan.name, {}))
        for plan in topics.plans
    ]


def topic_partitions(bootstrap: str, names: Sequence[str], **client_options: Any) -> dict[str, int]:
    """How many partitions each topic has; topics that are not there are left out, and not created by asking."""
    with KafkaAdminClient(bootstrap_servers=bootstrap, **client_options) as admin:
        return _partition_counts(admin, names)


def broker_limits(bootstrap: str, names: Sequence[str], **client_options: Any) -> dict[str, int]:
    """The largest message of each topic in bytes, where the broker shows its settings; topics that are not "
    "there are left out."""
    with KafkaAdminClient(bootstrap_servers=bootstrap, **client_options) as admin:
        shown = _shown_settings(admin, names)
    return {
        name: int(settings["max.message.bytes"]["value"])
        for name, settings in shown.items()
        if "max.message.bytes" in settings
    }


def _kept(retention_ms: int, limit_bytes: int = MESSAGE_LIMIT) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention_ms),
        # Only closed segments expire: a twelfth of the time keeps what is kept close to what was promised.
        "segment.ms": str(max(retention_ms // 12, 300_000)),
        "max.message.bytes": str(limit_bytes),
    }


def _compacted() -> dict[str, str]:
    return {
        "cleanup.policy": "compact",
        # A worker reads this topic to its end before it watches its first bed: keep it short.
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
            "GEM_BEDSIDE_PARTITIONS to the "
            "number that the site began with, or use another topic prefix"
        )


def _create(admin: KafkaAdminClient, missing: list[TopicPlan], partitions: int, replication: int) -> None:
    wanted = {
        plan.name: {"num_partitions": partitions, "replication_factor": replication, "configs": dict(plan.settings)}
        for plan in missing
    }
    answer = admin.create_topics(wanted, raise_errors=False)
    for topic in answer["topics"]:
        error = for_code(topic["error_code"])
        if topic["error_code"] and error is not TopicAlreadyExistsError:
            raise error(f"{topic['name']}: {topic.get('error_message') or error.__name__}")
    admin.wait_for_topics([plan.name for plan in missing], timeout_ms=METADATA_S * 1000)


def _shown_settings(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    try:
        shown: dict[str, dict[str, Any]] = admin.describe_configs(resources, config_filter="all").get("topic", {})
    except KafkaError:  # a broker that shows no settings (the embedded one)
        return {}
    return shown


def _differences(admin: KafkaAdminClient, topics: Topics) -> dict[str, dict[str, tuple[str, str]]]:
    shown = _shown_settings(admin, topics.names)
    out = {}
    for plan in topics.plans:
        settings = shown.get(plan.name, {})
        out[plan.name] = {
            name: (str(settings[name]["value"]), planned)
            for name, planned in plan.settings.items()
            if name in settings and str(settings[name]["value"]) != planned
        }
    return out
