"""Matches a reported condition to an open alert, a new alert, or none.

A worker that started again, or one that jumped to the newest signal, may find the beginning of a condition elsewhere
than the worker before it. So an alert is recognised by its id first, then by overlap: an episode that is back within
5 s is the same one (the rhythm tier's rule for ends). An instant is recognised by its place alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.lifecycle.condition import ConditionReport
from agents.lifecycle.rules import seconds_ns
from models.arrhythmia.codes import CODES
from models.arrhythmia.episodes import END_AFTER_S
from streams.alert import Alert, State, alert_id
from streams.bed import Bed
from streams.document import ns_of_time, time_of_ns

SAME_BEAT_S = 0.15  # two marks of one beat lie at most this far apart (ANSI/AAMI EC57 match window)
MICROSECOND_NS = 1000  # the resolution of instants in documents


@dataclass(frozen=True, slots=True)
class Match:
    """The alert of a report.

    Attributes
    ----------
    alert : Alert or None
        The alert that it belongs to; None where it begins a new one.
    onset_ns : int
        Onset to record, where it begins a new one.
    stale : bool
        It adds nothing: an old report, or one of a condition that has ended.
    """

    alert: Alert | None
    onset_ns: int
    stale: bool = False


def alert_of(bed: Bed, report: ConditionReport) -> Alert | None:
    """The alert of the bed that a report belongs to; None where it begins a new one, which needs its citations."""
    return match(bed, bed.alerts, report).alert


def watched_from_ns(bed: Bed) -> int | None:
    """Instant before which conditions are not the bed's: a person set its status then (resume, admit)."""
    return ns_of_time(bed.since) if bed.by else None


def match(bed: Bed, alerts: Sequence[Alert], report: ConditionReport) -> Match:
    """Find the alert of a report among ``alerts``, those of the bed as they stand."""
    start_ns = watched_from_ns(bed)
    onset_ns = report.onset_ns if start_ns is None else max(report.onset_ns, start_ns)
    onset_ns = ns_of_time(time_of_ns(onset_ns))
    if report.last_ns < onset_ns or report.last_ns == start_ns:  # never seen since the bed is watched
        return Match(None, onset_ns, stale=True)
    identity = alert_id(bed.bed_stream, report.code, onset_ns)
    same_code = [a for a in alerts if a.code == report.code and not _of_before(a, start_ns)]
    near = [a for a in same_code if a.id == identity or _same(a, report, onset_ns)]
    present = [alert for alert in near if not _over(alert)]
    if present:
        alert = next((a for a in present if a.id == identity), present[-1])
        return Match(alert, onset_ns, stale=report.end_ns is not None and report.end_ns < ns_of_time(alert.onset))
    if not near:
        return Match(None, onset_ns)
    last = max(near, key=_end_ns)
    if not _continues(last, report, onset_ns):
        return Match(last, onset_ns, stale=True)
    if last.state is not State.OFF:
        return Match(last, onset_ns)
    taken = any(alert.id == identity for alert in same_code)  # every start has one end: what goes on is a new alert
    return Match(None, _end_ns(last) + MICROSECOND_NS if taken else onset_ns)


def _end_ns(alert: Alert) -> int:
    return ns_of_time(alert.end or alert.detected)


def _of_before(alert: Alert, start_ns: int | None) -> bool:
    """Ended by standby, discharge or another patient: nothing that holds now belongs to it."""
    return start_ns is not None and alert.state is State.OFF and _end_ns(alert) <= start_ns


def _over(alert: Alert) -> bool:
    return alert.state is State.OFF or alert.end is not None


def _same(alert: Alert, report: ConditionReport, onset_ns: int) -> bool:
    begin_ns, gap_ns = ns_of_time(alert.onset), seconds_ns(END_AFTER_S)
    if CODES[report.code].instant:
        return abs(begin_ns - onset_ns) <= seconds_ns(SAME_BEAT_S)
    if report.last_ns < begin_ns - gap_ns:
        return False
    return alert.end is None or onset_ns <= ns_of_time(alert.end) + gap_ns


def _continues(alert: Alert, report: ConditionReport, onset_ns: int) -> bool:
    """The condition goes on after the end that the alert has."""
    if CODES[report.code].instant:
        return False
    return onset_ns > _end_ns(alert) or report.last_ns > _end_ns(alert) + seconds_ns(END_AFTER_S)
