"""The watchdog: CANNOT_ANALYZE where a monitored bed has no verdict on signal of the last 10 s.

In: the bed document (status, open technical alarms), the time of the newest verdict, the limit and the time. Out: the
report that begins, continues or ends CANNOT_ANALYZE, or None. The watchdog is independent of the analysis: it does not
know why there is no verdict, and speaks also when the analysis raises on every message or nothing arrives. All times
are UTC ns of documents.
"""

from __future__ import annotations

from agents.lifecycle.condition import ConditionReport
from agents.lifecycle.matching import MICROSECOND_NS, watched_from_ns
from agents.lifecycle.rules import seconds_ns
from agents.monitor.feed_problems import open_alert
from streams.alert import Provenance
from streams.bed import SYSTEM, Bed, Status
from streams.document import ns_of_time

CODE = "CANNOT_ANALYZE"

EARLY_S = 0.5
"""The clock of the beds ticks twice a second. Without acting one tick early the alarm would become active after its
limit."""

EXPLAINED_BY = ("SILENT_FEED", "NOISY_SIGNAL")
"""Technical alarms that explain a missing verdict, beside LEADS_OFF of all leads."""

ALL_LEADS_OFF_PRIORITY = "PM"


def missing_since_ns(bed: Bed, judged_at_ns: int | None) -> int:
    """Time since which a bed has no verdict: that of the newest one, else the bed's ``since``."""
    if judged_at_ns is None:
        return ns_of_time(bed.since)
    return max(judged_at_ns, watched_from_ns(bed) or judged_at_ns)


def explained(bed: Bed) -> bool:
    """Another technical alarm explains why there is no verdict."""
    if any(open_alert(bed, code) for code in EXPLAINED_BY):
        return True
    leads_off = open_alert(bed, "LEADS_OFF")
    return leads_off is not None and leads_off.priority == ALL_LEADS_OFF_PRIORITY


def says_why(bed: Bed) -> bool:
    """A technical alarm says why there is no verdict."""
    return open_alert(bed, CODE) is not None or explained(bed)


def watch(
    bed: Bed, judged_at_ns: int | None, limit_s: float, now_ns: int, provenance: Provenance
) -> ConditionReport | None:
    """Compare the newest verdict with the clock.

    Parameters
    ----------
    bed : Bed
        As it stands, the alarms of this step included.
    judged_at_ns : int or None
        Up to where the signal was judged; None: never.
    limit_s : float
        Limit of CANNOT_ANALYZE, seconds.
    now_ns : int
        UTC nanoseconds.
    provenance : Provenance
        Of the report.

    Returns
    -------
    ConditionReport or None
        CANNOT_ANALYZE that holds, or has ended; None where there is nothing to report.
    """
    if bed.status is not Status.MONITORED or bed.bed_stream == SYSTEM:
        return None
    alert = open_alert(bed, CODE)
    since_ns = missing_since_ns(bed, judged_at_ns)
    due = now_ns - since_ns >= seconds_ns(limit_s - EARLY_S)
    if due and not explained(bed):
        onset_ns = ns_of_time(alert.onset) if alert is not None else _after_the_last(bed, since_ns)
        return ConditionReport(CODE, onset_ns, max(onset_ns, now_ns), max(onset_ns, now_ns), provenance=provenance)
    if alert is None:
        return None
    onset_ns = ns_of_time(alert.onset)
    end_ns = max(onset_ns, now_ns if due else since_ns)
    return ConditionReport(CODE, onset_ns, end_ns, end_ns, end_ns, provenance=provenance)


def _after_the_last(bed: Bed, since_ns: int) -> int:
    """Onset of a new alert: after the end of the last one, which another alarm replaced while there was no verdict."""
    ends_ns = [ns_of_time(a.end or a.detected) for a in bed.alerts if a.code == CODE]
    return max([since_ns, *(end_ns + MICROSECOND_NS for end_ns in ends_ns if end_ns >= since_ns)])
