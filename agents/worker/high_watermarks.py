"""Where the logs end: asked once a second, beside the app's own consumer, which may itself be what is stuck."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from agents.settings import Settings
from agents.worker.log_reader import plain_consumer

log = logging.getLogger(__name__)

ASK_S = 1.0
WAIT_S = 0.05
FRESH_S = 2.5  # an older answer does not hold now


class LogEnds:
    """End offsets of the partitions that a worker holds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places: tuple[TopicPartition, ...] = ()
        self._ends: dict[tuple[str, int], int] = {}
        self._asked = 0.0

    def watch(self, places: Iterable[tuple[str, int]]) -> None:
        """The partitions to ask about from now on."""
        self._places = tuple(TopicPartition(topic, partition) for topic, partition in places)

    def end(self, topic: str, partition: int) -> int | None:
        """The offset after the last record; None where it is not known as of now."""
        if time.monotonic() - self._asked > FRESH_S:
            return None
        return self._ends.get((topic, partition))

    async def known(self, topic: str, partition: int) -> int:
        """The end as of now: waits for an answer of the broker, 0 where none comes."""
        for _ in range(round(FRESH_S / WAIT_S)):
            end = self.end(topic, partition)
            if end is not None:
                return end
            await asyncio.sleep(WAIT_S)
        return 0

    async def keep_asking(self) -> None:
        """Runs for as long as the worker does; a broker that does not answer leaves the ends unknown."""
        async with plain_consumer(self._settings) as consumer:
            while True:
                places, asked = self._places, time.monotonic()
                try:
                    if places:
                        found = await asyncio.wait_for(consumer.end_offsets(list(places)), 10 * ASK_S)
                        self._ends = {(at.topic, at.partition): int(end) for at, end in found.items()}
                        self._asked = asked
                except (KafkaError, TimeoutError) as error:
                    log.warning("the ends of the logs are not known: %s", error)
                await asyncio.sleep(ASK_S)
