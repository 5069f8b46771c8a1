"""Applies people's actions on beds and alerts to the bed document, each once by its id.

An action that cannot be applied adds an audit line with the reason and changes nothing else. The times in audit lines
and acknowledgements are those of the person's action; what takes effect over time counts from now, so that an action
that was held up somewhere never reaches further than one that was not. An action whose time is more than a day off has
the time of its arrival, and its audit line says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from agents.lifecycle.alert_book import NO_AUDIO_PAUSE, AlertBook
from agents.lifecycle.rules import AUDIO_PAUSE_MAX_S, DEFAULT_RULES, Rules, seconds_ns
from agents.lifecycle.state_machine import ApplyResult, admit, end_all, finalize
from models.arrhythmia.limits import Limits
from streams.alert import Acknowledgement, Alert, State
from streams.bed import Action, Bed, Status
from streams.document import ns_of_time, rfc3339, time_of_ns
from streams.identifiers import described

MAX_AGE_NS = 86_400 * 10**9  # an action's time is used within a day of now; no station's clock is further off

Transition = tuple[Bed, list[Alert]]


class ActionRejectedError(Exception):
    """The action cannot be applied; the text gives the reason and the valid form."""


def apply_action(
    bed: Bed, action: Action, now_ns: int, *, rules: Rules = DEFAULT_RULES
) -> tuple[Bed, list[Alert], ApplyResult]:
    """Apply an action to its bed.

    Parameters
    ----------
    bed : Bed
        The action's bed, as it was written last.
    action : Action
        What is asked for, by whom.
    now_ns : int
        UTC nanoseconds.
    rules : Rules
        What the site sets for this bed.

    Returns
    -------
    bed : Bed
        With the audit line, the action's id among the applied ones, and what the action changed.
    alerts : list of Alert
        New versions, at most one an alert.
    outcome : ApplyResult
        Applied, or why not.
    """
    if action.id in bed.applied_ids:
        return bed, [], ApplyResult(False, f"action {action.id} was applied before")
    given_at, arrived = action.at, abs(ns_of_time(action.at) - now_ns) > MAX_AGE_NS
    if arrived:
        action = action.changed(at=time_of_ns(now_ns))
    outcome = ApplyResult(True)
    try:
        after, alerts = _ACTIONS[action.action](bed, action, now_ns, rules)
    except ActionRejectedError as rejection:
        after, alerts = _done(AlertBook(bed, now_ns), action, rules, f"{action.action} rejected: {rejection}")
        outcome = ApplyResult(False, str(rejection))
    if arrived:
        after = _note_arrival(after, given_at)
    return after, alerts, outcome


def _note_arrival(bed: Bed, given_at: datetime) -> Bed:
    """Add to the newest audit line that its time is the time of arrival."""
    line = bed.changes[-1]
    what = f"{line.what} (time of arrival: the action's own, {rfc3339(given_at)}, is more than a day off)"
    return bed.changed(changes=[*bed.changes[:-1], line.changed(what=what)])


def _acknowledge(bed: Bed, action: Action, now_ns: int, rules: Rules) -> Transition:
    book = AlertBook(bed, now_ns)
    alert = book.get(action.alert_id or "")
    if alert is None:
        raise ActionRejectedError(f"no alert {action.alert_id} on bed {bed.bed_stream}")
    if alert.acknowledged is not None:
        raise ActionRejectedError(f"{alert.code} {alert.id} was acknowledged by {alert.acknowledged.by} before")
    if alert.state is State.OFF:
        raise ActionRejectedError(f"{alert.code} {alert.id} is off")
    state = State.OFF if alert.state is State.LATCHED else State.ACKNOWLEDGED
    book.edit(alert, state=state, acknowledged=Acknowledgement(at=action.at, by=action.by))
    return _done(book, action, rules, f"acknowledge {alert.code} {alert.id}")


def _silence(bed: Bed, action: Action, now_ns: int, rules: Rules) -> Transition:
    seconds = action.args.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= AUDIO_PAUSE_MAX_S:
        raise ActionRejectedError(
            f"seconds is {seconds!r}: an audio pause lasts 0 (ends it) to {AUDIO_PAUSE_MAX_S:g} s"
        )
    asked_ns = min(ns_of_time(action.at), now_ns)
    until_ns = asked_ns + seconds_ns(seconds)
    if seconds and until_ns <= now_ns:
        raise ActionRejectedError(f"the pause of {seconds:g} s asked for at {action.at.isoformat()} is over already")
    book = AlertBook(bed, now_ns)
    if seconds:
        for alert in book.open():
            book.edit(alert, sounding=False)
    since, until = (time_of_ns(asked_ns), time_of_ns(until_ns)) if seconds else (None, None)
    book.note(f"audio paused {seconds:g} s", asked_ns, action.by)
    book.change(audio_paused_since=since, audio_paused_until=until)
    return finalize(book, rules, action.id)


def _admit(bed: Bed, action: Action, now_ns: int, rules: Rules) -> Transition:
    patient = action.args.get("patient")
    if not isinstance(patient, str) or not re.fullmatch(rules.patient_pattern, patient):
        raise ActionRejectedError(
            f"patient {described(str(patient))} is no pseudonym (GEM_BEDSIDE_PATIENT_PATTERN): send one such as p-81f3"
        )
    return admit(bed, patient, now_ns, ns_of_time(action.at), action.by, rules, action.id)


def _discharge(bed: Bed, action: Action, now_ns: int, rules: Rules) -> Transition:
    if bed.status is Status.DISCHARGED:
        raise ActionRejectedError(f"bed {bed.bed_stream} is discharged already")
    return _leave(bed, action, now_ns, rules, Status.DISCHARGED, limits={}, baseline=None)


def _standby(bed: Bed, action: Action, now_ns: int, rules: Rules) -> Transition:
    if bed.status is not Status.MONITORED:
        raise ActionRejectedError(f"bed {bed.bed_stream} is {bed.status.value}, not monitored")
    return _leave(bed, action, now_ns, rules, Status.STANDBY)


def _leave(bed: Bed, action: Action, now_ns: int, rules: Rules, status: Status, **fields: Any) -> Transition:
    book = AlertBook(bed, now_ns)
    end_all(book)
    book.change(status=status, since=time_of_ns(now_ns), by=action.by, **NO_AUDIO_PAUSE, **fields)
    return _done(book, action, rules, action.action)


def _resume(bed: Bed, action: Action, now_ns: int, rules: Rules) -> Transition:
    if bed.status is not Status.STANDBY:
        raise ActionRejectedError(f"bed {bed.bed_stream} is {bed.status.value}, not in standby" + _how(bed))
    book = AlertBook(bed, now_ns)
    book.change(status=Status.MONITORED, since=time_of_ns(now_ns), by=action.by)
    return _done(book, action, rules, "resume")


def _how(bed: Bed) -> str:
    return ": admit a patient" if bed.status is Status.DISCHARGED else ""


def _limits(bed: Bed, action: Action, now_ns: int, rules: Rules) -> Transition:
    if not action.args:
        raise ActionRejectedError(
            "args is empty: expected limits as {CODE: {part: value}}, or {CODE: null} to reset one"
        )
    merged = {code: dict(parts) for code, parts in bed.limits.items()}
    for code, parts in action.args.items():
        if parts is None:
            merged.pop(code, None)
        elif isinstance(parts, dict):
            merged[code] = {**merged.get(code, {}), **parts}
        else:
            raise ActionRejectedError(
                f'limits of {code} are {parts!r}: expected parts such as {{"on": false}}, or null'
            )
    kept = {code: {part: value for part, value in parts.items() if value is not None} for code, parts in merged.items()}
    kept = {code: parts for code, parts in kept.items() if parts}
    try:
        Limits().with_changes(dict.fromkeys(action.args))  # each is a code that has limits
        rules.checked_limits(kept)
    except ValueError as error:
        raise ActionRejectedError(str(error)) from error
    what = ", ".join(f"{code} {_text_of(parts)}" for code, parts in action.args.items())
    book = AlertBook(bed, now_ns)
    book.change(limits=kept)
    return _done(book, action, rules, f"limits {what}")


def _text_of(parts: dict[str, Any] | None) -> str:
    return "reset" if parts is None else " ".join(f"{part}={value}" for part, value in parts.items())


def _baseline(bed: Bed, action: Action, now_ns: int, rules: Rules) -> Transition:
    book = AlertBook(bed, now_ns)
    book.change(baseline=None)
    return _done(book, action, rules, "baseline")


def _done(book: AlertBook, action: Action, rules: Rules, what: str) -> Transition:
    book.note(what, ns_of_time(action.at), action.by)
    return finalize(book, rules, action.id)


_ACTIONS: dict[str, Callable[[Bed, Action, int, Rules], Transition]] = {
    "acknowledge": _acknowledge,
    "silence": _silence,
    "admit": _admit,
    "discharge": _discharge,
    "standby": _standby,
    "resume": _resume,
    "limits": _limits,
    "baseline": _baseline,
}
