"""`PartitionProcessor`: the beds of one partition, in the states RESTORING, LIVE, CATCHING_UP and REVOKED.

It owns the beds, the lock, the next offset and the backfill task of the partition. Windows, actions, interpretations,
encoder results and the passing of time meet under one lock: the outputs of one step are delivered before the next step
begins. Log, delivery and clock are passed in. The numbers in the comments are those of docs/delivery.md.

===========  =========================================================================================================
RESTORING    the beds and their signal state are read from Kafka; messages wait
LIVE         each window is processed as it comes; a backfill may run beside it
CATCHING_UP  the partition lags: windows are skipped up to the latest, whose tail is then processed
REVOKED      another worker may hold the partition; nothing is written. `reassign` leads back, `discard` is final
===========  =========================================================================================================
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from pydantic import ValidationError

from agents.clock import Clock
from agents.lifecycle.outputs import Outputs
from agents.metrics import Metrics
from agents.monitor.backfill import backfill
from agents.monitor.bed import BedMonitor, new_bed, system_bed
from agents.monitor.delivery import Delivery
from agents.monitor.feed_problems import SERVICE_CODES, service_report
from agents.monitor.partition_log import LogReader, PartitionLog
from agents.monitor.warm_up import WarmUp
from agents.settings import Settings
from agents.worker.sender import Incoming
from models.ecg import Ecg
from streams.alert import EncoderInfo, InterpretationMessage
from streams.bed import SYSTEM, Action, Bed
from streams.document import ns_of_time
from streams.partition import partition_of
from streams.topics import Topics
from streams.wire import EcgWindow, RejectedMessage, decode_window

log = logging.getLogger(__name__)

TAIL_S = 8.0  # of the latest signal: every lethal rhythm can be detected in it anew (EXTREME_BRADY needs 8 s)
SKIP_FROM = 12  # waiting windows a bed from which windows are skipped: fewer are processed faster than skipped
SHORTEST_MESSAGE_S = 0.2
D = TypeVar("D", Action, InterpretationMessage)


class PartitionState(StrEnum):
    """States of a `PartitionProcessor`."""

    RESTORING = "restoring"
    LIVE = "live"
    CATCHING_UP = "catching up"
    REVOKED = "revoked"


@dataclass(eq=False)
class _Skip:
    """Windows below offset ``until`` are skipped; ``tails`` holds the last `TAIL_S` of each bed."""

    until: int
    tails: dict[str, deque[Incoming]] = field(default_factory=dict)

    def keep(self, bed: BedMonitor, message: Incoming) -> None:
        """Keep a message as one of the last of its bed."""
        tail = self.tails.get(bed.bed.bed_stream)
        if tail is None:
            length = math.ceil(TAIL_S / max(SHORTEST_MESSAGE_S, bed.live.reassembly.message_s))
            tail = self.tails[bed.bed.bed_stream] = deque(maxlen=length)
        tail.append(message)


class PartitionProcessor:
    """The state and the steps of one partition.

    Parameters
    ----------
    number : int
        Of the partition.
    settings, clock, delivery, metrics
        Of the worker.
    log : PartitionLog
        Windows and bed documents of the partition.
    generation : int
        Of the consumer group, in which the partition is held.
    encoder : EncoderInfo or None
        For the provenance of alerts.
    worker_lag_s : callable
        Lag of the newest signal over all partitions of the worker; None: this partition's alone.
    progressed : callable
        Called after each replayed window, for the watch over progress.
    fail : callable
        Called with the exception that ended the backfill.

    Attributes
    ----------
    state : PartitionState
    beds : dict
        Bed stream to its monitor.
    next_offset : int
        Of the first window that was not handled.
    generation : int
        In every document of the partition.
    lag_s : float
        From append to processing of the last window.
    backfill_task : asyncio.Task or None
    """

    def __init__(
        self,
        number: int,
        *,
        settings: Settings,
        clock: Clock,
        log: PartitionLog,
        delivery: Delivery,
        metrics: Metrics,
        generation: int,
        encoder: EncoderInfo | None = None,
        worker_lag_s: Callable[[], float] | None = None,
        progressed: Callable[[], None] = lambda: None,
        fail: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        self.number = number
        self.clock = clock
        self.log = log
        self.state = PartitionState.RESTORING
        self.beds: dict[str, BedMonitor] = {}
        self.next_offset = 0
        self.generation = generation
        self.lag_s = 0.0
        self.backfill_task: asyncio.Task[None] | None = None
        self._settings = settings
        self._topics = Topics(settings.topic_prefix, settings.partitions)
        self._delivery = delivery
        self._metrics = metrics
        self._encoder = encoder
        self._worker_lag_s = worker_lag_s
        self._progressed = progressed
        self._fail = fail
        self._lock = asyncio.Lock()  # held for one step and its delivery
        self._available = asyncio.Event()  # restored and held, or discarded
        self._restored = False
        self._discarded = False
        self._skip: _Skip | None = None

    # ---- held, restored, revoked ---------------------------------------------------------------------------------

    @property
    def restored(self) -> bool:
        """The beds have their state back."""
        return self._restored

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[bool]:
        """One step at a time, and only while the partition is restored and held; False where it was discarded."""
        while True:
            await self._available.wait()
            await self._lock.acquire()
            if self._available.is_set():
                break
            self._lock.release()  # it was revoked while this waited for the lock
        try:
            yield not self._discarded
        finally:
            self._lock.release()

    async def restore_beds(self, reader: LogReader) -> None:
        """Restore the bed documents, and publish their alerts again."""
        documents = await reader.read_beds()  # restore 2
        self.beds = {name: self._monitor_of(bed) for name, bed in documents.items()}
        self._set_generation(self.generation, max((bed.generation for bed in documents.values()), default=-1))
        for bed in self.beds.values():
            await self._delivery.republish_alerts(bed)  # restore 3

    async def restore_signal(self, reader: LogReader, committed: int, warm_up: WarmUp, beds: int) -> None:
        """Restore the signal state from the windows before the committed offset; then the partition is LIVE.

        Parameters
        ----------
        committed : int
            The offset of the windows that comes next.
        warm_up : WarmUp
            Decides how many seconds are replayed.
        beds : int
            In all partitions of the worker that are not restored yet.
        """
        async with self._lock:
            self.next_offset = committed
            if self.beds:
                await self._replay(reader, committed, warm_up, warm_up.seconds(beds))  # restore 4
            for bed in self.beds.values():
                await self._delivery.republish_strips(bed)  # restore 5
            self._restored = True
            self.state = PartitionState.LIVE  # restore 6
            self._available.set()
            self._start_backfill()

    async def restore(self, committed: int, warm_up: WarmUp) -> None:
        """Restore this partition alone: beds, then signal."""
        async with self.log.open() as reader:
            await self.restore_beds(reader)
            await self.restore_signal(reader, committed, warm_up, len(self.beds))

    async def revoke(self) -> None:
        """Write nothing any more; returns when the step in progress is finished."""
        self.state = PartitionState.REVOKED
        self._available.clear()
        async with self._lock:
            pass

    def reassign(self, generation: int) -> None:
        """Held again in the generation after the last one: nobody else held it, so the state is still valid."""
        self._set_generation(generation, self.generation)
        self.state = PartitionState.LIVE if self._skip is None else PartitionState.CATCHING_UP
        self._available.set()

    def discard(self) -> None:
        """Another worker may have held the partition: this state is not used any more."""
        self.state = PartitionState.REVOKED
        self._discarded = True
        if self.backfill_task is not None:
            self.backfill_task.cancel()
        self._available.set()  # the steps that wait end

    def _set_generation(self, generation: int, written: int) -> None:
        """Hold the partition in ``generation``; ``written`` is the highest generation in its documents.

        A group that was forgotten (its offsets expire after a week without workers) counts from the beginning again.
        Readers drop lower generations, so the documents then go on from the written one.
        """
        self.generation = generation if generation > written else written + 1
        for bed in self.beds.values():
            bed.set_generation(self.generation)

    async def _replay(self, reader: LogReader, committed: int, warm_up: WarmUp, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        first = await reader.offset_before(committed, seconds)
        async for batch in reader.read_windows(first, committed):
            for message in batch:
                try:
                    window = self.decode(message)
                except RejectedMessage:
                    continue  # it was dead-lettered when it was first read
                bed = self.beds.get(window.bed_stream)
                if bed is not None:
                    began = loop.time()
                    bed.apply_window(window, message.offset, message.append_ns, replay=True)
                    warm_up.add_cost(loop.time() - began, window.duration_s)
                    self._progressed()
                await asyncio.sleep(0)

    # ---- windows -------------------------------------------------------------------------------------------------

    async def on_window(self, message: Incoming) -> None:
        """Process one window, or skip it while the partition catches up."""
        async with self.exclusive() as held:
            if not held or message.offset < self.next_offset:
                return
            if self.state is PartitionState.LIVE:
                await self._catch_up_if_lagging(message)
            if self._skip is None:
                await self.process_window(message)
            else:
                await self._skip_window(self._skip, message)
            self.next_offset = message.offset + 1

    async def process_window(self, message: Incoming) -> None:
        """Process one window under the lock."""
        self.lag_s = self._lag_s(message)
        self._metrics.lag.observe(self.lag_s)
        try:
            window = self.decode(message)
        except RejectedMessage as rejected:
            await self.reject(message, rejected.reason)
            return
        bed = self._bed_of(window, message.append_ns)
        with self._metrics.step.time():
            outputs = bed.apply_window(window, message.offset, message.append_ns)
        self._metrics.windows.inc()
        await self.deliver(bed, outputs)

    async def _catch_up_if_lagging(self, message: Incoming) -> None:
        """Latest first 1: at more lag than the setting and many waiting windows, catch up."""
        lag_s = self._lag_s(message)
        if lag_s <= self._settings.live_lag_s:
            return
        end = await self.log.current_end()
        waiting = end - message.offset
        if waiting <= SKIP_FROM * max(1, len(self.beds)):
            return
        log.warning("partition %d lags %.1f s: %d windows are left to the backfill", self.number, lag_s, waiting)
        self._skip = _Skip(end)
        self.state = PartitionState.CATCHING_UP
        self._metrics.skips_to_latest.inc()

    async def _skip_window(self, skip: _Skip, message: Incoming) -> None:
        bed = self.beds.get((message.key or b"").decode(errors="replace"))
        if bed is None:
            try:
                bed = self._bed_of(self.decode(message), message.append_ns)
            except RejectedMessage as rejected:
                await self.reject(message, rejected.reason)
        if bed is not None and (message.offset > bed.offset or bed.bed.bed_stream in skip.tails):
            if bed.bed.bed_stream not in skip.tails:
                await self.deliver(bed, bed.skip_to_latest(message.offset, skip.until - 1))  # latest first 2
            skip.keep(bed, message)  # latest first 3
        if message.offset >= skip.until - 1:
            await self._process_tails(skip)

    async def _process_tails(self, skip: _Skip) -> None:
        """Latest first 4: the tails are taken out of the skipped ranges and processed; the partition is LIVE."""
        self._skip = None
        self.state = PartitionState.LIVE
        for name, tail in skip.tails.items():
            bed = self.beds[name]
            await self.deliver(bed, bed.reclaim_tail(tail[0].offset))
        for message in sorted((m for tail in skip.tails.values() for m in tail), key=lambda m: m.offset):
            await self.process_window(message)
        self._start_backfill()

    def _start_backfill(self) -> None:
        running = self.backfill_task is not None and not self.backfill_task.done()
        if not running and any(bed.bed.skipped for bed in self.beds.values()):
            self.backfill_task = asyncio.create_task(self._run_backfill())

    async def _run_backfill(self) -> None:
        try:
            await backfill(self)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._fail(error)

    # ---- actions, interpretations, encoder results, time ---------------------------------------------------------

    async def on_action(self, message: Incoming) -> None:
        """Apply a person's action to its bed."""
        async with self.exclusive() as held:
            action = await self._read(message, Action.from_json, "action") if held else None
            if action is None:
                return
            bed = self.beds.get(action.bed_stream)
            if bed is None and action.action == "admit":  # a person may be faster than the bed's first window
                unit, _, name = action.bed_stream.partition("/")
                fresh = new_bed(action.bed_stream, unit, name or unit, self.clock.now_ns())
                bed = self.beds[action.bed_stream] = self._monitor_of(fresh)
            if bed is None:
                hint = "its first window or `admit` makes it one"
                await self.reject(message, f"bed_stream {action.bed_stream!r} is no bed here: {hint} ({message.place})")
            elif message.offset > bed.bed.applied.get(self._topics.actions, -1):
                outputs, outcome = bed.apply_action(action, message.offset)
                if not outcome.applied:
                    log.info("%s on %s changed nothing: %s", action.action, action.bed_stream, outcome.reason)
                await self.deliver(bed, outputs)

    async def on_interpretation(self, message: Incoming) -> None:
        """Attach an interpretation to its alert; on `SYSTEM`, raise or end the alarm of a missing service."""
        async with self.exclusive() as held:
            document = await self._read(message, InterpretationMessage.from_json, "interpretation") if held else None
            if document is None:
                return
            if document.bed_stream == SYSTEM:
                await self._on_service_state(document, message.offset)
                return
            bed = self.beds.get(document.bed_stream)
            if bed is None:
                await self.reject(message, f"bed_stream {document.bed_stream!r} is no bed here ({message.place})")
            elif message.offset > bed.bed.applied.get(self._topics.interpretations, -1):
                outputs, outcome = bed.apply_interpretation(document, message.offset)
                if not outcome.applied:
                    log.info("interpretation of %s changed nothing: %s", document.alert_id, outcome.reason)
                await self.deliver(bed, outputs)

    async def _on_service_state(self, document: InterpretationMessage, offset: int) -> None:
        """Raise the alarm of a missing service (its message has a reason), or end it."""
        if document.alert_id not in SERVICE_CODES:
            return
        bed = self.beds.get(SYSTEM)
        if bed is None:
            bed = self.beds[SYSTEM] = self._monitor_of(system_bed(ns_of_time(document.interpretation.at)))
        if offset <= bed.bed.applied.get(self._topics.interpretations, -1):
            return
        report = service_report(bed.bed, document)
        if report is not None:
            await self.deliver(bed, bed.apply_reports([report], {self._topics.interpretations: offset}))

    async def on_encoder_result(self, bed_stream: str, ecg: Ecg, findings: Mapping[str, float]) -> None:
        """Apply the encoder's findings in ten seconds of a bed."""
        if not self._restored:
            return
        async with self.exclusive() as held:
            bed = self.beds.get(bed_stream)
            if bed is not None and held:
                await self.deliver(bed, bed.apply_encoder_result(ecg, findings, trained=True))

    async def tick(self) -> None:
        """Let time pass for all beds: about once a second, in LIVE only, and never in the way of a window."""
        if self.state is not PartitionState.LIVE or self._lock.locked():
            return
        async with self.exclusive() as held:
            if not held or self._skip is not None:
                return
            end = self.log.end()
            caught_up = end is not None and self.next_offset >= end
            if caught_up:
                self.lag_s = 0.0
            for bed in list(self.beds.values()):
                await self.deliver(bed, bed.tick(caught_up=caught_up))

    # ---- for the backfill, and helpers ---------------------------------------------------------------------------

    async def deliver(self, bed: BedMonitor, outputs: list[Outputs]) -> None:
        """Deliver the outputs of a step in their order."""
        await self._delivery.deliver(bed, outputs)

    async def reject(self, message: Incoming, reason: str) -> None:
        """Dead-letter a message with its reason."""
        await self._delivery.reject(message, reason)

    def worker_lag_s(self) -> float:
        """Lag of the newest signal over all partitions of the worker, seconds."""
        return self.lag_s if self._worker_lag_s is None else self._worker_lag_s()

    def decode(self, message: Incoming) -> EcgWindow:
        """The window of a message; raises `RejectedMessage`."""
        if message.batch_error:
            raise RejectedMessage(f"{message.batch_error} ({message.place})")
        return decode_window(
            message.value,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            n_partitions=self._settings.partitions,
            patient_pattern=self._settings.patient_pattern,
        )

    async def _read(self, message: Incoming, parse: Callable[[bytes], D], name: str) -> D | None:
        """The document of a message to one bed; None, and a dead letter, where it is invalid."""
        try:
            if message.batch_error:
                raise ValueError(message.batch_error)
            document = parse(message.value or b"")
            self._check_key(message, document.bed_stream)
        except ValueError as error:  # pydantic's ValidationError is one
            await self.reject(message, f"no {name}: {_reason_of(error)} ({message.place})")
            return None
        return document

    def _check_key(self, message: Incoming, bed_stream: str) -> None:
        if (message.key or b"").decode(errors="replace") != bed_stream:
            raise ValueError(f"bed_stream {bed_stream!r} is not the message key {message.key!r}")
        right = partition_of(bed_stream.encode(), self._settings.partitions)
        if message.partition != right:
            raise ValueError(f"bed_stream {bed_stream!r} belongs on partition {right}, not {message.partition}")

    def _lag_s(self, message: Incoming) -> float:
        return max(0.0, (self.clock.now_ns() - message.append_ns) / 1e9)

    def _monitor_of(self, bed: Bed) -> BedMonitor:
        return BedMonitor(bed, self._settings, self.clock, encoder=self._encoder, generation=self.generation)

    def _bed_of(self, window: EcgWindow, append_ns: int) -> BedMonitor:
        bed = self.beds.get(window.bed_stream)
        if bed is None:
            fresh = new_bed(window.bed_stream, window.unit, window.bed, append_ns, window.patient)
            bed = self.beds[window.bed_stream] = self._monitor_of(fresh)
        return bed


def _reason_of(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['msg']}" for e in error.errors()[:5])
    return str(error)
