"""The alarm life cycle of IEC 60601-1-8: one pure state machine over a bed's document, the clock passed in.

A *transition* takes the bed, the time and one input (reports of conditions, a person's action, an interpretation) and
gives the new bed and the new versions of its alerts, at most one version an alert. The whole state is in the bed
document, so a worker that restores it from Kafka continues where the last one stopped. The document of a transition,
with its new versions, is written before the next transition (docs/delivery.md, "Publish").

=========================================  =========================================================================
`step`                                     the conditions as they are reported at an update of the rhythm tier
`tick`                                     time alone: instants, re-alarm times, end of an audio pause, reminders
`agents.lifecycle.actions.apply_action`    a person acknowledges, silences, admits, discharges, …
`apply_interpretation`                     the interpretation of an alert's segment
`identify`                                 the pseudonym that the bed's windows carry
=========================================  =========================================================================

States: on → (acknowledged | latched) → off. A lethal alarm (PH) whose condition has ended stays latched until a person
acknowledges it; any other alarm is off when its condition ends. `streams.alert_states` has the table of the states and
their names in other standards; docs/alarms.md describes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.lifecycle.alert_book import NO_AUDIO_PAUSE, AlertBook, not_before_onset
from agents.lifecycle.condition import ConditionReport
from agents.lifecycle.groups import rank
from agents.lifecycle.matching import MICROSECOND_NS, match
from agents.lifecycle.rules import DEFAULT_RULES, LATE_AFTER_S, Rules, seconds_ns
from agents.lifecycle.sounding import decide_sounding
from agents.lifecycle.timers import audio_pause, end_by_time, remind
from models.arrhythmia.codes import CODES
from streams.alert import Alert, Citation, InterpretationMessage, State
from streams.bed import APPLIED_IDS_KEPT, Bed, Status
from streams.document import time_of_ns


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What became of an action or an interpretation.

    Attributes
    ----------
    applied : bool
        It changed the bed or an alert.
    reason : str
        Why not; empty where it was applied.
    """

    applied: bool
    reason: str = ""


def step(
    bed: Bed,
    now_ns: int,
    reports: Sequence[ConditionReport] = (),
    *,
    rules: Rules = DEFAULT_RULES,
) -> tuple[Bed, list[Alert]]:
    """One transition over the reported conditions.

    Parameters
    ----------
    bed : Bed
        As it was written last.
    now_ns : int
        UTC nanoseconds.
    reports : sequence of ConditionReport
        Every condition that is on, and those that ended since the last transition, in any order. A condition
        without a report goes on: only a report of its end ends it.
    rules : Rules
        What the site sets for this bed.

    Returns
    -------
    bed : Bed
        The same object where nothing changed.
    alerts : list of Alert
        New versions, in the order in which their alerts were raised.
    """
    if not reports and _is_quiet(bed):
        return bed, []
    book = AlertBook(bed, now_ns)
    if bed.status is Status.MONITORED:
        for report in sorted(reports, key=lambda r: (r.onset_ns, rank(r.code), r.code, r.last_ns)):
            _apply_report(book, report, rules)
    return finalize(book, rules)


def tick(bed: Bed, now_ns: int, *, rules: Rules = DEFAULT_RULES) -> tuple[Bed, list[Alert]]:
    """One transition in which only time has passed; needed at least once a second."""
    return (bed, []) if _is_quiet(bed) else finalize(AlertBook(bed, now_ns), rules)


def _is_quiet(bed: Bed) -> bool:
    """A bed without alerts and audio pause, as most beds are: time alone changes nothing."""
    return not bed.alerts and bed.audio_paused_until is None


def apply_interpretation(
    bed: Bed, message: InterpretationMessage, now_ns: int, *, rules: Rules = DEFAULT_RULES
) -> tuple[Bed, list[Alert], ApplyResult]:
    """Attach an interpretation to its alert, also to one that is off: an update, the state stays.

    The start version's citations keep their numbers 1…k; the message's go on from k + 1. A second interpretation
    replaces the first with its citations, except that a rule-based report never replaces GEM's.
    """
    if message.id in bed.applied_ids:
        return bed, [], ApplyResult(False, f"interpretation {message.id} was applied before")
    book = AlertBook(bed, now_ns)
    alert = book.get(message.alert_id)
    reason = _why_not(alert, message)
    if alert is not None and not reason:
        first = message.citations[0].n if message.citations else len(alert.citations) + 1
        kept: list[Citation] = [c for c in alert.citations if c.n < first]
        book.edit(alert, interpretation=message.interpretation, citations=[*kept, *message.citations])
    after, versions = finalize(book, rules, message.id)
    return after, versions, ApplyResult(not reason, reason)


def identify(bed: Bed, patient: str, now_ns: int, *, rules: Rules = DEFAULT_RULES) -> tuple[Bed, list[Alert]]:
    """The pseudonym that the bed's windows carry from a new epoch on (a change inside an epoch is PATIENT_MISMATCH).

    A bed whose patient was unknown takes it, and nothing else changes. A bed with another one has a new patient: the
    alerts of the one before end, limits and baseline begin anew, and it is monitored. So is a discharged bed whose
    pseudonym is another than before.
    """
    if patient in ("", bed.patient):
        return bed, []
    if not bed.patient and bed.status is not Status.DISCHARGED:
        book = AlertBook(bed, now_ns)
        book.change(patient=patient)
        book.note(f"patient {patient}", now_ns, "telemetry")
        return finalize(book, rules)
    return admit(bed, patient, now_ns, now_ns, "telemetry", rules)


