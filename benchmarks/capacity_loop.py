"""The parts of benchmarks/capacity.py beside the analysis: the message loop, memory of a bed, and the naive peer.

The loop: windows are consumed and produced again on another topic, without analysis, by this project's worker (Faust,
decoded and encoded), by bare aiokafka and by confluent-kafka (bytes alone). The peer: JSON messages, the last ten
seconds of each lead analysed by neurokit2 every second, JSON out, as a user would write it at first.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
from kafka import KafkaProducer

from agents.clock import SystemClock
from agents.monitor.bed import BedMonitor, new_bed
from agents.monitor.delivery import Delivery
from agents.settings import Settings
from agents.worker.log_reader import committed_offsets, plain_consumer
from agents.worker.sender import Incoming, Outgoing
from agents.worker.worker import Worker
from benchmarks.capacity_table import PartRows, conditions
from benchmarks.capacity_ward import Options
from benchmarks.ward_run import WardPlan, dated, make_beds, own_prefix, servers
from streams.topics import Topics, ensure_topics
from streams.wire import EcgWindow, decode_window, encode_window
from tests.agents.signals import S
from tests.conftest import Broker

PARTITIONS = 8
MESSAGES = 4000
UNIT_S = 10.0  # of the peer's windows
MEMORY_BEDS, MEMORY_MARKS_S = 12, (30, 60, 120, 240)

Loop = Callable[[Broker, Topics, int], Coroutine[Any, Any, None]]


# ---- the loop --------------------------------------------------------------------------------------------------------


def loop(options: Options, rows: PartRows, messages: int = MESSAGES) -> None:
    """Messages a second, and CPU time of a message, of each client."""
    clients: dict[str, Loop] = {"bare aiokafka": _aiokafka, "this worker's loop": _worker_loop}
    reason = _why_not("confluent_kafka")
    if reason:
        print(f"confluent-kafka is left out: {reason}", flush=True)
        rows.keep({"client": f"confluent-kafka: left out, {reason}", "messages": None, **conditions((0.0, 0.0), None)})
    else:
        clients["confluent-kafka"] = _confluent
    with servers(options.kafka) as (broker, _, _):
        topics = Topics(own_prefix(), PARTITIONS)
        ensure_topics(broker.address, topics)
        _fill(broker, topics.windows, messages)
        for client, run in clients.items():
            load, cpu, began = os.getloadavg()[0], time.process_time(), time.monotonic()
            asyncio.run(run(broker, topics, messages))
            wall_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
            rows.keep(
                {
                    "client": client,
                    "messages": messages,
                    "messages/s": messages / wall_s,
                    "CPU, ms a message": 1000.0 * cpu_s / messages,
                    **conditions((load, os.getloadavg()[0]), None),
                }
            )


def _why_not(module: str) -> str:
    try:
        __import__(module)
    except ImportError as error:
        return str(error)
    return ""


def _fill(broker: Broker, topic: str, messages: int) -> None:
    seconds = 10
    beds = make_beds(WardPlan(beds=32, seconds=seconds))
    producer = KafkaProducer(bootstrap_servers=broker.address, compression_type="lz4", linger_ms=5)
    for k in range(messages):
        window = beds[k % len(beds)][k // len(beds) % seconds]
        producer.send(topic, encode_window(window), key=window.bed_stream.encode())
    producer.flush()
    producer.close()


async def _aiokafka(broker: Broker, topics: Topics, messages: int) -> None:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    consumer = AIOKafkaConsumer(
        topics.windows, bootstrap_servers=broker.address, group_id=f"a-{uuid.uuid4()}", auto_offset_reset="earliest"
    )
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, compression_type="lz4", acks="all")
    await consumer.start()
    await producer.start()
    try:
        futures, taken = [], 0
        while taken < messages:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                taken += len(records)
                futures += [await producer.send(topics.strips, value=r.value, key=r.key) for r in records]
        await asyncio.gather(*futures)
    finally:
        await consumer.stop()
        await producer.stop()


async def _confluent(broker: Broker, topics: Topics, messages: int) -> None:
    from confluent_kafka import Consumer, Producer

    consumer = Consumer(
        {"bootstrap.servers": broker.address, "group.id": f"c-{uuid.uuid4()}", "auto.offset.reset": "earliest"}
    )
    producer = Producer({"bootstrap.servers": broker.address, "compression.type": "lz4", "acks": "all"})
    consumer.subscribe([topics.windows])
    taken = 0
    while taken < messages:
        for record in consumer.consume(500, timeout=0.5):
            if record.error() is None:
                taken += 1
                producer.produce(topics.strips, value=record.value(), key=record.key())
        producer.poll(0)
    producer.flush()
    consumer.close()


class _LoopWorker(Worker):
    """The worker of this project, whose step is to decode the window and to send it on."""

    name = "loop"

    def __init__(self, settings: Settings, wanted: int) -> None:
        super().__init__(settings, SystemClock())
        self._wanted = wanted
        self.finished = asyncio.Event()
        self.agent(self.topics.windows, self._on_window)
        self.app.on_partitions_assigned.connect(self._assigned)

    async def _assigned(self, _app: Any, assigned: set[Any], **_: Any) -> None:
        places = [(at.topic, at.partition) for at in assigned]
        async with plain_consumer(self.settings, self.settings.group(self.name)) as consumer:
            self.hold(await committed_offsets(consumer, places))
        self.ready.set()

    async def _on_window(self, message: Incoming) -> None:
        decode_window(
            message.value,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            n_partitions=self.settings.partitions,
        )
        out = Outgoing(self.topics.strips, (message.key or b"").decode(), message.value or b"")
        await self.sender.send_volatile(out)
        if self.handled + 1 >= self._wanted:
            self.finished.set()


async def _worker_loop(broker: Broker, topics: Topics, messages: int) -> None:
    settings = Settings(
        kafka=broker.address, topic_prefix=topics.prefix, partitions=PARTITIONS, embedded=broker.embedded, site="loop"
    )
    worker = _LoopWorker(settings, messages)
    await worker.start()
    try:
        finished = asyncio.ensure_future(worker.finished.wait())
        ends: set[asyncio.Future[Any]] = {finished, worker.ended}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if worker.ended.done():
            worker.ended.result()
    finally:
        await worker.stop()


# ---- memory ----------------------------------------------------------------------------------------------------------


def memory(options: Options, rows: PartRows) -> None:
    """Resident memory that each bed adds to a process, after seconds of signal; what is free is given back first."""
    clock, settings = SystemClock(), Settings()
    seconds = MEMORY_MARKS_S[-1]
    one = make_beds(WardPlan(beds=1, seconds=seconds))[0]
    _run_bed(_bed_of(one[0], settings, clock), one[:20], 0)  # models and libraries are loaded
    _give_back()
    process, start_ns, load = psutil.Process(), time.time_ns() // S * S, os.getloadavg()[0]
    empty = process.memory_info().rss
    beds = [_bed_of(one[0], settings, clock) for _ in range(MEMORY_BEDS)]
    done = 0
    for mark in MEMORY_MARKS_S:
        for bed in beds:
            own = (replace(w, samples=w.samples.copy()) for w in one[done:mark])  # a bed keeps its messages
            _run_bed(bed, [dated(w, start_ns) for w in own], done)
        done = mark
        _give_back()
        rows.keep(
            {
                "signal, s": mark,
                "beds": MEMORY_BEDS,
                "MB a bed": (process.memory_info().rss - empty) / 1e6 / MEMORY_BEDS,
                **conditions((load, os.getloadavg()[0]), None),
            }
        )


def _give_back() -> None:
    """Without it the memory that a step has freed counts as the beds'."""
    gc.collect()
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).malloc_trim(0)


