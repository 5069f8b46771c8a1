"""Delivers the outputs of a bed's steps in the order that makes a crash at any point harmless.

Input: `Outputs` of a step. Output: messages to Kafka: the bed document, acknowledged; strips and alerts, acknowledged;
flagged segments; then vitals, which are not waited for. The numbers are those of docs/delivery.md, "Publish".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


class Delivery:
    """Sends outputs in their order.

    Parameters
    ----------
    settings, clock, sender, metrics
        The worker's.
    may_write : callable
        Called before each write; raises where this worker has lost its partitions.
    encode : callable
        Offers ten seconds of a bed to the encoder tier.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        sender: Sender,
        metrics: Metrics,
        may_write: Callable[[], None],
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

    async def deliver(self, bed: BedMonitor, outputs: list[Outputs]) -> None:
        """Deliver the steps one after the other, each in the order of docs/delivery.md, "Publish"."""
        topics = self._topics
        key = bed.bed.bed_stream
        for output in outputs:
            if output.bed is not None:  # publish 2
                self._may_write()
                await self._sender.send([Outgoing(topics.beds, key, output.bed.to_json())])
            messages = [Outgoing(topics.strips, key, encode_window(s.window), strip_headers(s)) for s in output.strips]
            messages += [Outgoing(topics.alerts, key, alert.to_json()) for alert in output.alerts]
            if messages:  # publish 3
                self._may_write()
                await self._sender.send(messages)
            await self.flag(bed, output.alerts, output.strips, output.flag_reason)
            for alert in output.alerts:
                self._metrics.alert(alert, self._clock.now_ns())
            for vitals in output.vitals:
                await self._sender.send_volatile(Outgoing(topics.vitals, key, vitals.to_json()))
            if output.encoder_window is not None:
                self._encode(key, output.encoder_window)

    async def reject(self, message: Incoming, reason: str) -> None:
        """Dead-letter a message with its reason."""
        await self._sender.reject(message, reason)

    async def flag(self, bed: BedMonitor, alerts: Sequence[Alert], strips: Sequence[Strip], found: str = "") -> None:
        """Send the flagged segments to the interpreter; one over budget gets a rule-based report."""
        windows = {strip.alert_id: strip.window for strip in strips}
        candidates = [
            candidate
            for alert in alerts
            if alert.id in windows
            and (candidate := flags.flag(alert, supported_by=bed.supports(alert.code), found=found))
        ]
        if not candidates:
            return
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
        await self._sender.send(messages)

    async def republish_alerts(self, bed: BedMonitor) -> None:
        """Publish the alerts of a bed document (restore 3); readers drop versions that they have."""
        generation = bed.bed.generation
        alerts = [alert.changed(generation=generation) for alert in bed.bed.alerts]
        self._may_write()
        await self._sender.send([Outgoing(self._topics.alerts, bed.bed.bed_stream, a.to_json()) for a in alerts])

    async def republish_strips(self, bed: BedMonitor) -> None:
        """Publish the strips, and the flags without an interpretation, that a crash may have lost (restore 5)."""
        strips = bed.strips_at_hand()
        key = bed.bed.bed_stream
        self._may_write()
        await self._sender.send(
            [Outgoing(self._topics.strips, key, encode_window(s.window), strip_headers(s)) for s in strips]
        )
        starts = [a.changed(phase=Phase.START) for a in bed.bed.alerts if a.interpretation is None and not a.late]
        await self.flag(bed, starts, strips)


def strip_headers(strip: Strip) -> Headers:
    """Headers of a strip: the id of its alert."""
    return [("alert_id", strip.alert_id.encode())]