def admit(
    bed: Bed, patient: str, now_ns: int, at_ns: int, by: str, rules: Rules, applied_id: str | None = None
) -> tuple[Bed, list[Alert]]:
    """Put a patient into a bed, by a person or by a new pseudonym."""
    book = AlertBook(bed, now_ns)
    book.change(patient=patient, baseline=None)
    book.note(f"admit {patient}", at_ns, by)
    other = bed.patient not in ("", patient)
    if other or bed.status is not Status.MONITORED:
        book.change(status=Status.MONITORED, since=time_of_ns(now_ns), by=by)
    if other or bed.status is Status.DISCHARGED:
        end_all(book)
        book.change(limits={}, **NO_AUDIO_PAUSE)
    return finalize(book, rules, applied_id)


def end_all(book: AlertBook) -> None:
    """Set every open alert off: nobody is monitored in this bed (any more)."""
    for alert in book.open():
        book.edit(alert, state=State.OFF, end=alert.end or not_before_onset(alert, book.now_ns))


def finalize(book: AlertBook, rules: Rules, applied_id: str | None = None) -> tuple[Bed, list[Alert]]:
    """The end of every transition: timers, sounding, reminders. Closes the book.

    Parameters
    ----------
    book : AlertBook
        With the edits of the transition.
    rules : Rules
        The site's.
    applied_id : str or None
        Of the action or interpretation that this transition applied or rejected.
    """
    end_by_time(book)
    for alert in book.open():
        if rules.switched_off(alert.code, book.bed.limits):
            book.edit(alert, state=State.OFF, end=alert.end or not_before_onset(alert, book.now_ns))
    pause = audio_pause(book)
    new = {alert.id for alert in book.all() if book.is_new(alert)}
    for identity, (sounding, above) in decide_sounding(book.all(), book.now_ns, pause, new).items():
        decided = book.get(identity)
        if decided is not None and (decided.sounding, decided.superseded_by) != (sounding, above):
            book.edit(decided, sounding=sounding, superseded_by=above, sounded=decided.sounded or sounding)
    for alert in book.all():
        if alert.state is State.OFF and (alert.sounding or alert.superseded_by):
            book.edit(alert, sounding=False, superseded_by=None)
    remind(book, rules)
    if applied_id is not None:
        book.change(applied_ids=[*book.bed.applied_ids, applied_id][-APPLIED_IDS_KEPT:])
    return book.commit()


def _apply_report(book: AlertBook, report: ConditionReport, rules: Rules) -> None:
    """Apply one report."""
    if rules.switched_off(report.code, book.bed.limits):
        return
    found = match(book.bed, book.all(), report)
    alert = found.alert
    if found.stale:
        return
    if alert is not None and _rises_over_acknowledged(alert, report):
        book.edit(alert, state=State.OFF, end=not_before_onset(alert, report.last_ns))
        _raise(book, report, report.last_ns + MICROSECOND_NS, rules)
    elif alert is None:
        _raise(book, report, found.onset_ns, rules)
    elif report.end_ns is not None and not CODES[report.code].instant:
        _end(book, alert, report.end_ns)
    elif alert.state is State.LATCHED:  # back within the 5 s that end it: on again
        book.edit(alert, state=State.ON, end=None)
    elif report.priority is not None and report.priority != alert.priority:
        book.edit(alert, priority=report.priority)


def _raise(book: AlertBook, report: ConditionReport, onset_ns: int, rules: Rules) -> None:
    instant = CODES[report.code].instant
    over_ns = report.detected_ns if instant and not report.live else report.end_ns
    if over_ns is None and not report.live:
        return  # backfilled: recorded when its end is known, or when the live analysis reports it
    late = over_ns is not None and book.now_ns - over_ns > seconds_ns(LATE_AFTER_S)
    alert = book.raise_alert(report, onset_ns, rules)
    alert = book.edit(alert, late=late)
    if over_ns is not None and (late or not instant):
        _end(book, alert, max(over_ns, onset_ns))


def _end(book: AlertBook, alert: Alert, end_ns: int) -> None:
    """The condition of an alert is over: latched where it is lethal and unacknowledged, else off.

    An alert raised in this transition stays on until the next: its first version is a start, not an end.
    """
    fields: dict[str, object] = {"end": not_before_onset(alert, end_ns)}
    if alert.priority == "PH" and alert.acknowledged is None:
        fields["state"] = State.LATCHED
    elif not book.is_new(alert):
        fields["state"] = State.OFF
    book.edit(alert, **fields)


def _rises_over_acknowledged(alert: Alert, report: ConditionReport) -> bool:
    """More is wrong than what was acknowledged (one lead off, then all of them)."""
    order = ("PN", "PL", "PM", "PH")
    return (
        alert.state is State.ACKNOWLEDGED
        and report.end_ns is None
        and report.priority is not None
        and order.index(report.priority) > order.index(alert.priority)
    )


def _why_not(alert: Alert | None, message: InterpretationMessage) -> str:
    if alert is None:
        return f"no alert {message.alert_id} on bed {message.bed_stream}, or off for too long"
    before = alert.interpretation
    if before is not None and before.source == "gem" and message.interpretation.source == "measured":
        return f"alert {alert.id} has GEM's interpretation already"
    numbers = [c.n for c in message.citations]
    if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return f"citations of interpretation {message.id} are numbered {numbers}: they go on without a gap"
    known = len(alert.citations)
    if numbers and (numbers[0] > known + 1 or (before is None and numbers[0] != known + 1)):
        return f"citations of interpretation {message.id} begin at {numbers[0]}: alert {alert.id} has {known}"
    return ""