def _bed_of(window: EcgWindow, settings: Settings, clock: SystemClock) -> BedMonitor:
    return BedMonitor(new_bed(window.bed_stream, window.unit, window.bed, S, window.patient), settings, clock)


def _run_bed(bed: BedMonitor, windows: list[EcgWindow], first: int) -> None:
    for k, window in enumerate(windows):
        bed.apply_window(window, first + k, window.gateway_time_ns)


# ---- the peer --------------------------------------------------------------------------------------------------------


def peer(options: Options, rows: PartRows, updates: int = 3) -> None:
    """CPU time a bed and second: the naive program, and this one's step without Kafka."""
    seconds = 20 + updates
    windows = make_beds(WardPlan(beds=1, seconds=seconds))[0]
    load = os.getloadavg()[0]
    ours = _cpu_ms(_our_steps(windows), len(windows))
    texts = [_json_of(window) for window in windows]
    peers = {
        "neurokit2, each lead: clean, peaks": _neurokit2(texts, updates, waves=False),
        "neurokit2, each lead: clean, peaks, waves (dwt)": _neurokit2(texts, updates, waves=True),
    }
    found = {"this program: decode, analysis, documents": ours}
    found |= {name: _cpu_ms(steps, updates, skip=1) for name, steps in peers.items()}
    for name, ms in found.items():
        rows.keep(
            {
                "program": name,
                "CPU, ms a bed and second": ms,
                "times ours": ms / ours,
                **conditions((load, os.getloadavg()[0]), None),
            }
        )


