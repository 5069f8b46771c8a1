"""Technical conditions of the feed: silence, clock jump, second source, changed pseudonym, missing service.

Open alerts are in the bed document; this module keeps only the recent observations.
"""

from __future__ import annotations

from collections.abc import Iterable

from agents.lifecycle.condition import ConditionReport
from agents.monitor.reassembly import FeedProblem
from streams.alert import Alert, InterpretationMessage, Provenance
from streams.bed import SYSTEM, Bed, Status
from streams.document import ns_of_time

S = 1_000_000_000
CLEAR_S = 10.0  # a problem that no message has shown for this long is over
SERVICE_CODES = ("GEM_UNAVAILABLE", "ENCODER_UNAVAILABLE")
PROBLEM_CODES = ("CLOCK_JUMP", "DUPLICATE_SOURCE", "PATIENT_MISMATCH")


def open_alert(bed: Bed, code: str) -> Alert | None:
    """The alert of a code whose condition holds."""
    return next((a for a in bed.alerts if a.code == code and a.end is None and a.state != "off"), None)


def service_report(bed: Bed, message: InterpretationMessage) -> ConditionReport | None:
    """Report that a service is missing (the message has a reason) or present again; None where nothing changes.

    Parameters
    ----------
    bed : Bed
        The document of `SYSTEM`.
    message : InterpretationMessage
        ``alert_id`` is one of `SERVICE_CODES`.
    """
    code, at_ns = message.alert_id, ns_of_time(message.interpretation.at)
    alert = open_alert(bed, code)
    onset_ns = at_ns if alert is None else min(at_ns, ns_of_time(alert.onset))
    present = message.interpretation.reason is None
    if present and alert is None:
        return None
    return ConditionReport(
        code=code,
        onset_ns=onset_ns,
        detected_ns=onset_ns,
        last_held_ns=max(onset_ns, at_ns),
        end_ns=at_ns if present else None,
    )


def silence_reports(
    bed: Bed, last_append_ns: int | None, message_s: float, limit_s: float, now_ns: int, provenance: Provenance
) -> list[ConditionReport]:
    """SILENT_FEED where no valid message has come for ``limit_s``, or twice a message's length if that is longer.

    Parameters
    ----------
    last_append_ns : int or None
        Append time of the last valid message; None: not one that is still to be read, then the bed's ``since`` counts.
    now_ns : int
        The partition was read to its end at this time.
    """
    if bed.status is not Status.MONITORED or bed.bed_stream == SYSTEM:
        return []
    since_ns = ns_of_time(bed.since)
    last_ns = since_ns if last_append_ns is None else max(last_append_ns, since_ns) if bed.by else last_append_ns
    if now_ns - last_ns <= max(limit_s, 2 * message_s) * S:
        return []
    return [
        ConditionReport(
            code="SILENT_FEED", onset_ns=last_ns, detected_ns=now_ns, last_held_ns=now_ns, provenance=provenance
        )
    ]


def silence_ended(bed: Bed, last_append_ns: int, provenance: Provenance) -> list[ConditionReport]:
    """The end of SILENT_FEED, where it is on: a message came."""
    alert = open_alert(bed, "SILENT_FEED")
    if alert is None:
        return []
    onset_ns, end_ns = ns_of_time(alert.onset), max(ns_of_time(alert.onset), last_append_ns)
    return [
        ConditionReport(
            code="SILENT_FEED",
            onset_ns=onset_ns,
            detected_ns=end_ns,
            last_held_ns=end_ns,
            end_ns=end_ns,
            provenance=provenance,
        )
    ]


class FeedProblems:
    """CLOCK_JUMP, DUPLICATE_SOURCE and PATIENT_MISMATCH: on while messages show them, and for 10 s after."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int, int]] = {}  # code to onset, last seen, append time of that

    def take(self, problems: Iterable[FeedProblem], append_ns: int) -> None:
        """Note what a message showed."""
        for problem in problems:
            onset_ns = self._seen[problem.code][0] if problem.code in self._seen else problem.at_ns
            self._seen[problem.code] = min(onset_ns, problem.at_ns), max(problem.at_ns, onset_ns), append_ns

    def reports(
        self, bed: Bed, last_append_ns: int, provenance: Provenance, *, live: bool = True
    ) -> list[ConditionReport]:
        """What is on, and what has ended by ``last_append_ns``, the append time of the newest message."""
        out = []
        for code in PROBLEM_CODES:
            if code not in self._seen:
                alert = open_alert(bed, code)
                if alert is not None:  # another worker saw it, and no message since shows it
                    onset_ns = ns_of_time(alert.onset)
                    out.append(
                        ConditionReport(
                            code=code,
                            onset_ns=onset_ns,
                            detected_ns=onset_ns,
                            last_held_ns=onset_ns,
                            end_ns=onset_ns,
                            provenance=provenance,
                        )
                    )
                continue
            onset_ns, last_ns, append_ns = self._seen[code]
            over = last_append_ns - append_ns > CLEAR_S * S
            end_ns = last_ns if over else None
            out.append(
                ConditionReport(
                    code=code,
                    onset_ns=onset_ns,
                    detected_ns=last_ns,
                    last_held_ns=last_ns,
                    end_ns=end_ns,
                    live=live,
                    provenance=provenance,
                )
            )
            if over:
                del self._seen[code]
        return out
