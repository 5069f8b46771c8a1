"""What a site has written about one unit, read on from Kafka, and whether anything of it is still to come."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition

from streams.alert import Alert
from streams.bed import Bed
from streams.topics import Topics

POLL_MS = 200


class UnitLog:
    """Alerts and bed documents of a unit in the order in which they were written.

    Attributes
    ----------
    alerts : dict of str to list of Alert
        The versions of each alert, by its id.
    beds : dict of str to Bed
        The newest document of each bed stream, of the highest generation.
    """

    def __init__(self, address: str, topics: Topics, unit: str, group: str) -> None:
        self.alerts: dict[str, list[Alert]] = defaultdict(list)
        self.beds: dict[str, Bed] = {}
        self._topics, self._unit = topics, unit
        self._consumer = KafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False)
        places = [TopicPartition(t, p) for t in (topics.alerts, topics.beds) for p in range(topics.partitions)]
        self._consumer.assign(places)
        self._consumer.seek_to_beginning(*places)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def read(self) -> None:
        """Read what was written until now."""
        ends = self._consumer.end_offsets(self._consumer.assignment())
        while any(self._consumer.position(place) < end for place, end in ends.items()):
            for place, records in self._consumer.poll(timeout_ms=POLL_MS).items():
                for record in records:
                    self._take(place.topic, record)

    def _take(self, topic: str, record: Any) -> None:
        if topic == self._topics.alerts:
            alert = Alert.from_json(record.value)
            if alert.unit == self._unit:
                self.alerts[alert.id].append(alert)
        elif record.value is not None:
            bed = Bed.from_json(record.value)
            known = self.beds.get(bed.bed_stream)
            if bed.unit == self._unit and (known is None or known.generation <= bed.generation):
                self.beds[bed.bed_stream] = bed

    @property
    def unfinished(self) -> list[str]:
        """Windows that the monitors have not committed, and ranges that they left to a backfill, as read so far."""
        places = [TopicPartition(self._topics.windows, p) for p in range(self._topics.partitions)]
        ends = self._consumer.end_offsets(places)
        behind = {place.partition: ends[place] - (self._consumer.committed(place) or 0) for place in places}
        return [f"{n} windows of partition {number}" for number, n in behind.items() if n > 0] + [
            f"backfill of {name}" for name, bed in self.beds.items() if bed.skipped
        ]
