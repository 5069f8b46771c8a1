"""Unreadable windows are taken out of a fetched batch: each is dead-lettered once, and no other bed waits for them."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from kafka import KafkaConsumer, TopicPartition

from agents.monitor.screening import Screening
from agents.worker.commit_metadata import Committed
from agents.worker.sender import Incoming
from streams.consumer import AlertConsumer
from streams.partition import partition_of
from tests.agents.monitor.memory_log import TOPICS, MemoryLog, PartitionUnderTest
from tests.agents.signals import ecg, messages
from tests.agents.stack import PARTITIONS, Stack, until
from tests.agents.test_edges_on_a_stack import PARTITION, SILENCE_S, asystole_in_time, live_bed
from tests.conftest import Broker

FLOOD = 8_000  # messages; one by one, each with an acknowledgement of its own, they took 20 s
KEYS = [key for k in range(200) if partition_of((key := f"icu-3/odd{k}").encode(), PARTITIONS) == PARTITION]


class Record(NamedTuple):
    """A record as aiokafka's fetcher gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def fetched(windows: Sequence[Incoming]) -> list[Record]:
    return [Record(m.topic, m.partition, m.offset, m.append_ns // 10**6, m.key, m.value) for m in windows]


def log_with_unreadable(*unreadable: int, length: int = 10) -> MemoryLog:
    """Good windows of a bed; those at some offsets are unreadable."""
    log = MemoryLog()
    log.append(messages(ecg(length)))
    for offset in unreadable:
        log.windows[offset] = replace(log.windows[offset], value=b"\xff")
    return log


async def kept(partition: PartitionUnderTest, windows: Sequence[Incoming]) -> list[int]:
    """Offsets of a fetch that the partition is given one by one."""
    screening = Screening(TOPICS.windows, {0: partition.processor}.get, lambda number: None)
    at = TopicPartition(TOPICS.windows, 0)
    return [record.offset for record in (await screening.keep({at: fetched(windows)}))[at]]


async def test_unreadable_windows_are_taken_out_and_dead_lettered_but_for_the_last_one() -> None:
    partition = await PartitionUnderTest(log_with_unreadable(2, 3, 5, 9)).restore()
    assert await kept(partition, partition.log.windows) == [0, 1, 4, 6, 7, 8, 9]
    assert [int(reason.split("offset ")[1].rstrip(")")) for reason in partition.sender.rejected] == [2, 3, 5]
    # The last one is dead-lettered in its turn: the offset of the partition goes on with it
    await partition.feed([m for m in partition.log.windows if m.offset not in (2, 3, 5)])
    assert len(partition.sender.rejected) == 4 and partition.processor.next_offset == 10


async def test_what_is_fetched_again_after_a_rebalance_is_not_dead_lettered_again() -> None:
    partition = await PartitionUnderTest(log_with_unreadable(2, 3, 6)).restore()
    windows = partition.log.windows
    assert await kept(partition, windows[:6]) == [0, 1, 4, 5]
    await partition.feed(windows[:2])
    await partition.processor.revoke()
    assert await kept(partition, windows[6:8]) == [6, 7], "a partition that is not held takes nothing out"
    partition.processor.reassign(2)
    # When the fetch begins before them, and ends with one that was taken out
    assert await kept(partition, windows[1:4]) == [1, 3]
    await partition.feed([windows[1], windows[3]])
    assert await kept(partition, windows[4:]) == [4, 5, 7, 8, 9]
    await partition.feed([windows[k] for k in (4, 5, 7, 8, 9)])
    assert len(partition.sender.rejected) == 3


async def test_a_window_on_which_a_worker_may_have_ended_is_read_in_its_turn_only() -> None:
    partition = await PartitionUnderTest(log_with_unreadable(2, 6)).restore()
    await partition.processor.attempts.take({(TOPICS.windows, 0): Committed(0, '{"held":true}', 5)})
    assert await kept(partition, partition.log.windows) == [0, 1, 2, 3, 4, 5, 7, 8, 9]


async def test_a_catch_up_whose_last_window_was_unreadable_ends_with_the_next_one() -> None:
    log = log_with_unreadable(149, length=150)
    partition = await PartitionUnderTest(log, now_ns=log.windows[-1].append_ns).restore()
    await partition.feed(log.windows[:149])
    assert partition.processor.state == "catching up"
    (late,) = log.append(messages(ecg(151))[150:])
    assert await kept(partition, [*log.windows[149:150], late]) == [150]
    await partition.feed([late])
    await partition.backfilled()
    # Then each window is counted once
    count = partition.metrics.registry.get_sample_value
    counted = [count(f"gem_bedside_windows{kind}_total") for kind in ("", "_backfilled")]
    assert sum(filter(None, counted)) == 150 and len(partition.sender.rejected) == 1


def test_a_flood_of_malformed_messages_does_not_delay_the_alarm_of_another_bed(
    kafka: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    with Stack(kafka, redis_url, topic_prefix, tmp_path) as stack:
        stack.start("monitor", "publisher")
        consumer = AlertConsumer(stack.redis, "main", "icu-3", "desk", "desk-1")
        with live_bed(stack, seconds=22) as start_ns:
            # When a flood arrives on the bed's partition while its heart stops
            until(lambda: time.time_ns() - start_ns > SILENCE_S * 1e9, SILENCE_S, "the asystole")
            send_malformed(stack, FLOOD)
            # Then its alarm is in time, and each malformed message is one dead letter
            asystole_in_time(stack, consumer, start_ns)
        # The embedded broker's end offset may stay behind the last batch: the letters themselves are counted
        until(lambda: len(stack.dead_letters()) >= FLOOD, 60, "the dead letters")
        letters = stack.dead_letters()
        assert len({letter["offset"] for letter in letters}) == len(letters) == FLOOD
        assert all(letter["partition"] == str(PARTITION) and letter["reason"] for letter in letters)


@pytest.mark.kafka  # the embedded broker has no idempotent producers
def test_a_monitor_that_is_killed_in_a_flood_loses_no_dead_letter(
    apache_kafka: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    with Stack(apache_kafka, redis_url, topic_prefix, tmp_path, session_timeout_s=6) as stack:
        (first,) = stack.start("monitor")
        send_malformed(stack, FLOOD // 2)
        until(lambda: ends(stack, stack.topics.dead_letter) > 0, 30, "the first dead letters")
        first.kill()
        (second,) = stack.start("monitor")
        send_malformed(stack, FLOOD // 2)
        until(lambda: len({letter["offset"] for letter in stack.dead_letters()}) == FLOOD, 60, "all dead letters")
        # One that ends cleanly has committed all: its successor writes nothing again
        known = ends(stack, stack.topics.dead_letter)
        assert second.stop() == 0, second.text[-3000:]
        at = TopicPartition(stack.topics.windows, PARTITION)
        group = KafkaConsumer(bootstrap_servers=apache_kafka.address, group_id=stack.settings.group("monitor"))
        assert group.committed(at) == FLOOD
        group.close()
        stack.start("monitor")
        assert ends(stack, stack.topics.dead_letter) == known


def send_malformed(stack: Stack, number: int) -> None:
    """Random bytes under many keys, all on the partition of the bed."""
    rng = random.Random(number)
    for k in range(number):
        stack.producer.send_bytes(stack.topics.windows, KEYS[k % len(KEYS)], rng.randbytes(rng.randrange(1, 300)))
    stack.producer.flush()


def ends(stack: Stack, topic: str) -> int:
    """Messages of a topic."""
    consumer = KafkaConsumer(bootstrap_servers=stack.broker.address)
    try:
        places = [TopicPartition(topic, p) for p in range(stack.topics.partitions)]
        return sum(consumer.end_offsets(places).values())
    finally:
        consumer.close()
