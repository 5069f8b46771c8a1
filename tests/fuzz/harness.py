"""Runs a schedule in process under injected time: a fuzzed bed and a clean one on the same partition.

In: the records of the fuzzed bed. Out: `Run`, everything that the partition wrote, with the times of the writes, the
dead letters, and what ended it. The clean bed has a planted asystole.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from agents.clock import ManualClock
from agents.metrics import Metrics
from agents.monitor.delivery import Delivery
from agents.monitor.partition_processor import PartitionProcessor
from agents.monitor.state_replay import StateReplay
from agents.settings import Settings
from agents.worker.dead_letters import letter_of
from agents.worker.sender import Incoming, Outgoing, Sender
from streams.topics import Topics
from streams.wire import encode_window
from tests.agents.monitor.memory_log import MemoryLog, may_always_write
from tests.agents.signals import T0_NS, S, ecg, messages
from tests.fuzz.feed import Record
from tests.fuzz.illegal_messages import PARTITIONS
from tests.fuzz.schedule import CLEAN_STREAM

SETTINGS = Settings(partitions=PARTITIONS, gem=False)
TOPICS = Topics(SETTINGS.topic_prefix, SETTINGS.partitions)
TICK_S = 0.5  # of the monitor's clock of the beds
AFTER_S = 12.0  # the run goes on this long after the last record
CLEAN_BEFORE_S, CLEAN_SECONDS = 8.0, 14.0
CLEAN_STARTS_S = (0.0, 8.0, 16.0)  # the clean bed begins at one of these
BURN_IN = 3  # records before CPU seconds are compared: networks load on first use


@dataclass(frozen=True)
class Written:
    """One message that the partition wrote: when, where to, and what."""

    at_ns: int
    message: Outgoing


@dataclass
class Run:
    """What came of a schedule.

    Attributes
    ----------
    written : list of Written
    rejected : dict
        Offset of a dead-lettered record to the reasons, one for each time.
    ended : str
        The exception that left the processor; empty where none did.
    slowest_s : float
        CPU seconds of the slowest record.
    """

    written: list[Written] = field(default_factory=list)
    rejected: dict[int, list[str]] = field(default_factory=dict)
    ended: str = ""
    slowest_s: float = 0.0
    slowest: int = -1
    stop_ns: int = 0
    clean_start_s: float = 0.0

    def of(self, bed_stream: str, topic: str) -> list[tuple[int, bytes]]:
        """Time and value of the messages of one bed on one topic."""
        return [
            (w.at_ns, w.message.value) for w in self.written if (w.message.key, w.message.topic) == (bed_stream, topic)
        ]


class _Sender(Sender):
    def __init__(self, clock: ManualClock, log: MemoryLog, run: Run) -> None:
        super().__init__(SETTINGS, clock, Metrics())
        self._clock, self._log, self._run = clock, log, run

    async def send(self, sent: Sequence[Outgoing]) -> None:
        self._run.written += [Written(self._clock.now_ns(), message) for message in sent]

    async def send_volatile(self, message: Outgoing) -> None:
        self._run.written.append(Written(self._clock.now_ns(), message))

    async def reject(self, message: Incoming, reason: str, *, wait: bool = True) -> None:
        letter_of(message, reason, self._clock.now_ns())
        self._run.rejected.setdefault(message.offset, []).append(reason)


def run(records: Sequence[Record], clean_start_s: float = 0.0) -> Run:
    """Feed the records of the fuzzed bed, and those of the clean one from a time on, to a fresh partition."""
    return asyncio.run(_run([*records], clean_start_s))


async def _run(records: list[Record], clean_start_s: float) -> Run:
    found, log, clock = Run(clean_start_s=clean_start_s), MemoryLog(), ManualClock(T0_NS)
    metrics = Metrics()
    sender = _Sender(clock, log, found)
    processor = PartitionProcessor(
        0,
        settings=SETTINGS,
        clock=clock,
        log=log,
        delivery=Delivery(SETTINGS, clock, sender, metrics, may_always_write, lambda bed, signal: None),
        metrics=metrics,
        generation=1,
    )
    state_replay = StateReplay(SETTINGS)
    state_replay.begin()
    await processor.restore_beds(log)
    await processor.restore_signal(log, 0, state_replay, 0)
    last_s = max([r.append_s for r in records] + [clean_start_s + CLEAN_SECONDS])
    ticks = [(T0_NS + round(k * TICK_S * S), 2, None) for k in range(1, round((last_s + AFTER_S) / TICK_S))]
    arrivals = [(T0_NS + round(r.append_s * S), 1, r) for r in records]
    clean = [(T0_NS + round(r.append_s * S), 0, r) for r in clean_records(clean_start_s)]
    # The clean bed's record comes first of those of one instant: its times are then the same in every run.
    events: list[tuple[int, int, Record | None]] = sorted([*ticks, *arrivals, *clean], key=lambda e: e[:2])
    log.windows += [
        Incoming(TOPICS.windows, 0, offset, at_ns, record.key, record.value)
        for offset, (at_ns, record) in enumerate((at, r) for at, _, r in events if r is not None)
    ]
    await _feed(processor, clock, log, found, events)
    found.stop_ns = clock.now_ns()
    return found


async def _feed(
    processor: PartitionProcessor,
    clock: ManualClock,
    log: MemoryLog,
    found: Run,
    events: Sequence[tuple[int, int, Record | None]],
) -> None:
    waiting, log.windows = log.windows, []  # the log ends where the time stands
    for at_ns, _, record in events:
        clock.set_ns(at_ns)
        try:
            if record is None:
                await processor.tick()
                continue
            log.windows.append(waiting[len(log.windows)])
            began = time.process_time()
            await processor.on_window(log.windows[-1])
            took = time.process_time() - began
            if took > found.slowest_s and len(log.windows) > BURN_IN:
                found.slowest_s, found.slowest = took, len(log.windows) - 1
        except Exception as error:
            where = error.__traceback__
            while where is not None and where.tb_next is not None:
                where = where.tb_next
            place = "" if where is None else f"{where.tb_frame.f_code.co_name}:{where.tb_lineno}"
            found.ended = f"{type(error).__name__} in {place}: {str(error)[:200]}"
            return


@lru_cache(maxsize=len(CLEAN_STARTS_S))
def clean_records(start_s: float) -> tuple[Record, ...]:
    """The clean bed: beats, then a standstill."""
    unit, _, bed = CLEAN_STREAM.partition("/")
    start_ns = T0_NS + round(start_s * S)
    silent = [(CLEAN_BEFORE_S, CLEAN_SECONDS)]
    signal = ecg(CLEAN_SECONDS, leads=("II",), silent=silent, start_ns=start_ns, seed=5)
    windows = messages(signal, unit=unit, bed=bed, patient="p-c1ea", epoch=5)
    return tuple(
        Record((w.gateway_time_ns - T0_NS) / S + 0.02, CLEAN_STREAM.encode(), encode_window(w)) for w in windows
    )


@lru_cache(maxsize=len(CLEAN_STARTS_S))
def clean_alone(start_s: float) -> Run:
    """The run of the clean bed without another."""
    return run((), start_s)


def documents(found: Run, bed_stream: str, stop_ns: int) -> list[tuple[int, str, Any]]:
    """What was written for a bed up to a time, less the offsets, which count the other bed's records too."""
    return [
        (w.at_ns, w.message.topic, _less_offsets(w.message.value), w.message.headers)
        for w in found.written
        if w.message.key == bed_stream and w.at_ns <= stop_ns
    ]


def _less_offsets(value: bytes) -> Any:
    if not value.startswith(b"{"):
        return value
    document = json.loads(value)
    document.pop("applied", None)
    return document
