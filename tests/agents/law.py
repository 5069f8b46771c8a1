"""The law of the product as an oracle: each monitored bed is judged, or a technical alarm says why it is not.

In: what one bed's monitor wrote, with the time of each write: bed documents, vitals, or the `Outputs` of steps. Out:
the times at which the law does not hold. The oracle knows nothing of the signal and of the analysis. Times are UTC ns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agents.lifecycle.outputs import Outputs
from streams.alert import Alert, State
from streams.bed import SYSTEM, Bed, Status, Vitals
from streams.document import ns_of_time

S = 1_000_000_000
VERDICT_S = 10.0  # a verdict is one on signal of the last 10 s
SLACK_S = 1.0  # a message of one second; the tick acts up to 0.5 s early
VITALS_S = 1.0  # one a second
VITALS_SLACK_S = 1.0  # two ticks
EXPLAINS = frozenset({"CANNOT_ANALYZE", "SILENT_FEED", "NOISY_SIGNAL"})

Written = Outputs | Bed | Vitals


@dataclass(frozen=True, slots=True)
class Violation:
    """A span without a verdict and without a technical alarm, UTC ns; ``judged_at_ns`` is the newest verdict then."""

    start_ns: int
    stop_ns: int
    judged_at_ns: int | None

    @property
    def seconds(self) -> float:
        """Length of the span."""
        return (self.stop_ns - self.start_ns) / S


def says_why(alert: Alert) -> bool:
    """An active technical alarm that explains why there is no verdict."""
    explains = alert.code in EXPLAINS or (alert.code == "LEADS_OFF" and alert.priority == "PM")
    return explains and alert.state is not State.OFF and alert.end is None


def violations(
    written: Iterable[tuple[int, Written]],
    stop_ns: int,
    *,
    verdict_s: float = VERDICT_S,
    slack_s: float = SLACK_S,
) -> list[Violation]:
    """The spans in which a bed was monitored, without a verdict and without an explanation.

    Parameters
    ----------
    written : iterable of (time in ns, Outputs | Bed | Vitals)
        In order of time, from the bed's first document on. A bed that was restored begins with its document.
    stop_ns : int
        The state is looked at up to here.
    verdict_s : float
        The bed's limit of CANNOT_ANALYZE.
    slack_s : float
        Longer than ``verdict_s`` by this: messages are up to 1 s long, and the clock of the beds ticks twice a second.
    """
    bed: Bed | None = None
    judged_at_ns: int | None = None
    at_ns = 0
    found: list[Violation] = []

    def check(until_ns: int) -> None:
        if bed is None or bed.status is not Status.MONITORED or bed.bed_stream == SYSTEM:
            return
        if any(says_why(alert) for alert in bed.alerts):
            return
        since_ns = ns_of_time(bed.since)
        newest_ns = since_ns if judged_at_ns is None else max(judged_at_ns, since_ns) if bed.by else judged_at_ns
        start_ns = max(at_ns, newest_ns + round((verdict_s + slack_s) * S))
        if start_ns >= until_ns:
            return
        if found and found[-1].stop_ns == start_ns and found[-1].judged_at_ns == judged_at_ns:
            start_ns = found.pop().start_ns
        found.append(Violation(start_ns, until_ns, judged_at_ns))

    for now_ns, document in _documents(written):
        check(now_ns)
        at_ns = now_ns
        if isinstance(document, Bed):
            bed = document
        elif document.judged_at is not None:
            judged_at_ns = ns_of_time(document.judged_at)
    check(stop_ns)
    return found


def vitals_gaps(
    written: Iterable[tuple[int, Written]], stop_ns: int, *, slack_s: float = VITALS_SLACK_S
) -> list[tuple[int, int]]:
    """The spans in which a monitored bed wrote no vitals for more than a second, and the slack."""
    bed: Bed | None = None
    last_ns = 0
    found = []

    def check(until_ns: int) -> None:
        watched = bed is not None and bed.status is Status.MONITORED and bed.bed_stream != SYSTEM
        if watched and until_ns - last_ns > (VITALS_S + slack_s) * S:
            found.append((last_ns, until_ns))

    for now_ns, document in _documents(written):
        if isinstance(document, Vitals):
            check(now_ns)
            last_ns = now_ns
            continue
        before, bed = bed, document
        if before is None or before.status is not Status.MONITORED:
            last_ns = now_ns
    check(stop_ns)
    return found


def _documents(written: Iterable[tuple[int, Written]]) -> Iterator[tuple[int, Bed | Vitals]]:
    for now_ns, what in written:
        if isinstance(what, Outputs):
            if what.bed is not None:
                yield now_ns, what.bed
            for vitals in what.vitals:
                yield now_ns, vitals
        else:
            yield now_ns, what
