"""Timers of a transition: instants and advice go off, an audio pause ends, reminders fall due."""

from __future__ import annotations

from agents.lifecycle.alert_book import NO_AUDIO_PAUSE, AlertBook
from agents.lifecycle.rules import ADVICE_STAYS_S, AUDIO_PAUSE_MAX_S, Rules, seconds_ns
from agents.lifecycle.sounding import AudioPause
from models.arrhythmia.codes import CODES
from models.arrhythmia.episodes import INSTANT_STAYS_S
from streams.alert import State
from streams.document import ns_of_time, time_of_ns


def end_by_time(book: AlertBook) -> None:
    """Set off the instants and the advice that have stayed on long enough, and what was over when it was raised."""
    for alert in book.open():
        if book.is_new(alert) or alert.state is State.LATCHED:
            continue
        advice = alert.priority == "PN" and alert.acknowledged is None
        if alert.end is not None:
            if not advice or book.now_ns >= ns_of_time(alert.detected) + seconds_ns(ADVICE_STAYS_S):
                book.edit(alert, state=State.OFF)
        elif CODES[alert.code].instant and book.now_ns >= ns_of_time(alert.detected) + seconds_ns(INSTANT_STAYS_S):
            book.edit(alert, state=State.OFF, end=alert.detected)


def audio_pause(book: AlertBook) -> AudioPause:
    """The pause that runs now; one that is over is taken from the bed."""
    bed = book.bed
    if bed.audio_paused_until is None:
        return AudioPause(just_ended=book.before.audio_paused_until is not None)
    until_ns = ns_of_time(bed.audio_paused_until)
    if book.now_ns >= until_ns:
        book.change(**NO_AUDIO_PAUSE)
        return AudioPause(just_ended=True)
    if bed.audio_paused_since is None:  # a document of a version without the field
        return AudioPause(since_ns=until_ns - seconds_ns(AUDIO_PAUSE_MAX_S))
    return AudioPause(since_ns=ns_of_time(bed.audio_paused_since))


def remind(book: AlertBook, rules: Rules) -> None:
    """Call unacknowledged lethal alarms to mind, and mark those that wait too long."""
    for alert in book.open():
        if alert.priority != "PH" or alert.acknowledged or alert.late or alert.superseded_by:
            continue
        waited_ns = book.now_ns - ns_of_time(alert.detected)
        reminders = max(alert.reminders, waited_ns // seconds_ns(rules.reminder_s))
        escalated = alert.escalated
        if escalated is None and waited_ns >= seconds_ns(rules.escalate_s):
            escalated = time_of_ns(book.now_ns)
        if (reminders, escalated) != (alert.reminders, alert.escalated):
            book.edit(alert, reminders=reminders, escalated=escalated)
