"""Writes dead letters in batches: many rejected messages share one acknowledgement, and none is committed before it.

Input: rejected messages with their reasons. Output: letters on ``ecg.dead-letter`` (`streams.dead_letter`), by a
producer of their own, so that no alert waits behind them. Letters that are put while a round of batches is on its way
make up the next round. `undelivered` says up to which offset a partition may be committed meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from agents.clock import Clock
from agents.metrics import Metrics
from agents.worker.message import Incoming
from streams.dead_letter import DeadLetter, dead_letter
from streams.partition import partition_of

log = logging.getLogger(__name__)

BATCH_BYTES = 128 * 1024  # before compression; a longer letter has a batch of its own
WAITING_BYTES = 16 * 1024 * 1024  # of letters before `put` waits: bounds the memory that a flood takes
MILLISECOND_NS = 1_000_000  # letters of one millisecond name one time
LETTER_BYTES = 1024  # of key, headers and Python's objects, about
LOGGED_A_SECOND = 5  # reasons; the others are counted: a line costs more than all else that is done for a letter
LONGEST_KEY = 64  # bytes of a bed stream; the partition of a longer key costs more than it is worth
YIELD_EVERY = 50  # letters between two turns of the event loop
Place = tuple[str, int]


class _Waiting(NamedTuple):
    partition: int  # where the message was
    letter: DeadLetter


class DeadLetterWriter:
    """The dead letters of a worker.

    Parameters
    ----------
    topic : str
        The dead-letter topic.
    partitions : int
        Of that topic.
    clock, metrics
        Of the worker.
    fail : callable
        Called with the exception of a letter that Kafka did not take: the worker ends, its message is not committed.
    """

    def __init__(
        self, topic: str, partitions: int, clock: Clock, metrics: Metrics, fail: Callable[[BaseException], None]
    ) -> None:
        self._topic = topic
        self._partitions = partitions
        self._clock = clock
        self._metrics = metrics
        self._fail = fail
        self._producer: Any = None
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._first_waiting: dict[Place, int] = {}
        self._first_in_round: dict[Place, int] = {}
        self._round: asyncio.Future[None] | None = None  # the delivery of the letters that wait
        self._on_its_way: asyncio.Future[None] | None = None  # the same of the round that is being sent
        self._sending: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._logged_s, self._logged, self._left_out = 0.0, 0, 0

    def start(self, producer: Any) -> None:
        """Write with this aiokafka producer, which is started."""
        self._producer = producer

    async def write(self, message: Incoming, reason: str) -> None:
        """Write one letter; returns when Kafka has acknowledged it."""
        await asyncio.shield(self._put(message, reason))

    async def put(self, message: Incoming, reason: str) -> None:
        """Write one letter with those to come; waits only while too many bytes are on their way.

        The offset of the message must not be committed before `undelivered` has passed it.
        """
        delivery, place = self._put(message, reason), (message.topic, message.partition)
        self._first_waiting[place] = min(message.offset, self._first_waiting.get(place, message.offset))
        if self._waiting_bytes > WAITING_BYTES:
            await asyncio.shield(delivery)

    def undelivered(self, topic: str, partition: int) -> int | None:
        """The first offset of a partition that was put and is not acknowledged; also called by other threads."""
        place = topic, partition  # those that wait first: they go from there into the round meanwhile
        known = self._first_waiting.get(place), self._first_in_round.get(place)
        return min((offset for offset in known if offset is not None), default=None)

    @property
    def idle(self) -> bool:
        """No letter that was put is on its way; also called by other threads."""
        return not self._first_waiting and not self._first_in_round

    async def delivered(self) -> None:
        """Wait until Kafka has acknowledged the letters that were put so far."""
        delivery = self._round or self._on_its_way  # rounds are sent one after the other
        if delivery is not None:
            await asyncio.shield(delivery)

    def _put(self, message: Incoming, reason: str) -> asyncio.Future[None]:
        if self._error is not None:
            raise self._error
        self._log(reason)
        if message.batch_error:
            self._metrics.rejected_unread.inc()
        letter = letter_of(message, reason, self._clock.now_ns() // MILLISECOND_NS * MILLISECOND_NS)
        self._waiting.append(_Waiting(message.partition, letter))
        self._waiting_bytes += len(letter.value or b"") + LETTER_BYTES
        if self._round is None:
            self._round = asyncio.get_running_loop().create_future()
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_rounds(), name="dead letters")
        return self._round

    async def _send_rounds(self) -> None:
        """Send the letters that wait, then those that were put meanwhile, until none is left."""
        while self._waiting:
            letters, self._waiting, self._waiting_bytes = self._waiting, [], 0
            self._first_in_round, self._first_waiting = self._first_waiting, {}
            delivery = self._on_its_way = self._round
            self._round = None
            assert delivery is not None
            self._metrics.dead_letters.inc(len(letters))
            try:
                await self._send(letters)
            except Exception as error:  # these letters stay undelivered, and their offsets uncommitted
                self._error = error
                delivery.set_exception(error)
                delivery.exception()  # retrieved, also where nobody waits
                self._fail(error)
                return
            self._first_in_round, self._on_its_way = {}, None
            delivery.set_result(None)
        self._sending = None

    async def _send(self, letters: list[_Waiting]) -> None:
        """One round: the letters of each partition in batches; returns when all are acknowledged."""
        batches: dict[int, Any] = {}
        acknowledged: list[Any] = []
        for count, waiting in enumerate(letters):
            if count % YIELD_EVERY == YIELD_EVERY - 1:
                await asyncio.sleep(0)
            letter, number = waiting.letter, self._partition(waiting)
            batch = batches.get(number)
            if batch is None or not _append(batch, letter):
                if batch is not None:
                    acknowledged.append(await self._submit(batch, number))
                batch = batches[number] = self._producer.create_batch()
                _append(batch, letter)  # the first one always has room
        acknowledged += [await self._submit(batch, number) for number, batch in batches.items()]
        await asyncio.gather(*acknowledged)

    def _partition(self, waiting: _Waiting) -> int:
        """That of the key; the number of the message's own partition where the key can be no bed stream."""
        key = waiting.letter.key
        if key is None or len(key) > LONGEST_KEY:
            return waiting.partition % self._partitions
        return partition_of(key, self._partitions)

    async def _submit(self, batch: Any, number: int) -> Any:
        batch.close()
        return await self._producer.send_batch(batch, self._topic, partition=number)

    def _log(self, reason: str) -> None:
        now_s = time.monotonic()
        if now_s - self._logged_s >= 1.0:
            if self._left_out:
                log.warning("%d more dead letters within a second", self._left_out)
            self._logged_s, self._logged, self._left_out = now_s, 0, 0
        self._logged += 1
        if self._logged <= LOGGED_A_SECOND:
            log.warning("dead letter: %.1000s", reason)
        else:
            self._left_out += 1


def letter_of(message: Incoming, reason: str, time_ns: int) -> DeadLetter:
    """The letter of a message that cannot be read; ``time_ns`` is the UTC instant of its rejection."""
    return dead_letter(
        message.key,
        message.value,
        reason=reason,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        time_ns=time_ns,
        whole_bytes=message.whole_bytes,
    )


def _append(batch: Any, letter: DeadLetter) -> bool:
    """False where the batch is full."""
    appended = batch.append(key=letter.key, value=letter.value, timestamp=None, headers=list(letter.headers))
    return appended is not None