def _cpu_ms(steps: Iterator[None], count: int, skip: int = 0) -> float:
    """CPU milliseconds of a step; the first ``skip`` load libraries, and do not count."""
    for _ in range(skip):
        next(steps)
    began, taken = time.process_time(), 0
    for _ in steps:
        taken += 1
    return 1000.0 * (time.process_time() - began) / max(1, min(count, taken))


def _our_steps(windows: list[EcgWindow]) -> Iterator[None]:
    clock, settings = SystemClock(), Settings()
    bed = _bed_of(windows[0], settings, clock)
    delivery: Any = Delivery(settings, clock, None, None, None, None)  # type: ignore[arg-type]  # it only encodes
    start_ns = time.time_ns() // S * S - len(windows) * S
    for k, window in enumerate(windows):
        value = encode_window(dated(window, start_ns))
        read = decode_window(value, topic="w", partition=0, offset=k, key=window.bed_stream.encode())
        delivery.prepare(bed, bed.apply_window(read, k, read.gateway_time_ns))
        yield


def _json_of(window: EcgWindow) -> str:
    mv = window.to_ecg(window.device_time_ns).mv
    return json.dumps({"bed": window.bed, "leads": window.leads, "fs": window.fs_hz, "mv": mv.round(4).tolist()})


def _neurokit2(texts: list[str], updates: int, *, waves: bool) -> Iterator[None]:
    """One update a message: the last ten seconds of each lead."""
    import neurokit2 as nk

    signal: np.ndarray[Any, Any] | None = None
    for k, text in enumerate(texts):
        message = json.loads(text)
        new, fs = np.array(message["mv"]), int(message["fs"])
        signal = new if signal is None else np.concatenate([signal, new], axis=1)[:, -round(UNIT_S * fs) :]
        if k < len(texts) - updates - 1:
            continue
        out = {}
        for lead, mv in zip(message["leads"], signal, strict=True):
            clean = nk.ecg_clean(mv, fs)
            peaks = nk.ecg_peaks(clean, fs)[1]["ECG_R_Peaks"]
            if waves:
                nk.ecg_delineate(clean, peaks, fs, method="dwt")
            out[lead] = {"hr": 60.0 * fs / float(np.mean(np.diff(peaks))), "peaks": peaks.tolist()}
        json.dumps(out)
        yield
