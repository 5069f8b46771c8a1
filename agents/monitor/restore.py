"""Reads the bed documents of a partition from ``ecg.beds`` (docs/delivery.md, "Restore", step 2).

A document that cannot be read, or not be used as it is, does not keep the partition from being restored: its bed starts
anew with as much of the document as can be used, and is watched from then on. Logs, a metric and the bed's audit lines
tell it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from aiokafka import TopicPartition
from pydantic import BaseModel

from agents.monitor.bed import BedMonitor, new_bed
from agents.worker.log_reader import read_range
from agents.worker.sender import Incoming
from models.arrhythmia.codes import CODES
from streams.bed import Bed, BedChange
from streams.document import time_of_ns, wrong_fields
from streams.identifiers import is_bed_stream

log = logging.getLogger(__name__)

UNREADABLE = "document unreadable: the bed starts anew"
REPAIRED = "document not usable: the bed goes on with a part of it"


class BedDocuments:
    """The newest document of every bed of a partition; of two, the one of the later generation.

    A worker that lost its session cannot take a bed back: what it still wrote carries the lower generation.

    Attributes
    ----------
    next_offset : int
        Of the first record that was not taken.
    """

    def __init__(self) -> None:
        self.next_offset = 0
        self._newest: dict[bytes, tuple[int, Incoming]] = {}
        self._unreadable: dict[bytes, Incoming] = {}

    def take(self, record: Incoming) -> bool:
        """Take one record, in their order; False where it changes nothing."""
        self.next_offset = max(self.next_offset, record.offset + 1)
        if record.value is None or record.key is None:
            return False
        try:
            generation = _Generation.model_validate_json(record.value).generation
        except Exception as error:
            _log_unreadable(record, error)
            self._unreadable[record.key] = record
            return True
        if record.key in self._newest and generation < self._newest[record.key][0]:
            return False
        self._newest[record.key] = generation, record
        return True

    def bed(self, bed_stream: str) -> Bed | None:
        """The document of one bed; None where there is none."""
        key = bed_stream.encode()
        if key in self._newest:
            return _bed_of(*self._newest[key])
        return _new_bed(key, self._unreadable[key]) if key in self._unreadable else None

    def beds(self) -> dict[str, Bed]:
        """All documents, by bed stream."""
        found = [_new_bed(key, record) for key, record in self._unreadable.items()]
        found += [_bed_of(generation, record) for generation, record in self._newest.values()]
        return {bed.bed_stream: bed for bed in found if bed is not None}


async def read_beds(consumer: Any, topic: str, partition: int, documents: BedDocuments | None = None) -> dict[str, Bed]:
    """The documents of a partition at the end of its log; ``documents`` holds those that are read already."""
    documents = documents or BedDocuments()
    at = TopicPartition(topic, partition)
    end = (await consumer.end_offsets([at]))[at]
    async for batch in read_range(consumer, topic, partition, documents.next_offset, end, whole_batches=True):
        for record in batch:
            documents.take(record)
    return documents.beds()


def restored_monitor(
    bed: Bed, monitor_of: Callable[[Bed], BedMonitor], now_ns: int, count: Callable[[], None]
) -> BedMonitor:
    """The monitor of a bed document, of a part of it where it cannot be used as it is, or of a bed that starts anew.

    ``count`` is called for each document that is not used as it was written.
    """
    if bed.changes and bed.changes[-1].what == UNREADABLE:
        count()
    for candidate in _usable_forms(bed, now_ns):
        try:
            monitor = monitor_of(candidate)
            monitor.check()
            return monitor
        except Exception as error:
            count()
            log.error("the document of bed %s cannot be used as it is", bed.bed_stream, exc_info=error)
    return monitor_of(new_bed(bed.bed_stream, bed.unit, bed.bed, now_ns))


def _usable_forms(bed: Bed, now_ns: int) -> Iterator[Bed]:
    """A bed document as it is; without the parts that may be broken; and with the identity of the bed alone."""
    yield bed
    changes = [*bed.changes, BedChange(what=REPAIRED, at=time_of_ns(now_ns), by="monitor")]
    known = [alert for alert in bed.alerts if alert.code in CODES]
    yield bed.changed(
        limits={},
        baseline=None,
        alerts=known,
        skipped=[],
        changes=changes,
        audio_paused_since=None,
        audio_paused_until=None,
    )
    yield Bed(
        generation=bed.generation,
        bed_stream=bed.bed_stream,
        unit=bed.unit,
        bed=bed.bed,
        patient=bed.patient,
        status=bed.status,
        since=bed.since,
        by=bed.by,
        clock_offset_s=bed.clock_offset_s,
        changes=changes[-1:],
        applied=bed.applied,
        applied_ids=bed.applied_ids,
    )


def _bed_of(generation: int, record: Incoming) -> Bed | None:
    try:
        return Bed.from_json(record.value or b"")
    except Exception as error:
        _log_unreadable(record, error)
        fresh = _new_bed(record.key or b"", record)
        return fresh and fresh.changed(generation=generation)


def _new_bed(key: bytes, record: Incoming) -> Bed | None:
    """A monitored bed in place of an unreadable document; None where its key names no bed."""
    name = key.decode(errors="replace")
    if not is_bed_stream(name):
        return None
    unit, _, bed = name.partition("/")
    at = time_of_ns(record.append_ns)
    line = BedChange(what=UNREADABLE, at=at, by="monitor")
    return Bed(bed_stream=name, unit=unit, bed=bed or unit, since=at, changes=[line])


def _log_unreadable(record: Incoming, error: Exception) -> None:
    log.error("bed document %s cannot be read: %s %.300s", record.place, type(error).__name__, wrong_fields(error))


class _Generation(BaseModel):
    """The field of a bed document by which two are compared; parsing all of it takes ten times longer."""

    generation: int = 0
