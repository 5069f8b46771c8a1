"""The claim of a topic prefix by one site: two sites with one prefix on one Kafka would write every alert twice.

The claim is the metadata of an offset that the consumer group ``<prefix>_site`` commits on the bed topic: the name of
the site. No consumer ever joins this group. The monitor, the publisher and ``gem-bedside topics`` claim the prefix when
they start, and the workers every minute (the interpreter may not read the bed topic). A claim that nobody renews
expires with the broker's ``offsets.retention.minutes`` (7 days).
"""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from streams.topics import Topics

CLAIMING = ("monitor", "publisher", "topics")  # programs that hold the claim
RENEW_S = 60.0  # two sites that claim a prefix in one instant both succeed; the first renewal finds it out


class PrefixTaken(RuntimeError):  # noqa: N818  (a finding for the operator)
    """The topics of this prefix belong to another site."""


def claim_group(prefix: str) -> str:
    """Consumer group whose committed metadata names the site.

    >>> claim_group("ecg.")
    'ecg._site'
    """
    return f"{prefix}_site"


def claim_prefix(bootstrap: str, topics: Topics, site: str, *, take_over: bool = False, **client_options: Any) -> None:
    """Claim the topics for a site, or renew its claim.

    Parameters
    ----------
    bootstrap : str
        ``host:port,…``.
    take_over : bool
        Also from another site, whose workers must have ended.
    **client_options
        Further settings of kafka-python's consumer (TLS, SASL).

    Raises
    ------
    PrefixTaken
        Another site has claimed them.
    """
    group = claim_group(topics.prefix)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False, **client_options)
    try:
        place = TopicPartition(topics.beds, 0)
        consumer.assign([place])
        if not take_over:
            _check(consumer, place, topics.prefix, site)
        consumer.commit({place: OffsetAndMetadata(0, site, -1)})
        _check(consumer, place, topics.prefix, site)
    finally:
        consumer.close(autocommit=False)


def _check(consumer: KafkaConsumer, place: TopicPartition, prefix: str, site: str) -> None:
    held = consumer.committed(place, metadata=True)
    owner = held.metadata if held is not None else ""
    check_owner(owner, prefix, site)


def check_owner(owner: str | None, prefix: str, site: str) -> None:
    """Raise `PrefixTaken` where the owner of a prefix is another site."""
    if owner and owner != site:
        raise PrefixTaken(
            f"the topics {prefix}* belong to the site {owner}, and this is {site}: two sites would write every alert "
            "twice. Set GEM_BEDSIDE_TOPIC_PREFIX to a prefix of this site's own; where the site was renamed, stop its "
            "workers and run `gem-bedside topics --take-over`"
        )
