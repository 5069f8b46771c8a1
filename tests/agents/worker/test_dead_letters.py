"""Dead letters share acknowledgements; an offset is committed after the letters before it, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka import TopicPartition
from kafka import KafkaConsumer

from agents.clock import SystemClock
from agents.metrics import Metrics
from agents.settings import Settings
from agents.worker import commit_metadata, dead_letters
from agents.worker.commit_metadata import MetadataCommits
from agents.worker.dead_letters import BATCH_BYTES, DeadLetterWriter
from agents.worker.sender import Incoming, Sender
from streams.topics import Topics, ensure_topics
from tests.conftest import Broker

WINDOWS = "ecg.windows"


def message(
    offset: int, value: bytes | None = b"\xff", key: bytes | None = b"icu-3/07", partition: int = 0
) -> Incoming:
    return Incoming(WINDOWS, partition, offset, 0, key, value)


class _Batch:
    def __init__(self) -> None:
        self.offsets: list[int] = []

    def append(self, *, headers: list[tuple[str, bytes]], **_: Any) -> object:
        self.offsets.append(int(dict(headers)["offset"]))
        return self

    def close(self) -> None: ...


class BrokerOfTheTest:
    """Stands for the producer, so that the test decides when a batch is acknowledged, or that it never is."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[int], asyncio.Future[None]]] = []

    def create_batch(self) -> _Batch:
        return _Batch()

    async def send_batch(self, batch: _Batch, _topic: str, *, partition: int) -> asyncio.Future[None]:
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.batches.append((batch.offsets, acknowledged))
        return acknowledged


def writer(broker: BrokerOfTheTest, failures: list[BaseException]) -> DeadLetterWriter:
    made = DeadLetterWriter("ecg.dead-letter", 2, SystemClock(), Metrics("monitor"), failures.append)
    made.start(broker)
    return made


async def turns(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_letters_that_are_put_while_a_round_is_on_its_way_make_up_the_next_one() -> None:
    broker = BrokerOfTheTest()
    letters = writer(broker, [])
    for offset in (4, 5, 6):
        await letters.put(message(offset), "unreadable")
    await turns()
    await letters.put(message(9), "unreadable")
    assert letters.undelivered(WINDOWS, 0) == 4 and letters.undelivered(WINDOWS, 1) is None
    waiting = asyncio.create_task(letters.write(message(3), "an old one, which is waited for"))
    await turns()
    assert [offsets for offsets, _ in broker.batches] == [[4, 5, 6]] and not waiting.done()
    broker.batches[0][1].set_result(None)
    await turns()
    assert [offsets for offsets, _ in broker.batches] == [[4, 5, 6], [9, 3]]
    assert letters.undelivered(WINDOWS, 0) == 9 and not letters.idle, "one that is waited for holds no commit back"
    broker.batches[1][1].set_result(None)
    await waiting
    assert letters.undelivered(WINDOWS, 0) is None and letters.idle


async def test_a_letter_that_kafka_does_not_take_ends_the_worker_and_stays_undelivered() -> None:
    broker, failures = BrokerOfTheTest(), []
    letters = writer(broker, failures)
    await letters.put(message(4), "unreadable")
    await turns()
    broker.batches[0][1].set_exception(ConnectionError("gone"))
    await turns()
    assert [str(error) for error in failures] == ["gone"]
    assert letters.undelivered(WINDOWS, 0) == 4
    with pytest.raises(ConnectionError):
        await letters.put(message(5), "unreadable")


async def test_put_waits_while_too_many_bytes_are_on_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "WAITING_BYTES", 10_000)
    broker = BrokerOfTheTest()
    letters = writer(broker, [])
    putting = asyncio.create_task(letters.put(message(1, value=bytes(20_000)), "unreadable"))
    await turns()
    assert not putting.done()
    broker.batches[0][1].set_result(None)
    await putting


class _Consumer:
    def __init__(self) -> None:
        self.committed: dict[TopicPartition, int] = {}

    async def commit(self, offsets: Mapping[Any, Any]) -> None:
        self.committed |= {at: given.offset for at, given in offsets.items()}


class _Source:
    def metadata(self, _topic: str, _partition: int) -> str:
        return ""

    def committed(self, *_: object) -> None: ...


async def test_a_commit_waits_for_the_letters_before_it_and_never_passes_one_that_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker, consumer, at = BrokerOfTheTest(), _Consumer(), TopicPartition(WINDOWS, 0)
    letters = writer(broker, [])
    monkeypatch.setattr(commit_metadata, "consumer_of", lambda app: consumer)
    MetadataCommits(None, letters).extend(_Source())

    def commit(offset: int) -> asyncio.Future[None]:
        """As Faust's thread does, in a loop of its own."""
        loop = asyncio.get_running_loop()
        return asyncio.ensure_future(loop.run_in_executor(None, lambda: asyncio.run(consumer.commit({at: offset}))))

    await letters.put(message(4), "unreadable")
    await turns()
    committing = commit(10)
    done, _ = await asyncio.wait([committing], timeout=0.2)
    assert not done and not consumer.committed
    broker.batches[0][1].set_result(None)
    await committing
    assert consumer.committed == {at: 10}
    # A letter that is not acknowledged: the offset stays before its message
    monkeypatch.setattr(commit_metadata, "LETTERS_S", 0.05)
    await letters.put(message(12), "unreadable")
    await commit(20)
    assert consumer.committed == {at: 12}


async def test_every_letter_arrives_with_its_bytes_reason_and_place(kafka: Broker, topic_prefix: str) -> None:
    settings = Settings(kafka=kafka.address, topic_prefix=topic_prefix, partitions=2, embedded=kafka.embedded)
    topics = Topics(topic_prefix, 2)
    ensure_topics(kafka.address, topics)
    sender = await Sender(settings, SystemClock(), Metrics("monitor")).start()
    # Given many letters, one longer than a batch, one without a key, one with neither key nor value
    odd = [message(0, bytes(3 * BATCH_BYTES)), message(1, key=None), message(2, value=None, key=None), message(3, None)]
    given = odd + [message(k, str(k).encode() * 50, f"icu-3/{k % 7}".encode(), k % 2) for k in range(4, 3000)]
    try:
        for one in given:
            await sender.reject(one, f"reason {one.offset}", wait=one.offset % 1000 == 0)
        await sender.dead_letters.delivered()
    finally:
        await sender.stop()
    # Then each is there once, unchanged
    consumer = KafkaConsumer(bootstrap_servers=kafka.address, auto_offset_reset="earliest")
    places = [TopicPartition(topics.dead_letter, p) for p in range(2)]
    consumer.assign(places)
    found: list[Any] = []
    while len(found) < sum(consumer.end_offsets(places).values()):
        found += [record for batch in consumer.poll(200).values() for record in batch]
    consumer.close()
    read = {int(dict(record.headers)["offset"]): record for record in found}
    assert len(read) == len(found) == len(given)
    for one in given:
        record, headers = read[one.offset], dict(read[one.offset].headers)
        assert (record.key, record.value) == (one.key, one.value)
        assert (headers["reason"], headers["partition"]) == (f"reason {one.offset}".encode(), b"%d" % one.partition)
