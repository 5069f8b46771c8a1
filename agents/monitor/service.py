"""The monitor: the one writer of beds and alerts (docs/delivery.md says what is promised, step by step).

A Faust app over windows, actions and interpretations, whose equal partitions always meet in one worker. Each partition
is worked on one message at a time (`Partition.lock`); what a turn of a bed gives leaves in this order: the bed
document, acknowledged; strips and alerts, acknowledged; what is flagged; only then is the message done, and its offset
committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pydantic import ValidationError

from agents.clock import Clock
from agents.lifecycle.condition import ConditionReport
from agents.lifecycle.outputs import Outputs
from agents.monitor.backfill import analyse_behind
from agents.monitor.bed import BedMonitor, new_bed, system_bed
from agents.monitor.delivery import Delivery
from agents.monitor.encoder_tier import EncoderTier
from agents.monitor.feed_problems import open_alert
from agents.monitor.partition_processor import Partition, PassingOver
from agents.monitor.restore import read_beds
from agents.monitor.warm_up import WarmUp
from agents.settings import Settings
from agents.worker.lease import Lease
from agents.worker.log_reader import committed_offsets, offset_before, plain_consumer, read_range
from agents.worker.sender import Incoming
from agents.worker.worker import Worker
from models.ecg import Ecg
from streams.alert import InterpretationMessage
from streams.bed import SYSTEM, Action, Bed
from streams.document import ns_of_time
from streams.partition import partition_of
from streams.wire import EcgWindow, RejectedMessage, decode_window

log = logging.getLogger(__name__)

TICK_S = 0.5  # half of the second that the promises about time are kept to
ENCODER_LAG_S = 1.0  # at more lag the encoder gets nothing: it thins out before the rhythm tier waits
PASS_OVER_FROM = 12  # windows a bed that must wait before any is passed over: a handful is judged faster than skipped
REPORT_INTERVAL_S = 30.0  # the monitor that holds `_system` may be a new one
SERVICES = ("GEM_UNAVAILABLE", "ENCODER_UNAVAILABLE")
D = TypeVar("D", Action, InterpretationMessage)


class Monitor(Worker):
    """The monitor worker."""

    name = "monitor"

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self.partitions: dict[int, Partition] = {}
        self.lease = Lease(self.app, settings.session_timeout_s)
        self.encoder = EncoderTier(settings)
        self.encoder.found = self._encoder_found
        self.delivery = Delivery(settings, clock, self.sender, self.metrics, self.lease.check, self._offer)
        self.warm = WarmUp(settings)
        self.lag_s = 0.0
        self.holding = asyncio.Event()
        self._restoring: asyncio.Task[None] | None = None
        topics = self.topics
        for topic, handle in (
            (topics.windows, self._window),
            (topics.actions, self._action),
            (topics.interpretations, self._interpretation),
        ):
            self.agent(topic, handle)
        self.app.on_partitions_assigned.connect(self._assigned)
        self.app.on_partitions_revoked.connect(self._revoked)

    async def start(self) -> None:
        await self.encoder.start()
        self.run_forever(self.lease.keep_beating(), "the watch over this process")
        await super().start()
        self.run_forever(self._tick_forever(), "the clock of the beds")
        self.run_forever(self._tell_encoder_forever(), "the report of the encoder")

    async def stop(self) -> None:
        await super().stop()
        await self.encoder.stop()

    # ---- taking partitions over ----------------------------------------------------------------------------------

    async def _revoked(self, _app: Any, revoked: set[Any], **_: Any) -> None:
        """Nothing is written any more until the next assignment; what is under way is finished first."""
        self.holding.clear()
        if self._restoring is not None:
            self._restoring.cancel()
        for partition in self.partitions.values():
            async with partition.lock:
                pass

    async def _assigned(self, _app: Any, assigned: set[Any], **_: Any) -> None:
        """Which partitions are held. No heartbeat is sent before this returns: what takes time is done behind it.

        Messages of a partition wait until it has its memory back (`Partition.ready`).
        """
        before, generation = self.lease.generation, self.lease.taken()
        numbers = sorted({at.partition for at in assigned if at.topic == self.topics.windows})
        kept = {n for n in numbers if n in self.partitions and self.partitions[n].ready.is_set()}
        if generation != before + 1:  # somebody else may have held them in between
            kept = set()
        for number, partition in self.partitions.items():
            if number not in kept:
                partition.held = False
                if partition.behind is not None:
                    partition.behind.cancel()
        self.partitions = {n: self.partitions[n] if n in kept else Partition(n) for n in numbers}
        for number in kept:
            self.partitions[number].hold_in(generation, self.partitions[number].generation)
        anew = [n for n in numbers if n not in kept]
        log.info("holding partitions %s in generation %d, of these anew %s", numbers, generation, anew)
        self.holding.set()
        self._restoring = asyncio.create_task(self._take_over([(at.topic, at.partition) for at in assigned], anew))

    async def _take_over(self, places: list[tuple[str, int]], anew: list[int]) -> None:
        """Beds and open alerts come back, then the signal before the committed offsets; then a partition goes live."""
        self.warm.begin()
        try:
            async with plain_consumer(self.settings, self.settings.group(self.name)) as consumer:
                committed = await committed_offsets(consumer, places)
                self.hold(committed)
                for number in anew:
                    await self._bring_back(consumer, self.partitions[number])
            for number in anew:
                partition = self.partitions[number]
                async with partition.lock:
                    partition.next_offset = committed[self.topics.windows, number]
                    if partition.beds:
                        await self._warm(partition, partition.next_offset)
                    for bed in partition.beds.values():
                        await self.delivery.republish_strips(bed)
                    partition.ready.set()
                    self._start_behind(partition)
            self.ready.set()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.fail(error)

    async def _bring_back(self, consumer: Any, partition: Partition) -> None:
        """The beds of a partition as they were written, and their alerts published again."""
        documents = await read_beds(consumer, self.topics.beds, partition.number)
        partition.beds = {name: self._monitor_of(partition, bed) for name, bed in documents.items()}
        partition.hold_in(self.lease.generation, max((bed.generation for bed in documents.values()), default=-1))
        for bed in partition.beds.values():
            await self.delivery.republish_alerts(bed)

    async def _warm(self, partition: Partition, committed: int) -> None:
        """Bring the signal state of a partition's beds up to the committed offset; nothing comes out."""
        topic, number = self.topics.windows, partition.number
        settings, loop = self.settings, asyncio.get_running_loop()
        seconds = self.warm.seconds(sum(len(p.beds) for p in self.partitions.values() if not p.ready.is_set()))
        if not seconds:
            return
        async with plain_consumer(settings) as consumer:
            first = await offset_before(consumer, topic, number, committed, seconds)
            async for batch in read_range(consumer, topic, number, first, committed):
                for message in batch:
                    try:
                        window = self.decode(message)
                    except RejectedMessage:
                        continue  # it went to the dead letters when it was read first
                    bed = partition.beds.get(window.bed_stream)
                    if bed is not None:
                        began = loop.time()
                        bed.apply_window(window, message.offset, message.append_ns, replay=True)
                        self.warm.took(loop.time() - began, window.duration_s)
                        self.progressed()
                    await asyncio.sleep(0)

    def _monitor_of(self, partition: Partition, bed: Bed) -> BedMonitor:
        return BedMonitor(bed, self.settings, self.clock, self.encoder.info, partition.generation)

    # ---- what comes in -------------------------------------------------------------------------------------------

    async def _partition(self, number: int) -> Partition | None:
        """The partition, once it has its memory back; None where this worker does not hold it any more."""
        await self.holding.wait()
        partition = self.partitions.get(number)
        if partition is None:
            return None
        await partition.ready.wait()
        return partition if partition.held else None

    @asynccontextmanager
    async def turn(self, partition: Partition) -> AsyncIterator[bool]:
        """One thing at a time on a partition, and only while partitions are held; False: it is somebody else's."""
        while True:
            await self.holding.wait()
            await partition.lock.acquire()
            if self.holding.is_set():
                break
            partition.lock.release()  # they were taken away while this waited for its turn
        try:
            yield partition.held
        finally:
            partition.lock.release()

    async def _window(self, message: Incoming) -> None:
        partition = await self._partition(message.partition)
        if partition is None:
            return
        async with self.turn(partition) as held:
            if not held or message.offset < partition.next_offset:
                return
            if not await self._passed_over(partition, message):
                await self._judge(partition, message)
            partition.next_offset = message.offset + 1

    async def _judge(self, partition: Partition, message: Incoming) -> None:
        """The way of a window, when nothing is in its way."""
        self.lag_s = max(0.0, (self.clock.now_ns() - message.append_ns) / 1e9)
        self.metrics.lag.observe(self.lag_s)
        try:
            window = self.decode(message)
        except RejectedMessage as rejected:
            await self.reject(message, rejected.reason)
            return
        bed = self._bed(partition, window, message.append_ns)
        with self.metrics.step.time():
            outputs = bed.apply_window(window, message.offset, message.append_ns)
        self.metrics.windows.inc()
        await self.deliver(bed, outputs)

    async def _passed_over(self, partition: Partition, message: Incoming) -> bool:
        """Live first: at a lag of more than 10 s the windows are passed over, up to the newest of each bed."""
        passing = partition.passing
        if passing is None:
            lag_s = (self.clock.now_ns() - message.append_ns) / 1e9
            if lag_s <= self.settings.live_lag_s:
                return False
            end = await self.ends.known(message.topic, message.partition)
            waiting = end - message.offset
            if waiting <= PASS_OVER_FROM * max(1, len(partition.beds)):
                return False
            log.warning("%s/%d lags %.1f s: %d windows go behind", message.topic, message.partition, lag_s, waiting)
            passing = partition.passing = PassingOver(end)
            self.metrics.passed_over.inc()
        bed = partition.beds.get((message.key or b"").decode(errors="replace"))
        if bed is None:
            try:
                bed = self._bed(partition, self.decode(message), message.append_ns)
            except RejectedMessage as rejected:
                await self.reject(message, rejected.reason)
                bed = None
        if (bed is not None and message.offset > bed.offset) or (bed and bed.bed.bed_stream in passing.tails):
            assert bed is not None
            if bed.bed.bed_stream not in passing.tails:
                await self.deliver(bed, bed.skip_to_latest(message.offset, passing.until - 1))
            passing.keep(bed, message)
        if message.offset >= passing.until - 1:
            await self._newest(partition, passing)
        return True

    async def _newest(self, partition: Partition, passing: PassingOver) -> None:
        """The end of what was passed over is reached: each bed's newest signal is judged now."""
        partition.passing = None
        for name, tail in passing.tails.items():
            bed = partition.beds[name]
            await self.deliver(bed, bed.reclaim_tail(tail[0].offset))
        for message in sorted((m for tail in passing.tails.values() for m in tail), key=lambda m: m.offset):
            await self._judge(partition, message)
        self._start_behind(partition)

    def _start_behind(self, partition: Partition) -> None:
        busy = partition.behind is not None and not partition.behind.done()
        if not busy and any(bed.bed.skipped for bed in partition.beds.values()):
            partition.behind = asyncio.create_task(analyse_behind(self, partition))

    async def _action(self, message: Incoming) -> None:
        async with self._addressed(message, Action.from_json, "action") as (partition, action):
            if partition is None or action is None:
                return
            bed = partition.beds.get(action.bed_stream)
            if bed is None and action.action == "admit":  # people may be quicker than the bed's first window
                unit, _, name = action.bed_stream.partition("/")
                fresh = new_bed(action.bed_stream, unit, name or unit, self.clock.now_ns())
                bed = partition.beds[action.bed_stream] = self._monitor_of(partition, fresh)
            if bed is None:
                await self.reject(
                    message,
                    f"bed_stream {action.bed_stream!r} is no bed here: its first window or `admit` makes it one "
                    f"({_place(message)})",
                )
            elif message.offset > bed.bed.applied.get(self.topics.actions, -1):
                outputs, outcome = bed.apply_action(action, message.offset)
                if not outcome.applied:
                    log.info("%s on %s changed nothing: %s", action.action, action.bed_stream, outcome.reason)
                await self.deliver(bed, outputs)

    async def _interpretation(self, message: Incoming) -> None:
        async with self._addressed(message, InterpretationMessage.from_json, "interpretation") as (partition, reading):
            if partition is None or reading is None:
                return
            if reading.bed_stream == SYSTEM:
                await self._service(partition, reading, message.offset)
                return
            bed = partition.beds.get(reading.bed_stream)
            if bed is None:
                await self.reject(message, f"bed_stream {reading.bed_stream!r} is no bed here ({_place(message)})")
            elif message.offset > bed.bed.applied.get(self.topics.interpretations, -1):
                outputs, outcome = bed.apply_interpretation(reading, message.offset)
                if not outcome.applied:
                    log.info("interpretation of %s changed nothing: %s", reading.alert_id, outcome.reason)
                await self.deliver(bed, outputs)

    @asynccontextmanager
    async def _addressed(
        self, message: Incoming, read: Callable[[bytes], D], name: str
    ) -> AsyncIterator[tuple[Partition | None, D | None]]:
        """A message to one bed and its partition's turn; None where it cannot be read or is somebody else's."""
        partition = await self._partition(message.partition)
        if partition is None:
            yield None, None
            return
        async with self.turn(partition) as held:
            document = None
            try:
                if held:
                    document = read(message.value or b"")
                    self._check_key(message, document.bed_stream)
            except (ValidationError, ValueError) as error:
                document = None
                await self.reject(message, f"no {name}: {_told(error)} ({_place(message)})")
            yield partition, document

    async def _service(self, partition: Partition, reading: InterpretationMessage, offset: int) -> None:
        """A worker says that a service is not there (a reason), or there again (none)."""
        code, at_ns = reading.alert_id, ns_of_time(reading.interpretation.at)
        if code not in SERVICES:
            return
        bed = partition.beds.get(SYSTEM)
        if bed is None:
            bed = partition.beds[SYSTEM] = self._monitor_of(partition, system_bed(at_ns))
        if offset <= bed.bed.applied.get(self.topics.interpretations, -1):
            return
        alert = open_alert(bed.bed, code)
        onset_ns = at_ns if alert is None else min(at_ns, ns_of_time(alert.onset))
        there = reading.interpretation.reason is None
        if there and alert is None:
            return
        report = ConditionReport(code, onset_ns, onset_ns, max(onset_ns, at_ns), at_ns if there else None)
        await self.deliver(bed, bed.apply_reports([report], {self.topics.interpretations: offset}))

    # ---- what goes out -------------------------------------------------------------------------------------------

    async def deliver(self, bed: BedMonitor, outputs: list[Outputs]) -> None:
        """One turn after the other."""
        await self.delivery.deliver(bed, outputs)

    def _offer(self, bed_stream: str, ecg: Ecg) -> None:
        """Ten seconds for the encoder: only while the rhythm tier keeps up."""
        if self.lag_s < ENCODER_LAG_S:
            self.encoder.offer(bed_stream, ecg)

    async def _encoder_found(self, bed_stream: str, ecg: Ecg, findings: Mapping[str, float]) -> None:
        """What the heads found in ten seconds of a bed."""
        partition = self.partitions.get(partition_of(bed_stream.encode(), self.settings.partitions))
        if partition is None or not partition.ready.is_set():
            return
        async with self.turn(partition) as held:
            bed = partition.beds.get(bed_stream)
            if bed is not None and held:
                await self.deliver(bed, bed.apply_encoder_result(ecg, findings, trained=True))

    async def reject(self, message: Incoming, reason: str) -> None:
        log.warning("dead letter: %s", reason)
        self.metrics.dead_letters.inc()
        await self.sender.reject(message, reason)

    # ---- time ----------------------------------------------------------------------------------------------------

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            for partition in list(self.partitions.values()):
                if self.holding.is_set() and partition.ready.is_set() and not partition.lock.locked():
                    await self._tick(partition)

    async def _tick(self, partition: Partition) -> None:
        async with self.turn(partition) as held:
            if not held or partition.passing is not None:
                return
            end = self.ends.end(self.topics.windows, partition.number)
            caught_up = end is not None and partition.next_offset >= end
            if caught_up:
                self.lag_s = 0.0  # until the next window shows another
            for bed in list(partition.beds.values()):
                await self.deliver(bed, bed.tick(caught_up=caught_up))

    async def _tell_encoder_forever(self) -> None:
        """Say on `_system` that the encoder is not there, again and again; once that it is."""
        told = None
        while True:
            reason = self.encoder.unavailable
            if reason or told != reason:
                await self.report_service("ENCODER_UNAVAILABLE", reason)
                told = reason
            await asyncio.sleep(REPORT_INTERVAL_S if reason else 1.0)

    # ---- helpers -------------------------------------------------------------------------------------------------

    def decode(self, message: Incoming) -> EcgWindow:
        return decode_window(
            message.value,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            n_partitions=self.settings.partitions,
            patient_pattern=self.settings.patient_pattern,
        )

    def _bed(self, partition: Partition, window: EcgWindow, append_ns: int) -> BedMonitor:
        bed = partition.beds.get(window.bed_stream)
        if bed is None:
            fresh = new_bed(window.bed_stream, window.unit, window.bed, append_ns, window.patient)
            bed = partition.beds[window.bed_stream] = self._monitor_of(partition, fresh)
        return bed

    def _check_key(self, message: Incoming, bed_stream: str) -> None:
        if (message.key or b"").decode(errors="replace") != bed_stream:
            raise ValueError(f"bed_stream {bed_stream!r} is not the message key {message.key!r}")
        right = partition_of(bed_stream.encode(), self.settings.partitions)
        if message.partition != right:
            raise ValueError(f"bed_stream {bed_stream!r} belongs on partition {right}, not {message.partition}")


def _place(message: Incoming) -> str:
    return f"{message.topic}/{message.partition} offset {message.offset}"


def _told(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['msg']}" for e in error.errors()[:5])
    return str(error)
