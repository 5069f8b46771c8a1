"""Isolation: an exception in one bed's step changes nothing for other beds, and is never silent.

In: a step of a bed, as a function that returns its outputs. Out: the encoded outputs, or None where the step or their
encoding raised. Then the document of the bed is the one before the step, what raised is started anew, the message is
dead-lettered with the reason, and a metric counts it; the watchdog raises CANNOT_ANALYZE where no verdict follows.
Sending is not isolated: a worker that has lost Kafka or its lease ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from agents.lifecycle.outputs import Outputs
from agents.lifecycle.state_machine import ApplyResult
from agents.metrics import Metrics
from agents.monitor.bed import BedMonitor, Saved
from agents.monitor.delivery import Delivery, Prepared
from agents.worker.sender import Incoming

log = logging.getLogger(__name__)

REASON_LONGEST = 200  # characters of an exception's text in a dead letter

Step = Callable[[], list[Outputs]]


class Isolation:
    """Takes the steps of beds one by one.

    Parameters
    ----------
    delivery, metrics
        Of the worker.
    windows_topic : str
        Name of ``ecg.windows``.
    repair : callable
        Called with a bed whose document is what raises.
    """

    def __init__(
        self, delivery: Delivery, metrics: Metrics, windows_topic: str, repair: Callable[[BedMonitor], None]
    ) -> None:
        self._delivery = delivery
        self._metrics = metrics
        self._windows_topic = windows_topic
        self._repair = repair

    async def take(self, kind: str, bed: BedMonitor, step: Step, message: Incoming | None = None) -> bool:
        """Take one step and send its outputs; False where it failed."""
        prepared = await self.prepare(kind, bed, step, message)
        if prepared is None:
            return False
        await self._delivery.send(prepared)
        return True

    async def prepare(
        self, kind: str, bed: BedMonitor, step: Step, message: Incoming | None = None
    ) -> list[Prepared] | None:
        """Take one step and encode its outputs.

        Parameters
        ----------
        kind : {"message", "tick", "action", "interpretation", "encoder", "backfill", "replay"}
            For the metric, and for what is started anew.
        bed : BedMonitor
            The bed of the step.
        step : callable
            Returns the outputs.
        message : Incoming or None
            Dead-lettered where the step fails.
        """
        saved = bed.saved()
        try:
            return self._delivery.prepare(bed, step())
        except Exception as error:
            reason = reason_of_failure(error, saved.bed.patient)
            self.count(kind)
            known = bed.failed  # the traceback is logged once, not for each message
            level = logging.WARNING if known else logging.ERROR
            log.log(level, "%s, bed %s, %s", kind, saved.bed.bed_stream, reason, exc_info=None if known else error)
            self._recover(kind, bed, saved, message)
            if message is not None:
                await self._delivery.reject(message, f"{reason} ({message.place})")
            return None

    def _recover(self, kind: str, bed: BedMonitor, saved: Saved, message: Incoming | None) -> None:
        """Bring a bed back to its state before the step; what raised is started anew."""
        try:
            bed.roll_back(saved)
            if kind == "backfill":
                bed.restart_backfill()
            elif kind == "encoder":
                bed.forget_encoder_results()
            elif message is not None and message.topic == self._windows_topic:
                bed.restart_analysis(message.offset, message.append_ns)
            elif kind != "interpretation":  # an interpretation never reaches the analysis
                bed.restart_analysis()
            bed.check()
        except Exception as error:
            log.error("the document of bed %s is repaired", saved.bed.bed_stream, exc_info=error)
            self._repair(bed)

    async def publish_again(self, bed: BedMonitor, prepare: Callable[[BedMonitor], list[Prepared]]) -> None:
        """Publish the alerts or the strips of a restored bed again."""
        try:
            prepared = prepare(bed)
        except Exception as error:
            self.count("document")
            log.error("alerts of bed %s cannot be published again", bed.bed.bed_stream, exc_info=error)
            return
        await self._delivery.send(prepared)

    def count(self, kind: str) -> None:
        """Count a failed step."""
        self._metrics.failed_steps.labels(kind).inc()


def reason_of_failure(error: BaseException, patient: str = "") -> str:
    """The reason of a dead letter: type and text of an exception, on one line and short, without the pseudonym."""
    text = " ".join(str(error).split())
    if patient:
        text = text.replace(patient, "…")
    if len(text) > REASON_LONGEST:
        text = text[:REASON_LONGEST] + "…"
    return f"analysis failed: {type(error).__name__}: {text}"


def logged_step(what: str, step: Callable[[], tuple[list[Outputs], ApplyResult]]) -> list[Outputs]:
    """The outputs of a step; the log says where it changed nothing, and why."""
    outputs, outcome = step()
    if not outcome.applied:
        log.info("%s changed nothing: %s", what, outcome.reason)
    return outputs
