"""What one producer, bed or person sends changes nothing for another bed: a running stack, and an asystole in time."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from kafka import KafkaProducer

from streams.consumer import AlertConsumer, Received, UnreadableEntry
from streams.document import ns_of_time
from streams.partition import partition_of
from tests.agents.signals import S, ecg, messages
from tests.agents.stack import PARTITIONS, Stack, WorkerProcess, until
from tests.agents.worker.raw_batches import bomb, produce
from tests.conftest import Broker

BED = "07"
STREAM = f"icu-3/{BED}"
PARTITION = partition_of(STREAM.encode(), PARTITIONS)
IN_TIME_S = 10.0
GROWTH_MB = 350  # of the monitor's resident memory: a batch of 64 MiB is held as output, joined, and as records
SILENCE_S = 12.0  # from the first message of the bed to its last beat


@contextmanager
def live_bed(stack: Stack, seconds: int = 30) -> Iterator[int]:
    """The bed's messages at their own pace, in a thread; its heart stops after `SILENCE_S`. Gives its start, UTC ns."""
    start_ns = time.time_ns() // S * S
    windows = messages(ecg(seconds, silent=[(SILENCE_S, seconds)], start_ns=start_ns), bed=BED)

    def run() -> None:
        for window in windows:
            time.sleep(max(0.0, (window.gateway_time_ns - time.time_ns()) / 1e9))
            stack.producer.send(window)
            stack.producer.flush()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield start_ns
    thread.join()


@contextmanager
def resident_mb(worker: WorkerProcess) -> Iterator[list[float]]:
    """Resident memory of a worker, 20 times a second."""
    seen: list[float] = []
    over = threading.Event()
    process = psutil.Process(worker.process.pid)

    def run() -> None:
        while not over.wait(0.05):
            seen.append(process.memory_info().rss / 2**20)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    until(lambda: bool(seen), 5, "the first sample")
    yield seen
    over.set()
    thread.join()


def asystole_in_time(stack: Stack, consumer: AlertConsumer, start_ns: int) -> list[Received | UnreadableEntry]:
    """Read until the asystole of the bed arrives, which must be in Redis within 10 s of its onset; all entries read."""
    read: list[Received | UnreadableEntry] = []
    deadline = time.monotonic() + SILENCE_S + 30
    while time.monotonic() < deadline:
        for entry in consumer.read(block_s=0.1):
            read.append(entry)
            consumer.ack(entry)
            if isinstance(entry, Received) and entry.alert.code == "ASYSTOLE" and entry.alert.bed == BED:
                onset_ns, written_ms = ns_of_time(entry.alert.onset), int(entry.entry_id.split("-")[0])
                assert onset_ns >= start_ns
                assert written_ms / 1e3 - onset_ns / 1e9 <= IN_TIME_S
                return read
    raise AssertionError(f"no asystole of bed {BED}; dead letters: {stack.dead_letters()}")


