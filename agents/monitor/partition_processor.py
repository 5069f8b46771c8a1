"""`PartitionProcessor`: the beds of one partition, in the states RESTORING, LIVE, CATCHING_UP and REVOKED.

It owns the beds, the lock, the next offset and the backfill task of the partition. Windows, actions, interpretations,
encoder results and the passing of time meet under one lock: the outputs of one step are delivered before the next step
begins. Log, delivery and clock are passed in. The numbers in the comments are those of docs/delivery.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeVar

from agents.clock import Clock
from agents.metrics import Metrics
from agents.monitor.attempts import Attempts
from agents.monitor.backfill import backfill
from agents.monitor.bed import BedMonitor, new_bed, system_bed
from agents.monitor.delivery import Delivery
from agents.monitor.exclusive_steps import ExclusiveSteps
from agents.monitor.feed_problems import SERVICE_CODES, service_report
from agents.monitor.isolation import Isolation, Step, logged_step, reason_of_failure
from agents.monitor.messages import MessageReader, no_bed
from agents.monitor.partition_log import LogReader, PartitionLog
from agents.monitor.partition_state import PartitionState
from agents.monitor.replay import replay
from agents.monitor.restore import restored_monitor
from agents.monitor.screening import Offsets
from agents.monitor.skip import Skip
from agents.monitor.standby import Replica
from agents.monitor.state_replay import StateReplay
from agents.settings import Settings
from agents.worker.lease import SessionLost
from agents.worker.sender import Incoming
from models.ecg import Ecg
from streams.alert import EncoderInfo, InterpretationMessage
from streams.bed import SYSTEM, Action, Bed
from streams.document import ns_of_time
from streams.topics import Topics
from streams.wire import EcgWindow, RejectedMessage

log = logging.getLogger(__name__)

SKIP_FROM = 12  # waiting windows a bed from which windows are skipped: fewer are processed faster than skipped
BACKLOG_S = 3.0  # for a verdict on a backlog: else each fail-over, of about 10 s, would raise CANNOT_ANALYZE briefly
D = TypeVar("D", Action, InterpretationMessage)


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
    session_lost : callable
        Called where a step ended because the group does not know this worker any more.

    Attributes
    ----------
    state : PartitionState
    beds : dict
        Bed stream to its monitor.
    next_offset : int
        Of the first window that was not handled.
    screened : Offsets
        Of windows that were dead-lettered when they were fetched, from the next offset on (`agents.monitor.screening`).
    lag_s : float
        From append to processing of the last window.
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
        session_lost: Callable[[SessionLost], None] = lambda error: None,
        attempts: Attempts | None = None,
    ) -> None:
        self.number = number
        self.clock = clock
        self.log = log
        self.state = PartitionState.RESTORING
        self.beds: dict[str, BedMonitor] = {}
        self.next_offset = 0
        self.screened = Offsets()
        self.generation = generation
        self.lag_s = 0.0
        self.backfill_task: asyncio.Task[None] | None = None
        self._settings = settings
        self._topics = Topics(settings.topic_prefix, settings.partitions)
        self._delivery = delivery
        self.metrics = metrics
        self._messages = MessageReader(settings)
        self._isolation = Isolation(delivery, metrics, self._topics.windows, self._repair)
        self._encoder = encoder
        self._worker_lag_s = worker_lag_s
        self._progressed = progressed
        self._fail = fail
        self._session_lost = session_lost
        self.attempts = Attempts() if attempts is None else attempts
        self._steps = ExclusiveSteps(self.attempts, self._lost)
        self._documents_restored = False
        self._watch_from_ns = 0  # the watchdog speaks from this time on, also while the backlog is read
        self._restored = False
        self._skip: Skip | None = None
        self._replica: Replica | None = None  # until the signal state is restored
        self._tick_left_out = False

    # ---- held, restored, revoked ---------------------------------------------------------------------------------

    @property
    def restored(self) -> bool:
        """The beds have their state back, and it is still valid."""
        return self._restored and not self._steps.discarded

    @property
    def live(self) -> bool:
        """Restored and held now."""
        return self.restored and self.available.is_set()

    @property
    def available(self) -> asyncio.Event:
        """The partition is restored and held, or discarded."""
        return self._steps.available

    def exclusive(self, message: Incoming | None = None) -> AbstractAsyncContextManager[bool]:
        """One step (of a message) at a time, only while the partition is restored and held; False: discarded."""
        return self._steps.held(message)

    async def restore_beds(self, reader: LogReader, replica: Replica | None = None) -> None:
        """Restore the bed documents, and publish their alerts again; with the signal state of ``replica``."""
        self._replica = replica
        documents = await reader.read_beds(None if replica is None else replica.documents)  # restore 2
        replicated = {} if replica is None else replica.monitors(documents)
        self.beds = {name: replicated.get(name) or self._restored_monitor(bed) for name, bed in documents.items()}
        self._set_generation(self.generation, max((bed.generation for bed in documents.values()), default=-1))
        for bed in self.beds.values():
            await self._isolation.publish_again(bed, self._delivery.prepare_alerts)  # restore 3
        self._watch_from_ns = self.clock.now_ns() + round(BACKLOG_S * 1e9)
        self._documents_restored = True

    async def restore_signal(self, reader: LogReader, committed: int, state_replay: StateReplay, beds: int) -> None:
        """Restore the signal state from the windows before the committed offset; then the partition is LIVE.

        Parameters
        ----------
        committed : int
            The offset of the windows that comes next.
        state_replay : StateReplay
            Decides how many seconds are replayed.
        beds : int
            In all partitions of the worker that are not restored yet.
        """
        async with self._steps.lock:
            self.next_offset = committed
            await self._replay(reader, committed, state_replay, beds)  # restore 4
            for bed in self.beds.values():
                await self._isolation.publish_again(bed, self._delivery.prepare_strips)  # restore 5
            self._restored = True
            self.state = PartitionState.LIVE  # restore 6
            self.available.set()
            self._start_backfill()

    async def revoke(self) -> None:
        """Write nothing any more; returns when the step in progress is finished."""
        self.state = PartitionState.REVOKED
        await self._steps.revoke()

    def reassign(self, generation: int) -> None:
        """Held again in the generation after the last one: nobody else held it, so the state is still valid."""
        self._set_generation(generation, self.generation)
        self.state = PartitionState.LIVE if self._skip is None else PartitionState.CATCHING_UP
        self.available.set()

    def discard(self) -> None:
        """Another worker may have held the partition: this state is not used any more."""
        self.state = PartitionState.REVOKED
        if self.backfill_task is not None:
            self.backfill_task.cancel()
        self._steps.discard()

    def _lost(self, error: SessionLost) -> None:
        self.discard()
        self._session_lost(error)

    def _set_generation(self, generation: int, written: int) -> None:
        """Hold the partition in ``generation``; ``written`` is the highest generation in its documents.

        A group that was forgotten (its offsets expire after a week without workers) counts from the beginning again.
        Readers drop lower generations, so the documents then go on from the written one.
        """
        self.generation = generation if generation > written else written + 1
        for bed in self.beds.values():
            bed.set_generation(self.generation)

    async def _replay(self, reader: LogReader, stop: int, state_replay: StateReplay, beds: int) -> None:
        """Replay what the beds lack: a few windows with the state of a standby, else seconds or minutes."""

        def took(seconds: float, of_signal_s: float) -> None:
            state_replay.add_cost(seconds, of_signal_s)
            self._progressed()

        replica, self._replica = self._replica, None
        cold = self.beds.keys() if replica is None else replica.unusable & self.beds.keys()
        if cold:
            first = await reader.offset_before(stop, state_replay.seconds(beds))
            await replay(self, reader, first, stop, cold, took)
        if replica is not None and replica.next_offset < stop:
            await replay(self, reader, replica.next_offset, stop, self.beds.keys() - cold, took)

    # ---- windows -------------------------------------------------------------------------------------------------

    async def on_window(self, message: Incoming) -> bool:
        """Process one window, or skip it while the partition catches up; False: discarded, nothing is done."""
        async with self.exclusive() as held:
            if not held or message.offset < self.next_offset:
                return held
            if message.offset in self.screened:  # fetched a second time
                self.next_offset = message.offset + 1
                return True
            if self._skip is not None and message.offset >= self._skip.until:  # the last one was unreadable
                await self._process_tails(self._skip)
            if self.state is PartitionState.LIVE:
                await self._catch_up_if_lagging(message)
            if self._skip is None:
                await self._attempt_window(message)
            else:
                await self._skip_window(self._skip, message)
            self.next_offset = message.offset + 1
            return True
        return False  # the session was lost

    async def _attempt_window(self, message: Incoming) -> None:
        async with self.attempts.attempt(message):
            await self.process_window(message)

    async def process_window(self, message: Incoming) -> None:
        """Process one window under the lock."""
        self.lag_s = self._lag_s(message)
        self.metrics.lag.observe(self.lag_s)
        opened = await self._open(message)
        if opened is None:
            return
        window, bed = opened
        apply = partial(bed.apply_window, window, message.offset, message.append_ns)
        with self.metrics.step.time():
            prepared = await self._isolation.prepare("message", bed, apply, message)
        if prepared is None:
            return
        self.metrics.windows.inc()
        await self._delivery.send(prepared)

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
        self._skip = Skip(end)
        self.state = PartitionState.CATCHING_UP
        self.metrics.skips_to_latest.inc()

    async def _skip_window(self, skip: Skip, message: Incoming) -> None:
        """Skip a window; an unreadable one is dead-lettered now, not by the backfill."""
        unread = self.attempts.only_in_turn(message)
        bed = self.beds.get((message.key or b"").decode(errors="replace")) if unread else None
        if bed is None:
            opened = await self._open(message)
            bed = None if opened is None else opened[1]
        if bed is not None and (message.offset > bed.offset or bed.bed.bed_stream in skip.tails):
            if bed.bed.bed_stream not in skip.tails:
                # latest first 2
                await self.take("message", bed, partial(bed.skip_to_latest, message.offset, skip.until - 1))
            skip.keep(bed, message)  # latest first 3
        if message.offset >= skip.until - 1:
            await self._process_tails(skip)

    async def _process_tails(self, skip: Skip) -> None:
        """Latest first 4: the tails are taken out of the skipped ranges and processed; the partition is LIVE."""
        self._skip = None
        self.state = PartitionState.LIVE
        for name, tail in skip.tails.items():
            bed = self.beds[name]
            await self.take("message", bed, partial(bed.reclaim_tail, tail[0].offset))
        for message in sorted((m for tail in skip.tails.values() for m in tail), key=lambda m: m.offset):
            await self._attempt_window(message)
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

    async def on_action(self, message: Incoming) -> bool:
        """Apply a person's action to its bed; False: discarded, nothing is done."""
        async with self.exclusive(message) as held:
            if held and (action := await self._read(message, self._messages.action)) is not None:
                await self._apply_action(action, message)
            return held
        return False

    async def _apply_action(self, action: Action, message: Incoming) -> None:
        bed = self.beds.get(action.bed_stream)
        if bed is None and action.action == "admit":  # a person may be faster than the bed's first window
            unit, _, name = action.bed_stream.partition("/")
            fresh = new_bed(action.bed_stream, unit, name or unit, self.clock.now_ns())
            if (bed := await self._add_bed(fresh, message)) is None:
                return
        if bed is None:
            await self.reject(message, no_bed(action.bed_stream, message, "its first window or `admit` makes it one"))
        elif message.offset > bed.bed.applied.get(self._topics.actions, -1):
            apply = partial(bed.apply_action, action, message.offset)
            step = partial(logged_step, f"{action.action} on {action.bed_stream}", apply)
            await self.take("action", bed, step, message)

    async def on_interpretation(self, message: Incoming) -> bool:
        """Attach an interpretation to its alert; on `SYSTEM`, raise or end an alarm. False: discarded."""
        async with self.exclusive(message) as held:
            if held and (document := await self._read(message, self._messages.interpretation)) is not None:
                await self._apply_interpretation(document, message)
            return held
        return False

    async def _apply_interpretation(self, document: InterpretationMessage, message: Incoming) -> None:
        if document.bed_stream == SYSTEM:
            await self._on_service_state(document, message)
            return
        bed = self.beds.get(document.bed_stream)
        if bed is None:
            await self.reject(message, no_bed(document.bed_stream, message))
        elif message.offset > bed.bed.applied.get(self._topics.interpretations, -1):
            step = partial(bed.apply_interpretation, document, message.offset)
            what = f"interpretation of {document.alert_id}"
            await self.take("interpretation", bed, partial(logged_step, what, step), message)

    async def _on_service_state(self, document: InterpretationMessage, message: Incoming) -> None:
        """Raise the alarm of a missing service (its message has a reason), or end it."""
        if document.alert_id not in SERVICE_CODES:
            return
        bed = self.beds.get(SYSTEM)
        if bed is None:
            bed = self.beds[SYSTEM] = self._monitor_of(system_bed(ns_of_time(document.interpretation.at)))
        if message.offset <= bed.bed.applied.get(self._topics.interpretations, -1):
            return
        report = service_report(bed.bed, document)
        if report is not None:
            applied = {self._topics.interpretations: message.offset}
            await self.take("interpretation", bed, partial(bed.apply_reports, [report], applied), message)

    async def on_encoder_result(self, bed_stream: str, ecg: Ecg, findings: Mapping[str, float]) -> None:
        """Apply the encoder's findings in ten seconds of a bed."""
        if not self._restored:
            return
        async with self.exclusive() as held:
            bed = self.beds.get(bed_stream)
            if bed is not None and held:
                await self.take("encoder", bed, partial(bed.apply_encoder_result, ecg, findings, trained=True))

    async def tick(self) -> None:
        """Let time pass for all beds: about twice a second.

        In LIVE both halves of a bed's tick run; in CATCHING_UP and RESTORING only the half of the watchdog. A tick that
        would wait for a step in progress is left out, but not twice in a row: the watchdog must not starve under load.
        """
        if self._steps.lock.locked() and not self._tick_left_out:
            self._tick_left_out = True
            return
        self._tick_left_out = False
        if self.state is PartitionState.RESTORING:
            if self._documents_restored and not self._steps.lock.locked():  # during its replay, the replay watches
                async with self._steps.locked():
                    await self.watch_beds(caught_up=False)
        elif self.state in (PartitionState.LIVE, PartitionState.CATCHING_UP):
            async with self.exclusive() as held:
                if held:
                    await self._tick_beds()

    async def _tick_beds(self) -> None:
        if self._skip is not None:
            await self.watch_beds(caught_up=False)
            return
        end = self.log.end()
        caught_up = end is not None and self.next_offset >= end
        if caught_up:
            self.lag_s = 0.0
        for bed in list(self.beds.values()):
            await self.take("tick", bed, partial(bed.tick_signal, caught_up=caught_up))
        await self.watch_beds(caught_up=caught_up)

    async def watch_beds(self, *, caught_up: bool) -> None:
        """The watchdog and the vitals of each bed."""
        watch = caught_up or self.clock.now_ns() >= self._watch_from_ns
        for bed in list(self.beds.values()):
            await self.take("tick", bed, partial(bed.tick_watch, watch=watch))

    # ---- beds and their documents --------------------------------------------------------------------------------

    async def _open(self, message: Incoming) -> tuple[EcgWindow, BedMonitor] | None:
        """The window of a message and its bed, perhaps a new one; None, and a dead letter, where it is invalid."""
        try:
            window = self.decode(message)
        except RejectedMessage as rejected:
            await self.reject(message, rejected.reason)
            return None
        bed = self.beds.get(window.bed_stream)
        if bed is None:
            fresh = new_bed(window.bed_stream, window.unit, window.bed, message.append_ns, window.patient)
            bed = await self._add_bed(fresh, message)
        return None if bed is None else (window, bed)

    async def _add_bed(self, fresh: Bed, message: Incoming) -> BedMonitor | None:
        """A new bed; None, and a dead letter, where there can be none."""
        try:
            bed = self.beds[fresh.bed_stream] = self._monitor_of(fresh)
        except Exception as error:
            self._isolation.count("message")
            log.error("no bed can be made of %s", message.place, exc_info=error)
            await self.reject(message, f"{reason_of_failure(error, fresh.patient)} ({message.place})")
            return None
        return bed

    def _repair(self, bed: BedMonitor) -> None:
        repaired = self.beds[bed.bed.bed_stream] = self._restored_monitor(bed.bed)
        repaired.continue_from(bed)

    def _restored_monitor(self, bed: Bed) -> BedMonitor:
        return restored_monitor(bed, self._monitor_of, self.clock.now_ns(), partial(self._isolation.count, "document"))

    # ---- for the backfill, and helpers ---------------------------------------------------------------------------

    async def take(self, kind: str, bed: BedMonitor, step: Step, message: Incoming | None = None) -> bool:
        """Take one step of a bed and send its outputs; False where it failed, which changes nothing for other beds."""
        return await self._isolation.take(kind, bed, step, message)

    async def reject(self, message: Incoming, reason: str, *, wait: bool = True) -> None:
        """Dead-letter a message with its reason."""
        await self._delivery.reject(message, reason, wait=wait)

    def worker_lag_s(self) -> float:
        """Lag of the newest signal over all partitions of the worker, seconds."""
        return self.lag_s if self._worker_lag_s is None else self._worker_lag_s()

    def decode(self, message: Incoming) -> EcgWindow:
        """The window of a message; raises `RejectedMessage`."""
        return self._messages.window(message)

    async def _read(self, message: Incoming, read: Callable[[Incoming], D]) -> D | None:
        """The document of a message to one bed; None, and a dead letter, where it is invalid."""
        try:
            return read(message)
        except RejectedMessage as rejected:
            await self.reject(message, rejected.reason)
            return None

    def _lag_s(self, message: Incoming) -> float:
        return max(0.0, (self.clock.now_ns() - message.append_ns) / 1e9)

    def _monitor_of(self, bed: Bed) -> BedMonitor:
        return BedMonitor(bed, self._settings, self.clock, encoder=self._encoder, generation=self.generation)
