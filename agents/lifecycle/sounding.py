"""Decides which alerts sound: one decision over all open alerts of a bed, made at every transition.

Input: the alerts as they are, the time, the audio pause. Output: for each open alert whether it sounds and which other
alert sounds in its place. The rules, in the order of precedence:

1. Advice (PN), late and acknowledged alerts never sound.
2. Alarm groups: of the alerts whose condition is present only the highest-ranked one of a group sounds, acknowledged or
   not (an acknowledged asystole suppresses the extreme bradycardia that it contains). A latched alert, whose condition
   is over, is outside this rule: it sounds until a lethal alert of its group sounds in its place.
3. Re-alarm: PM and PL stay quiet for a time after the same code, or a higher-ranked one of the group, sounded; PH
   never. An instant is decided by its detection time, a lasting condition at every transition.
4. Audio pause: the bed is quiet, except for a PH that begins during the pause.

Sources: IEC 60601-1-8 (latching alarm signals, audio paused, acknowledged); Philips and GE alarm groups;
Mindray V12 (acknowledge lets a new lethal alarm through, audio pause ends by itself); FHIR R6 `devicealert-presence`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agents.lifecycle.groups import outranks, rank, share_group
from agents.lifecycle.rules import REALARM_S, seconds_ns
from models.arrhythmia.codes import CODES
from streams.alert import Alert, State
from streams.document import ns_of_time


@dataclass(frozen=True, slots=True)
class AudioPause:
    """The bed's audio pause at the time of the transition.

    Attributes
    ----------
    since_ns : int or None
        When the pause that runs now was asked for; None: none runs.
    just_ended : bool
        A pause ended since the last transition: the alerts that it silenced sound again.
    """

    since_ns: int | None = None
    just_ended: bool = False


def is_present(alert: Alert) -> bool:
    """Its condition holds (an instant: for the 20 s that it stays on)."""
    if alert.state not in (State.ON, State.ACKNOWLEDGED):
        return False
    return alert.end is None


def decide_sounding(
    alerts: Sequence[Alert], now_ns: int, pause: AudioPause, new: Collection[str] = ()
) -> dict[str, tuple[bool, str | None]]:
    """``sounding`` and ``superseded_by`` of every open alert of a bed.

    Parameters
    ----------
    alerts : sequence of Alert
        All alerts of the bed, those that are off included: an alert that sounded before suppresses others.
    now_ns : int
        UTC nanoseconds.
    pause : AudioPause
        The bed's.
    new : collection of str
        Ids of the alerts raised in this transition: a lethal one that ended before it was detected sounds nevertheless.

    Returns
    -------
    dict
        Alert id to (sounding, id of the alert that sounds for it or None).
    """
    audible = [a for a in alerts if a.state is not State.OFF and not a.late and a.priority != "PN"]
    present = [a for a in audible if is_present(a)]
    decision: dict[str, tuple[bool, str | None]] = {a.id: (False, None) for a in alerts if a.state is not State.OFF}
    for alert in present:
        above = _highest_ranked([o for o in present if outranks(o.code, alert.code)])
        quiet = alert.acknowledged is not None or not _realarms(alert, alerts, now_ns) or _paused(alert, pause)
        decision[alert.id] = (above is None and not quiet, above)
    lethal = [a for a in present if a.priority == "PH" and decision[a.id][0]]
    latched = [a for a in audible if a.state is State.LATCHED]
    latched_sounding: list[Alert] = []
    for alert in sorted(latched, key=lambda a: (rank(a.code), -ns_of_time(a.onset), a.id)):
        instead = _highest_ranked([o for o in [*lethal, *latched_sounding] if share_group(o.code, alert.code)])
        sounds = instead is None and (alert.id in new or _goes_on(alert, pause))
        decision[alert.id] = (sounds, instead)
        if sounds:
            latched_sounding.append(alert)
    return decision


def _highest_ranked(alerts: list[Alert]) -> str | None:
    return min(alerts, key=lambda a: (rank(a.code), a.onset, a.id)).id if alerts else None


def _goes_on(alert: Alert, pause: AudioPause) -> bool:
    """A latched alert that nobody stopped: it sounded, or the pause that kept it quiet is over."""
    return alert.sounding or pause.just_ended


def _paused(alert: Alert, pause: AudioPause) -> bool:
    if pause.since_ns is None:
        return False
    begins_during = not alert.sounded or alert.sounding or ns_of_time(alert.detected) >= pause.since_ns
    return not (alert.priority == "PH" and begins_during)


def _realarms(alert: Alert, alerts: Sequence[Alert], now_ns: int) -> bool:
    """True when no alert that sounded recently suppresses it."""
    quiet_s = REALARM_S.get(alert.priority)
    if quiet_s is None:
        return True
    at_ns = ns_of_time(alert.detected) if CODES[alert.code].instant else max(now_ns, ns_of_time(alert.detected))
    sounded_before = [o for o in alerts if o.sounded and o.id != alert.id and o.patient in (alert.patient, "")]
    same_group = [o for o in sounded_before if o.code == alert.code or outranks(o.code, alert.code)]
    return not any(0 <= at_ns - ns_of_time(o.detected) < seconds_ns(quiet_s) for o in same_group)
