"""Rebuild of Redis from Kafka: hashes, sets and strips, up to the offsets applied in Redis.

The rebuild is for a Redis whose keys were lost or damaged while its offsets are intact. It adds nothing to a stream and
publishes nothing, because stations have read those versions. A publisher may run meanwhile: its writes are newer and
stay. A Redis that lost its offsets too needs no rebuild: the publisher fills it from the beginning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from pydantic import ValidationError
from redis import Redis

from streams.alert import Alert
from streams.alert_bus import SCRIPT, Entry, alert_entry, bed_entry, place_of, strip_entry, vitals_entry
from streams.bed import Bed, Vitals
from streams.keys import Keys
from streams.redis_values import text
from streams.topics import Topics

POLL_MS = 500
EMPTY_POLLS = 40  # 20 s without a record before the end: without the limit a lost broker would block the command


def rebuild(redis: Redis, site: str, bootstrap: str, topics: Topics, **client_options: Any) -> dict[str, int]:
    """Write the hashes, sets and strips of a site again.

    Parameters
    ----------
    redis : redis.Redis
        Without ``decode_responses``.
    **client_options
        Further settings of `kafka.KafkaConsumer` (TLS, SASL).

    Returns
    -------
    dict
        Records written, by kind: ``alert``, ``bed``, ``strip``, ``vitals``; ``unreadable`` counts the rest.
    """
    keys = Keys(site)
    held: Any = redis.hgetall(keys.offsets)
    applied = {text(k): int(v) for k, v in held.items()}
    script = redis.register_script(SCRIPT)
    written: Counter[str] = Counter({"alert": 0, "bed": 0, "strip": 0, "vitals": 0, "unreadable": 0})
    gate = _Gate()
    read_as: dict[str, Callable[[Any, str], Entry | None]] = {
        topics.beds: lambda r, place: _bed(keys, gate, r, place),
        topics.alerts: lambda r, place: _alert(keys, gate, r, place),
        topics.strips: lambda r, place: _strip(keys, r, place),
        topics.vitals: lambda r, place: vitals_entry(keys, Vitals.from_json(r.value), place, r.offset),
    }
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", **client_options
    )
    try:
        for topic, entry_of in read_as.items():
            for partition in range(topics.partitions):
                place = place_of(topic, partition)
                if place not in applied:
                    continue
                for record in _up_to(consumer, TopicPartition(topic, partition), applied[place]):
                    if record.value is None:
                        continue
                    try:
                        entry = entry_of(record, place)
                    except ValidationError:
                        written["unreadable"] += 1
                        continue
                    if entry is not None:
                        names, args = entry.call(keys, rebuild_from=str(applied[place]))
                        script(keys=names, args=args)
                        written[entry.kind] += 1
    finally:
        consumer.close()
    return dict(written)


class _Gate:
    """The publisher's filter: no lower generation of a partition, and each version once, the first one."""

    def __init__(self) -> None:
        self._generation: dict[str, int] = {}
        self._version: dict[str, int] = {}

    def lets_generation(self, place: str, generation: int) -> bool:
        if generation < self._generation.get(place, generation):
            return False
        self._generation[place] = generation
        return True

    def lets_version(self, alert_id: str, version: int) -> bool:
        if version <= self._version.get(alert_id, 0):
            return False
        self._version[alert_id] = version
        return True


def _alert(keys: Keys, gate: _Gate, record: Any, place: str) -> Entry | None:
    alert = Alert.from_json(record.value)
    if gate.lets_generation(place, alert.generation) and gate.lets_version(alert.id, alert.version):
        return alert_entry(keys, alert, place, record.offset, alert.generation)
    return None


def _bed(keys: Keys, gate: _Gate, record: Any, place: str) -> Entry | None:
    bed = Bed.from_json(record.value)
    if gate.lets_generation(place, bed.generation):
        return bed_entry(keys, bed, place, record.offset, bed.generation)
    return None


def _strip(keys: Keys, record: Any, place: str) -> Entry | None:
    alert_id = dict(record.headers).get("alert_id")
    if alert_id is None:
        return None
    return strip_entry(keys, alert_id.decode(), record.value, place, record.offset, record.timestamp)


def _up_to(consumer: KafkaConsumer, place: TopicPartition, last: int) -> Iterator[Any]:
    """Records of a partition from its beginning to offset ``last``, or to its end where the log is shorter."""
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    end = consumer.end_offsets([place])[place]
    empty = 0
    while consumer.position(place) <= last:
        batches = consumer.poll(timeout_ms=POLL_MS)
        # The partition ends where a poll at or past ``end`` is empty: the embedded broker reports an end inside its
        # last batch.
        empty = 0 if batches else empty + 1
        if empty and consumer.position(place) >= end:
            return
        if empty >= EMPTY_POLLS:
            raise TimeoutError(
                f"no record of {place.topic}/{place.partition} within {EMPTY_POLLS * POLL_MS / 1000:g} s at offset "
                f"{consumer.position(place)} of {end}: check the broker, then run the rebuild again"
            )
        for record in batches.get(place, ()):
            if record.offset <= last:
                yield record