def test_batches_of_1200_mb_neither_stall_nor_grow_the_monitor(
    kafka: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    # Given a monitor, and on the partition of a bed a batch of each codec that expands to 1,200 MB or as far as it can
    evil = {"zstd": bomb("zstd", 1200, 1_000_000), "gzip": bomb("gzip", 100, 1_000_000), "lz4": bomb("lz4", 80, 2**20)}
    assert all(len(batch) < 2**20 for batch in evil.values())
    with Stack(kafka, redis_url, topic_prefix, tmp_path) as stack:
        monitor, _publisher = stack.start("monitor", "publisher")
        consumer = AlertConsumer(stack.redis, "main", "icu-3", "desk", "desk-1")
        with live_bed(stack) as start_ns:
            until(lambda: STREAM in stack.beds(), 10, "the bed is monitored")
            with resident_mb(monitor) as resident:
                before = resident[-1]
                # When they are sent while the bed's signal arrives
                sent = {
                    name: produce(kafka.address, stack.topics.windows, PARTITION, batch) for name, batch in evil.items()
                }
                # Then the bed's asystole is delivered in time, and the memory stays in its bound
                asystole_in_time(stack, consumer, start_ns)
                assert max(resident) - before < GROWTH_MB, f"{before:.0f} MB, then {max(resident):.0f} MB"
        # And each batch is one dead letter with its reason
        until(lambda: len(stack.dead_letters()) >= len(sent), 20, "the dead letters")
        letters = {int(x["offset"]): x["reason"] for x in stack.dead_letters()}
        assert len(letters) == len(sent)
        for (name, base), (offset, reason) in zip(
            sorted(sent.items(), key=lambda x: x[1]), sorted(letters.items()), strict=True
        ):
            assert offset > base
            assert reason.startswith(f"{name} batch of {len(evil[name])} bytes") and "expands past 64 MiB" in reason
        assert all(worker.process.poll() is None for worker in stack.workers)


ACTION: dict[str, Any] = {
    "schema": 1,
    "id": "s1",
    "action": "silence",
    "bed_stream": STREAM,
    "by": "rn-12",
    "args": {"seconds": 0},
}


def broken_actions() -> Iterator[bytes]:
    """Actions that ended a worker, and their like, each under an id of its own."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for changes in (
        {"at": now, "args": {"x": "y" * 700_000}},
        {"at": now, "args": {"seconds": "9" * 4000}},
        {"at": now, "args": {"seconds": 1e308}},
        {"at": now, "action": "limits", "args": {"BRADY": {"rate": [1]}, "VTACH": {"beats": {}}}},
        {"at": now, "action": "limits", "args": {"BRADY": {"rate": "9" * 3000}, "": {"on": None}}},
        {"at": now, "bed_stream": "x" * 900},
        {"at": "10000-01-01T00:00:00Z"},
        {"at": 1e300},
    ):
        yield json.dumps(ACTION | {"id": f"broken-{next(_ids)}"} | changes).encode()
    yield b"\xff" * 50
    yield b"[" * 20_000


_ids = itertools.count(1)
FAR = ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00Z")


def test_garbage_in_inbox_topics_and_alert_stream_delays_no_asystole(
    kafka: Broker, redis_url: str, topic_prefix: str, tmp_path: Path
) -> None:
    with Stack(kafka, redis_url, topic_prefix, tmp_path) as stack:
        topics, inbox, alerts = stack.topics, "ecg:{main}:actions", "ecg:{main}:alerts:icu-3"
        # Given a stack with an inbox that is broken before the publisher starts
        stack.redis.xadd(inbox, {b"\xff\xfe": b"\xfd", "id": "x"})
        stack.redis.xadd(inbox, {"doc": json.dumps(ACTION | {"id": "big", "args": {"x": "y" * 3_000_000}})})
        stack.start("monitor", "publisher", "interpreter")
        consumer = AlertConsumer(stack.redis, "main", "icu-3", "desk", "desk-1")
        direct = KafkaProducer(bootstrap_servers=kafka.address)
        with live_bed(stack) as start_ns:
            until(lambda: STREAM in stack.beds(), 10, "the bed is monitored")
            # When garbage arrives by every way, and the bed's alert stream is lost
            for doc in broken_actions():
                stack.redis.xadd(inbox, {"doc": doc})
                direct.send(topics.actions, doc, STREAM.encode(), partition=PARTITION)
            for k, at in enumerate(FAR):
                stack.redis.xadd(inbox, {"doc": json.dumps(ACTION | {"id": f"far-{k}", "at": at})})
                direct.send(
                    topics.actions,
                    json.dumps(ACTION | {"id": f"far-direct-{k}", "at": at}).encode(),
                    STREAM.encode(),
                    partition=PARTITION,
                )
            for value in (b"\xff", b"{}", b"[" * 50_000, b"x" * 900_000, None):
                direct.send(topics.interpretations, value, STREAM.encode(), partition=PARTITION)
                direct.send(topics.flagged, value, STREAM.encode(), partition=PARTITION)
            direct.flush()
            stack.redis.xadd(alerts, {"doc": "{"})
            stack.redis.xadd(alerts, {"doc": b"\xff"})
            until(
                lambda: len([x for x in consumer.read(block_s=0.1) if isinstance(x, UnreadableEntry)]) > 0,
                10,
                "garbage",
            )
            stack.redis.delete(alerts)
            stack.redis.xadd(alerts, {"doc": "garbage again"})
            # Then the bed's asystole is delivered in time
            read = asystole_in_time(stack, consumer, start_ns)
            assert [x.fields for x in read if isinstance(x, UnreadableEntry)] == [{b"doc": b"garbage again"}]
        # And no worker has ended, the inbox is empty, and what was rejected is in the dead letters
        until(lambda: stack.redis.xlen(inbox) == 0, 20, "the inbox is empty")
        assert all(worker.process.poll() is None for worker in stack.workers)
        changes = [line.what for line in stack.beds()[STREAM].changes]
        assert len([what for what in changes if "time of arrival" in what]) == 2 * len(FAR), changes
        least = {inbox: 8, topics.actions: 6, topics.interpretations: 5, topics.flagged: 5}

        def by_topic() -> dict[str, int]:
            return {name: len([x for x in stack.dead_letters() if x["topic"] == name]) for name in least}

        until(lambda: all(n >= least[name] for name, n in by_topic().items()), 20, "the dead letters")
        letters, found = stack.dead_letters(), by_topic()
        assert (found[topics.interpretations], found[topics.flagged]) == (5, 5), found
        assert "3000" in "".join(x["reason"] for x in letters if x["topic"] == inbox) and any(
            "truncated" in x for x in letters
        )
