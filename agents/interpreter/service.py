"""The interpreter worker: interprets flagged segments with GEM and checks every claim on the signal.

Input: `ecg.flagged`. Output: `ecg.interpretations`; the alert is published long before. The most urgent and newest
segments go first. Where GEM is not available in time, is switched off, or the bed has too few leads for it, the segment
gets a rule-based report with the reason: no flagged segment stays without an interpretation. A segment is done when its
interpretation is in Kafka; one that is interpreted twice has the same id and is applied once.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from agents.clock import Clock
from agents.interpreter.gem_reader import GemReader, load_gem
from agents.interpreter.interpretation_message import message_of
from agents.interpreter.interpretation_queue import InterpretationQueue, Waiting
from agents.interpreter.verified import FAULT_FOUND, finished, is_sampled, report_on_message
from agents.lifecycle.citation_documents import evidence_of
from agents.settings import Settings
from agents.worker.faust_app import raw_topic
from agents.worker.log_reader import committed_offsets, plain_consumer
from agents.worker.sender import Incoming, Outgoing
from agents.worker.worker import Worker, incoming_of
from models.ecg import Ecg
from models.gem.errors import GemUnavailable
from models.grounding.draft import Draft
from models.grounding.interpretation import GroundedInterpretation
from models.leads import independent_leads
from models.signal.derived_leads import with_derived_leads
from streams.alert import InterpretationMessage
from streams.wire import FlaggedSegment, RejectedMessage, decode_flagged

if TYPE_CHECKING:
    from models.gem.request import GemAnswer
    from models.grounding.segment_measurements import SegmentMeasurements

log = logging.getLogger(__name__)

READERS = 8  # segments given to GEM at once: it batches them
DEADLINE_CHECK_S = 0.25  # between two checks for overdue segments
REPORT_INTERVAL_S = 30.0  # between two reports that GEM is not there: the monitor that holds `_system` may be a new one


class Interpreter(Worker):
    """The interpreter worker."""

    name = "interpreter"

    def __init__(self, settings: Settings, clock: Clock, gem: GemReader | None = None) -> None:
        super().__init__(settings, clock)
        self.metrics.gem_queue.set_function(lambda: len(self._queue))
        self._gem = gem
        self._why_no_gem = ""
        self._reported = ""
        self._queue: InterpretationQueue[tuple[FlaggedSegment, Any]] = InterpretationQueue(settings.gem_queue)
        self._arrived = asyncio.Event()
        self._threads = ThreadPoolExecutor(1, "interpretation")
        self.app.agent(raw_topic(self.app, self.topics.flagged))(self._take)
        self.app.on_partitions_assigned.connect(self._assigned)

    async def start(self) -> None:
        """Load GEM, start the app and the readers."""
        if self._gem is None and self.settings.gem:
            try:
                gem = await asyncio.to_thread(load_gem, self.settings)
                gem.answered = self._count_answer
                self._gem = gem
                self.metrics.device.labels("gem", gem.identity.device).set(1)
            except GemUnavailable as missing:
                self._why_no_gem = str(missing)
                log.warning("without GEM: %s", missing)
        elif not self.settings.gem:
            self._why_no_gem = "GEM is switched off"
        await super().start()
        for _ in range(READERS if self._gem is not None else 1):
            self.run_forever(self._read_forever(), "a reader")
        self.run_forever(self._watch_deadlines(), "the watch over deadlines")
        self.run_forever(self._report_gem_forever(), "the report of GEM")

    async def stop(self) -> None:
        """Stop the app, then GEM."""
        await super().stop()
        if self._gem is not None:
            await self._gem.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def stuck_after_s(self) -> float:
        """A segment may take until its deadline."""
        return max(self.settings.stuck_after_s, 2 * self.settings.gem_deadline_s)

    async def _assigned(self, _app: Any, assigned: set[Any], **_: Any) -> None:
        async with plain_consumer(self.settings, self.settings.group(self.name)) as consumer:
            self.hold(await committed_offsets(consumer, [(at.topic, at.partition) for at in assigned]))
        self.ready.set()

    async def _take(self, stream: Any) -> None:
        """Acknowledge each message when its interpretation is in Kafka, in any order."""
        async for event in stream.noack().events():
            message = incoming_of(event.message)
            try:
                segment = decode_flagged(
                    message.value, topic=message.topic, partition=message.partition, offset=message.offset
                )
            except Exception as error:
                reason = error.reason if isinstance(error, RejectedMessage) else f"no segment: {type(error).__name__}"
                reason = message.batch_error or reason
                await self.sender.reject(message, reason)
                self._done(event, message)
                continue
            waiting = Waiting((segment, event), segment.priority, segment.start_ns, segment.deadline_ns)
            displaced = self._queue.put(waiting)
            self._arrived.set()
            if displaced is not None:
                await self._send_rule_based(*displaced.item, "GEM's queue was full of more urgent segments")

    def _done(self, event: Any, message: Incoming) -> None:
        event.ack()
        self.done(message)

    def _count_answer(self, answer: GemAnswer) -> None:
        self.metrics.gem_first_token.observe(answer.first_token_s)
        self.metrics.gem_tokens.observe(answer.tokens)

    # ---- interpretation -------------------------------------------------------------------------------------------

    async def _read_forever(self) -> None:
        while True:
            waiting = self._queue.next()
            if waiting is None:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            segment, event = waiting.item
            left_s = (waiting.deadline_ns - self.clock.now_ns()) / 1e9
            reason = self._why_not(segment, left_s)
            if reason or self._gem is None:
                await self._send_rule_based(segment, event, reason or self._why_no_gem)
                continue
            await self._with_gem(self._gem, segment, event, left_s)

    def _why_not(self, segment: FlaggedSegment, left_s: float) -> str:
        """Reason why GEM does not interpret this segment; empty where it does."""
        if self._gem is None:
            return self._why_no_gem
        leads = independent_leads(segment.window.leads)
        if leads < self._gem.independent_leads:
            return f"GEM needs {self._gem.independent_leads} independent leads, the bed has {leads}"
        if left_s <= 0:
            return "GEM had no time before the deadline"
        return ""

    async def _with_gem(self, gem: GemReader, segment: FlaggedSegment, event: Any, left_s: float) -> None:
        loop, fold = asyncio.get_running_loop(), self.settings.weights_fold
        measured: SegmentMeasurements | None = None
        try:
            ecg, given = _ecg_of(segment), [evidence_of(c) for c in segment.citations]
            found, reason = await loop.run_in_executor(self._threads, _measured, ecg, segment.code, fold)
            measured = found
            if not reason:
                text, seconds = await asyncio.wait_for(
                    gem.read(
                        ecg,
                        given,
                        found,
                        deadline_s=left_s,
                        priority=segment.priority,
                        tokens=self.settings.gem_tokens,
                        code=segment.code,
                    ),
                    left_s,
                )
        except TimeoutError:
            reason = f"GEM did not answer within {self.settings.gem_deadline_s:g} s"
        except GemUnavailable as missing:
            if missing.lasting:
                self._why_no_gem = str(missing)
            reason = f"GEM: {missing}"
        except Exception as error:  # that of this segment: the next one may be interpreted
            log.exception("GEM failed on the segment of alert %s", segment.alert_id)
            reason = f"GEM failed on this segment: {type(error).__name__}"
        if reason or measured is None:
            await self._send_rule_based(segment, event, reason, measured)
            return
        self._why_no_gem = ""
        draft = Draft(measured=measured, given=given, code=segment.code, text=text, model=gem.identity, seconds=seconds)
        try:
            interpretation, message = await loop.run_in_executor(self._threads, self._finished, segment, draft)
        except Exception as error:
            log.exception("the text on alert %s cannot be grounded", segment.alert_id)
            reason = f"GEM's text cannot be checked: {type(error).__name__}"
            await self._send_rule_based(segment, event, reason, measured)
            return
        await self._send(event, interpretation, message)

    async def _send_rule_based(
        self, segment: FlaggedSegment, event: Any, reason: str, measured: SegmentMeasurements | None = None
    ) -> None:
        """Send a rule-based report; a segment on which that raises is dead-lettered, and the others go on.

        ``measured``: the segment's measurements, where they are known already.
        """
        try:
            interpretation, message = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._rule_based, segment, reason, measured
            )
        except Exception as error:
            log.exception("no report on the segment of alert %s", segment.alert_id)
            rejected = incoming_of(event.message)
            await self.sender.reject(rejected, f"interpretation failed: {type(error).__name__} ({rejected.place})")
            self._done(event, rejected)
            return
        await self._send(event, interpretation, message)

    def _rule_based(
        self, segment: FlaggedSegment, reason: str, measured: SegmentMeasurements | None
    ) -> tuple[GroundedInterpretation, InterpretationMessage]:
        from models.grounding.segment_measurements import measure_segment

        measured = measured or measure_segment(_ecg_of(segment), fold=self.settings.weights_fold)
        given = [evidence_of(c) for c in segment.citations]
        return self._finished(segment, Draft(measured=measured, given=given, code=segment.code, reason=reason))

    def _finished(self, segment: FlaggedSegment, draft: Draft) -> tuple[GroundedInterpretation, InterpretationMessage]:
        """The interpretation of a draft and its message, verified where the alert is among those verified."""

        def message(interpretation: GroundedInterpretation) -> InterpretationMessage:
            return message_of(segment, interpretation, self.clock.now_ns())

        if is_sampled(segment.alert_id, self.settings.verify_share):
            try:
                interpretation, mark = finished(draft, lambda found: report_on_message(segment, message(found)))
            except Exception:  # the interpretation goes out without a mark
                log.exception("alert %s cannot be verified", segment.alert_id)
                self.metrics.verified.labels("failed").inc()
            else:
                self.metrics.verified.labels("ok" if mark.ok else "wrong").inc()
                self.metrics.gem_withheld.inc(interpretation.reason == FAULT_FOUND)
                out = message(interpretation)
                return interpretation, out.changed(interpretation=out.interpretation.changed(verified=mark))
        interpretation = draft.written()
        return interpretation, message(interpretation)

    async def _send(self, event: Any, interpretation: GroundedInterpretation, message: InterpretationMessage) -> None:
        await self.sender.send([Outgoing(self.topics.interpretations, message.bed_stream, message.to_json())])
        self.metrics.interpretations.labels(interpretation.source).inc()
        self.metrics.interpretation_seconds.observe(interpretation.seconds)
        for verdict, count in interpretation.counts.items():
            self.metrics.claims.labels(verdict).inc(count)
        self._done(event, incoming_of(event.message))

    async def _watch_deadlines(self) -> None:
        """Send a rule-based report for each segment whose deadline passed in the queue."""
        while True:
            await asyncio.sleep(DEADLINE_CHECK_S)
            for waiting in self._queue.overdue(self.clock.now_ns()):
                segment, event = waiting.item
                left = self._why_not(segment, 0.0)
                await self._send_rule_based(segment, event, left)

    # ---- GEM_UNAVAILABLE -----------------------------------------------------------------------------------------

    async def _report_gem_forever(self) -> None:
        """Report on `_system` that GEM is missing, at intervals; and once that it is present again."""
        if not self.settings.gem:
            await asyncio.Future()
        while True:
            state = self._why_no_gem or "there"
            if self._why_no_gem or self._reported != state:
                await self.report_service("GEM_UNAVAILABLE", self._why_no_gem)
                self._reported = state
            await asyncio.sleep(REPORT_INTERVAL_S if self._why_no_gem else 1.0)


def _ecg_of(segment: FlaggedSegment) -> Ecg:
    return with_derived_leads(segment.window.to_ecg(segment.start_ns))


def _measured(ecg: Ecg, code: str, fold: str | None) -> tuple[SegmentMeasurements, str]:
    """The measurements of a segment, and why GEM does not describe it (empty where it does)."""
    from models.grounding.gem_scope import reason_against_gem
    from models.grounding.segment_measurements import measure_segment

    measured = measure_segment(ecg, fold=fold)
    return measured, reason_against_gem(measured, code)
