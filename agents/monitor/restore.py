"""Reads the bed documents of a partition from ``ecg.beds`` (docs/delivery.md, "Restore", step 2)."""

from __future__ import annotations

import logging
from typing import Any

from aiokafka import TopicPartition
from pydantic import BaseModel, ValidationError

from agents.worker.log_reader import read_range
from agents.worker.sender import Incoming
from streams.bed import Bed

log = logging.getLogger(__name__)


async def read_beds(consumer: Any, topic: str, partition: int) -> dict[str, Bed]:
    """The newest document of every bed of a partition; of two, the one of the later generation.

    A worker that lost its session cannot take a bed back: what it still wrote carries the lower generation.
    """
    at = TopicPartition(topic, partition)
    end = (await consumer.end_offsets([at]))[at]
    newest: dict[bytes, tuple[int, Incoming]] = {}
    async for batch in read_range(consumer, topic, partition, 0, end, whole_batches=True):
        for record in batch:
            if record.value is None or record.key is None:
                continue
            try:
                generation = _Generation.model_validate_json(record.value).generation
            except ValidationError as error:
                _unreadable(record, error)
                continue
            if record.key not in newest or generation >= newest[record.key][0]:
                newest[record.key] = generation, record
    beds = {}
    for _, record in newest.values():
        try:
            bed = Bed.from_json(record.value or b"")
        except ValidationError as error:
            _unreadable(record, error)
            continue
        beds[bed.bed_stream] = bed
    return beds


def _unreadable(record: Incoming, error: ValidationError) -> None:
    log.error("bed document %s/%d offset %d cannot be read: %s", record.topic, record.partition, record.offset, error)


class _Generation(BaseModel):
    """The field of a bed document by which two are compared; parsing all of it takes ten times longer."""

    generation: int = 0
