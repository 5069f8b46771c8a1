"""The monitor worker: the only writer of beds and alerts (docs/delivery.md).

A Faust app over windows, actions and interpretations; partitions of the same number are always held by one worker. This
module wires the topics to the partitions, follows the rebalances of the consumer group and holds the lease. The state
and the steps of a partition are in `agents.monitor.partition_processor`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from agents.clock import Clock
from agents.monitor.attempts import Attempts
from agents.monitor.delivery import Delivery
from agents.monitor.encoder_tier import EncoderTier
from agents.monitor.partition_log import KafkaLogReader, KafkaPartitionLog
from agents.monitor.partition_processor import PartitionProcessor
from agents.monitor.screening import Screening
from agents.monitor.standby import Replica, Standby
from agents.monitor.state_replay import StateReplay
from agents.settings import Settings
from agents.worker.commit_metadata import MetadataCommits, committed_states
from agents.worker.faust_app import filter_fetched
from agents.worker.lease import SessionLost
from agents.worker.log_reader import committed_offsets, plain_consumer
from agents.worker.sender import Incoming
from agents.worker.worker import Worker
from models.ecg import Ecg
from streams.partition import partition_of

log = logging.getLogger(__name__)

TICK_S = 0.5  # half of the second to which the promises about time are kept
ENCODER_LAG_S = 1.0  # at more lag the encoder gets no windows: it thins out before the rhythm tier waits
JOIN_S = 45.0  # without it a ward that is too large for its machines would keep a new monitor from joining
JOIN_CHECK_S = 0.1
REPORT_INTERVAL_S = 30.0  # the monitor that holds `_system` may be a new one, which has not read the last report


class Monitor(Worker):
    """The monitor worker."""

    name = "monitor"

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self.processors: dict[int, PartitionProcessor] = {}
        self.encoder = EncoderTier(settings, self.metrics)
        self.encoder.found = self._on_encoder_result
        self.delivery = Delivery(settings, clock, self.sender, self.metrics, self.lease.hold, self._offer)
        self.state_replay = StateReplay(settings)
        self.standby = Standby(settings, clock, self.beacons, lambda: self.lag_s, StateReplay(settings))
        self.commits = MetadataCommits(self.app, self.sender.dead_letters)
        self.screening = Screening(self.topics.windows, lambda n: self.processors.get(n), self.progressed)
        self.attempts = Attempts(self.commits.commit)
        self._assignment = asyncio.Event()  # between a revocation and the next assignment it is not set
        self._restoring: asyncio.Task[None] | None = None
        self.agent(self.topics.windows, self._on_window)
        self.agent(self.topics.actions, self._on_action)
        self.agent(self.topics.interpretations, self._on_interpretation)
        self.app.on_partitions_assigned.connect(self._assigned)
        self.app.on_partitions_revoked.connect(self._revoked)

    async def start(self) -> None:
        """Start the encoder, the app and the periodic tasks."""
        await self.encoder.start()
        self.standby.encoder = self.encoder.info
        await super().start()
        self.run_forever(self._tick_forever(), "the clock of the beds")
        self.run_forever(self._report_encoder_forever(), "the report of the encoder")

    async def stop(self) -> None:
        """Stop the app, then the encoder; the steps in progress are finished and the partitions released first."""
        for processor in self.processors.values():
            await processor.revoke()
        await asyncio.sleep(0)  # the message of the last step is done
        await self.attempts.release(self.positions)
        await super().stop()
        await self.encoder.stop()

    def unready(self) -> str:
        """Why no bed, or not every bed, of this monitor is judged now."""
        if not self._assignment.is_set():
            return "the partitions are not assigned yet, or a rebalance is in progress"
        restoring = [number for number, processor in list(self.processors.items()) if not processor.restored]
        if restoring or not self.ready.is_set():
            return f"partitions {restoring} are being restored"
        return ""

    async def prepare_to_join(self) -> None:
        """Take the signal state of all partitions over before others give some away: they are judged until then."""
        if not self.settings.standby:
            return
        self.run_forever(self.standby.keep_following(), "the standby")
        if not await self.beacons.peers_at_start():
            return
        log.info("another monitor holds the partitions: their signal state is restored before the group is joined")
        self.standby.watch(range(self.settings.partitions))
        self.standby.hurry = True
        until = time.monotonic() + JOIN_S
        while time.monotonic() < until and not self.standby.ready and self.beacons.peer_beacon_recent:
            await asyncio.sleep(JOIN_CHECK_S)
        self.standby.hurry = False

    def finished_windows(self) -> Mapping[int, int]:
        """The offset after the last finished window of each restored partition."""
        letter = partial(self.sender.dead_letters.undelivered, self.topics.windows)
        finished = {n: (p.next_offset, letter(n)) for n, p in self.processors.items() if p.restored}
        return {n: offset if first is None else min(offset, first) for n, (offset, first) in finished.items()}

    def rejected_windows(self) -> Mapping[int, list[int]]:
        """Offsets of windows on which workers ended twice, by partition."""
        return {n: found for n in list(self.processors) if (found := self.attempts.rejected(self.topics.windows, n))}

    def measure(self) -> None:
        """Set the gauges; called once a second."""
        super().measure()
        beds = [bed for p in self.processors.values() for bed in p.beds.values() if bed.watched]
        now_ns = self.clock.now_ns()
        self.metrics.beds_monitored.set(len(beds))
        self.metrics.beds_judged.set(sum(bed.judged(now_ns) for bed in beds))
        self.metrics.standby_waiting.set(self.standby.waiting)

    @property
    def lag_s(self) -> float:
        """Lag of the newest signal over all partitions, seconds."""
        return max((processor.lag_s for processor in self.processors.values()), default=0.0)

    # ---- rebalance -----------------------------------------------------------------------------------------------

    async def _revoked(self, _app: Any, revoked: set[Any], **_: Any) -> None:
        """Nothing is written any more until the next assignment; the steps in progress are finished first.

        A monitor that was removed from the group while another one took its partitions over ends here: as a member
        again it would be given some of them back at once, and judge nothing while it restores them.
        """
        self._assignment.clear()
        if self._restoring is not None:
            self._restoring.cancel()
        if self.lease.removed and await self.beacons.held_by_others(self.lease.generation):
            self.fail(SessionLost("this monitor was removed from its group, and another one holds its partitions"))
            await asyncio.Future()  # the group is not joined again
        for processor in self.processors.values():
            await processor.revoke()
        if not self.lease.removed:  # else Kafka takes no commit of it
            await self.attempts.hand_over()

    def _session_lost(self, error: SessionLost) -> None:
        """Messages wait for the next assignment: the consumer joins the group again when it reaches Kafka."""
        if self._assignment.is_set():
            log.warning("%s; the partitions wait to be assigned again", error)
        self._assignment.clear()

    async def _assigned(self, _app: Any, assigned: set[Any], **_: Any) -> None:
        """Take the partitions. Faust sends no heartbeat before this returns, so the restore runs in a task.

        Messages of a partition wait until it is restored.
        """
        self.commits.extend(self.attempts)
        filter_fetched(self.app, self.screening.keep)
        before, generation = self.lease.generation, self.lease.taken()  # restore 1
        numbers = sorted({at.partition for at in assigned if at.topic == self.topics.windows})
        kept = {n for n in numbers if n in self.processors and self.processors[n].restored}
        if generation != before + 1:  # another worker may have held them in between
            kept = set()
        for number, processor in self.processors.items():
            if number not in kept:
                processor.discard()
        self.processors = {n: self.processors[n] if n in kept else self._processor(n, generation) for n in numbers}
        for number in kept:
            self.processors[number].reassign(generation)
        new = [self.processors[n] for n in numbers if n not in kept]
        # Restore 1: before the documents are read, which hold all that these windows have led to.
        finished = {n: self.beacons.finished(n) for n in numbers if n not in kept}
        replicas = {n: self.standby.take(n) for n in finished}
        if self.settings.standby:
            standbys = {at.partition for at in self.app.assignor.assigned_standbys() if at.topic == self.topics.windows}
            self.standby.watch(standbys - set(numbers))
        log.info(
            "partitions %s held in generation %d, to restore: %s",
            numbers,
            generation,
            [p.number for p in new] or "none",
        )
        self._assignment.set()
        places = [(at.topic, at.partition) for at in assigned]
        self._restoring = asyncio.create_task(self._restore(places, new, finished, replicas))

    def _processor(self, number: int, generation: int) -> PartitionProcessor:
        return PartitionProcessor(
            number,
            settings=self.settings,
            clock=self.clock,
            log=KafkaPartitionLog(self.settings, self.topics, self.ends, number, self.attempts.marked),
            delivery=self.delivery,
            metrics=self.metrics,
            generation=generation,
            encoder=self.encoder.info,
            worker_lag_s=lambda: self.lag_s,
            progressed=self.progressed,
            fail=self.fail,
            session_lost=self._session_lost,
            attempts=self.attempts,
        )

    async def _restore(
        self,
        places: list[tuple[str, int]],
        new: list[PartitionProcessor],
        finished: Mapping[int, int],
        replicas: Mapping[int, Replica | None],
    ) -> None:
        """Beds and open alerts of all new partitions first, then their signal; each is live when it is restored."""
        began = time.monotonic()
        self.state_replay.begin()
        try:
            async with plain_consumer(self.settings, self.settings.group(self.name)) as consumer:
                committed = await committed_offsets(consumer, places)
                self.hold(committed)
                numbers = {processor.number for processor in new}
                states = await committed_states(consumer, {p: o for p, o in committed.items() if p[1] in numbers})
                await self.attempts.take(states)
                for processor in new:
                    reader = KafkaLogReader(consumer, self.topics, processor.number)
                    await processor.restore_beds(reader, replicas.get(processor.number))
            if new:
                async with plain_consumer(self.settings) as consumer:
                    for processor in new:
                        beds = sum(len(p.beds) for p in self.processors.values() if not p.restored)
                        reader = KafkaLogReader(consumer, self.topics, processor.number, self.attempts.marked)
                        state = states[self.topics.windows, processor.number]
                        own = self.positions.get((self.topics.windows, processor.number), 0)  # held before as well
                        done = max(finished[processor.number], own)  # beyond the end: a log that lost its last records
                        offset = max(state.offset, done) if done <= state.end else state.offset
                        await processor.restore_signal(reader, offset, self.state_replay, beds)
                self.metrics.restore.observe(time.monotonic() - began)
                log.info("partitions %s restored in %.2f s", sorted(numbers), time.monotonic() - began)
            self.ready.set()
        except asyncio.CancelledError:
            raise
        except SessionLost as error:
            self._session_lost(error)
        except Exception as error:
            self.fail(error)

    # ---- messages ------------------------------------------------------------------------------------------------

    async def _held(self, number: int) -> PartitionProcessor | None:
        """The partition; None where this worker does not hold it any more."""
        await self._assignment.wait()
        processor = self.processors.get(number)
        if processor is not None:
            await processor.available.wait()
        return processor

    async def _on_window(self, message: Incoming) -> None:
        await self._process(message, PartitionProcessor.on_window)

    async def _on_action(self, message: Incoming) -> None:
        await self._process(message, PartitionProcessor.on_action)

    async def _on_interpretation(self, message: Incoming) -> None:
        await self._process(message, PartitionProcessor.on_interpretation)

    async def _process(
        self, message: Incoming, take: Callable[[PartitionProcessor, Incoming], Awaitable[bool]]
    ) -> None:
        """Process a message in the partition as it is held; it may be discarded and held anew meanwhile.

        A message that is not processed must not return while the partition is held: its offset would be committed.
        """
        while (processor := await self._held(message.partition)) is not None:
            if await take(processor, self.attempts.marked(message)):
                return
            await asyncio.sleep(0)

    async def _on_encoder_result(self, bed_stream: str, ecg: Ecg, findings: Mapping[str, float]) -> None:
        processor = self.processors.get(partition_of(bed_stream.encode(), self.settings.partitions))
        if processor is not None:
            await processor.on_encoder_result(bed_stream, ecg, findings)

    def _offer(self, bed_stream: str, ecg: Ecg) -> None:
        """Ten seconds of a bed for the encoder, only while the rhythm tier keeps up."""
        if self.lag_s < ENCODER_LAG_S:
            self.encoder.offer(bed_stream, ecg)

    # ---- periodic tasks ------------------------------------------------------------------------------------------

    async def _tick_forever(self) -> None:
        while True:
            await self.clock.sleep(TICK_S)
            for processor in list(self.processors.values()):
                await processor.tick()

    async def _report_encoder_forever(self) -> None:
        """Report on `_system` that the encoder is missing, at intervals; and once that it is present again."""
        reported = None
        while True:
            reason = self.encoder.unavailable
            if reason or reported != reason:
                await self.report_service("ENCODER_UNAVAILABLE", reason)
                reported = reason
            await self.clock.sleep(REPORT_INTERVAL_S if reason else 1.0)
