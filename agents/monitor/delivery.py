"""Delivers the outputs of a bed's steps in the order that makes a crash at any point harmless.

Input: `Outputs` of a step. Output: messages to Kafka: the bed document, acknowledged; strips and alerts, acknowledged;
flagged segments; then vitals, which are not waited for. The numbers are those of docs/delivery.md, "Publish".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from agents.clock import Clock
from agents.lifecycle.outputs import Outputs, Strip
from agents.metrics import Metrics
from agents.monitor import flags
from agents.monitor.bed import BedMonitor
from agents.settings import Settings
from agents.worker.sender import Incoming, Outgoing, Sender
from models.ecg import Ecg
from streams.alert import Alert, Phase
from streams.document import ns_of_time
from streams.telemetry import Headers
from streams.topics import Topics
from streams.wire import FlaggedSegment, encode_flagged, encode_window


@dataclass(eq=False, kw_only=True)
class Prepared:
    """The encoded outputs of one step of a bed, in the order in which they are sent."""

    key: str
    bed: Outgoing | None = None
    messages: list[Outgoing] = field(default_factory=list)
    flagged: list[Outgoing] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    vitals: list[Outgoing] = field(default_factory=list)
    encoder_window: Ecg | None = None


class Delivery:
    """Encodes the outputs of a bed, then sends them in their order.

    Parameters
    ----------
    settings, clock, sender, metrics
        The worker's.
    may_write : callable
        Awaited before each write; raises where this worker has lost its partitions.
    encode : callable
        Offers ten seconds of a bed to the encoder tier.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        sender: Sender,
        metrics: Metrics,
        may_write: Callable[[], Awaitable[None]],
        encode: Callable[[str, Ecg], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._sender = sender
        self._metrics = metrics
        self._may_write = may_write
        self._encode = encode
        self._topics = Topics(settings.topic_prefix, settings.partitions)
        self._budget = flags.Budget()

    def prepare(self, bed: BedMonitor, outputs: Sequence[Outputs]) -> list[Prepared]:
        """Encode the outputs of a bed's steps; what this raises is that bed's problem, and nothing has been sent."""
        topics, key = self._topics, bed.bed.bed_stream
        return [
            Prepared(
                key=key,
                bed=None if output.bed is None else Outgoing(topics.beds, key, output.bed.to_json()),
                messages=[
                    *(Outgoing(topics.strips, key, encode_window(s.window), strip_headers(s)) for s in output.strips),
                    *(Outgoing(topics.alerts, key, alert.to_json()) for alert in output.alerts),
                ],
                flagged=self._flagged(bed, output.alerts, output.strips, output.flag_reason),
                alerts=output.alerts,
                vitals=[Outgoing(topics.vitals, key, vitals.to_json()) for vitals in output.vitals],
                encoder_window=output.encoder_window,
            )
            for output in outputs
        ]

    async def send(self, prepared: Sequence[Prepared]) -> None:
        """Send the steps one after the other, each in the order of docs/delivery.md, "Publish"."""
        for step in prepared:
            if step.bed is not None:  # publish 2
                await self._may_write()
                await self._sender.send([step.bed])
            if step.messages:  # publish 3
                await self._may_write()
                await self._sender.send(step.messages)
            await self._sender.send(step.flagged)
            for alert in step.alerts:
                self._metrics.alert(alert, self._clock.now_ns())
            for vitals in step.vitals:
                await self._sender.send_volatile(vitals)
            if step.encoder_window is not None:
                self._encode(step.key, step.encoder_window)

    async def reject(self, message: Incoming, reason: str, *, wait: bool = True) -> None:
        """Dead-letter a message with its reason."""
        await self._sender.reject(message, reason, wait=wait)

    def _flagged(
        self, bed: BedMonitor, alerts: Sequence[Alert], strips: Sequence[Strip], found: str = ""
    ) -> list[Outgoing]:
        """The flagged segments for the interpreter; one over budget gets a rule-based report."""
        windows = {strip.alert_id: strip.window for strip in strips}
        candidates = [
            candidate
            for alert in alerts
            if alert.id in windows
            and (candidate := flags.flag(alert, supported_by=bed.supports(alert.code), found=found))
        ]
        if not candidates:
            return []
        now_ns = self._clock.now_ns()
        self._budget, choice = flags.choose(self._budget, candidates, now_ns)
        deadline_ns = now_ns + round(self._settings.gem_deadline_s * 1e9)
        segments = [(f, f.reason, deadline_ns) for f in choice.taken] + [(f, why, now_ns) for f, why in choice.left_out]
        messages = []
        for candidate, reason, until_ns in segments:
            alert = candidate.alert
            assert alert.segment is not None
            segment = FlaggedSegment(
                window=windows[alert.id],
                alert_id=alert.id,
                code=alert.code,
                priority=alert.priority,
                reason=reason,
                start_ns=ns_of_time(alert.segment.start),
                deadline_ns=until_ns,
                citations=candidate.citations,
            )
            messages.append(Outgoing(self._topics.flagged, alert.bed_stream, encode_flagged(segment)))
        return messages

    def prepare_alerts(self, bed: BedMonitor) -> list[Prepared]:
        """Encode the alerts of a bed document again (restore 3); readers drop versions that they have."""
        generation, key = bed.bed.generation, bed.bed.bed_stream
        alerts = [alert.changed(generation=generation) for alert in bed.bed.alerts]
        return [Prepared(key=key, messages=[Outgoing(self._topics.alerts, key, a.to_json()) for a in alerts])]

    def prepare_strips(self, bed: BedMonitor) -> list[Prepared]:
        """Encode the strips, and the flags without an interpretation, that a crash may have lost (restore 5)."""
        strips, key = bed.strips_at_hand(), bed.bed.bed_stream
        starts = [a.changed(phase=Phase.START) for a in bed.bed.alerts if a.interpretation is None and not a.late]
        return [
            Prepared(
                key=key,
                messages=[
                    Outgoing(self._topics.strips, key, encode_window(s.window), strip_headers(s)) for s in strips
                ],
                flagged=self._flagged(bed, starts, strips),
            )
        ]


def strip_headers(strip: Strip) -> Headers:
    """Headers of a strip: the id of its alert."""
    return [("alert_id", strip.alert_id.encode())]
