"""Which alerts sound: one decision over all open alerts of a bed, made anew at every turn.

In: the alerts as they are, the time, the audio pause. Out: for each open alert whether it sounds and which other alert
sounds for it. The rules, in the order in which they speak:

1. Advice (PN), late and acknowledged alerts never sound.
2. Chains: of the alerts whose condition is present only the worst of a chain sounds, acknowledged or not (an
   acknowledged asystole keeps the extreme bradycardia that it contains quiet). A latched alert, whose condition is
   over, takes no part in this: it goes on sounding until a lethal one of its chain sounds in its place.
3. Re-alarm: PM and PL stay quiet for a time after the same code, or a worse one of the chain, was heard; PH never.
   An instant is judged by when it was detected, a lasting condition anew at every turn.
4. Audio pause: the bed is quiet, except for a PH that begins during the pause.

Sources: IEC 60601-1-8 (latching alarm signals, audio paused, acknowledged); Philips and GE arrhythmia chains;
Mindray V12 (acknowledge lets a new lethal alarm through, audio pause ends by itself); FHIR R6 `devicealert-presence`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agents.lifecycle.groups import depth, share_chain, worse
from agents.lifecycle.rules import REALARM_S, seconds_ns
from models.arrhythmia.codes import CODES
from streams.alert import Alert, State
from streams.document import ns_of_time


@dataclass(frozen=True, slots=True)
class AudioPause:
    """The bed's audio pause at the time of the turn.

    Attributes
    ----------
    since_ns : int or None
        When the pause that runs now was asked for; None: none runs.
    just_ended : bool
        A pause ended since the last turn: what it kept quiet sounds again.
    """

    since_ns: int | None = None
    just_ended: bool = False


def is_present(alert: Alert) -> bool:
    """Its condition holds (an instant: for the 20 s that it stays on)."""
    if alert.state not in (State.ON, State.ACKNOWLEDGED):
        return False
    return alert.end is None


def decide(
    alerts: Sequence[Alert], now_ns: int, pause: AudioPause, new: Collection[str] = ()
) -> dict[str, tuple[bool, str | None]]:
    """``sounding`` and ``superseded_by`` of every open alert of a bed.

    Parameters
    ----------
    alerts : sequence of Alert
        All alerts of the bed, those that are off too: what was heard before keeps others quiet.
    now_ns : int
        UTC nanoseconds.
    pause : AudioPause
        The bed's.
    new : collection of str
        Ids of the alerts raised in this turn: a lethal one that was over before it was seen sounds all the same.

    Returns
    -------
    dict
        Alert id to (sounding, id of the alert that sounds for it or None).
    """
    audible = [a for a in alerts if a.state is not State.OFF and not a.late and a.priority != "PN"]
    present = [a for a in audible if is_present(a)]
    decision: dict[str, tuple[bool, str | None]] = {a.id: (False, None) for a in alerts if a.state is not State.OFF}
    for alert in present:
        above = _worst([o for o in present if worse(o.code, alert.code)])
        quiet = alert.acknowledged is not None or not _realarms(alert, alerts, now_ns) or _paused(alert, pause)
        decision[alert.id] = (above is None and not quiet, above)
    lethal = [a for a in present if a.priority == "PH" and decision[a.id][0]]
    latched = [a for a in audible if a.state is State.LATCHED]
    heard: list[Alert] = []
    for alert in sorted(latched, key=lambda a: (depth(a.code), -ns_of_time(a.onset), a.id)):
        instead = _worst([o for o in [*lethal, *heard] if share_chain(o.code, alert.code)])
        sounds = instead is None and (alert.id in new or _goes_on(alert, pause))
        decision[alert.id] = (sounds, instead)
        if sounds:
            heard.append(alert)
    return decision


def _worst(alerts: list[Alert]) -> str | None:
    return min(alerts, key=lambda a: (depth(a.code), a.onset, a.id)).id if alerts else None


def _goes_on(alert: Alert, pause: AudioPause) -> bool:
    """A latched alert that nobody stopped: it sounded, or the pause that kept it quiet is over."""
    return alert.sounding or pause.just_ended


def _paused(alert: Alert, pause: AudioPause) -> bool:
    if pause.since_ns is None:
        return False
    begins_during = not alert.sounded or alert.sounding or ns_of_time(alert.detected) >= pause.since_ns
    return not (alert.priority == "PH" and begins_during)


def _realarms(alert: Alert, alerts: Sequence[Alert], now_ns: int) -> bool:
    """Nothing that was heard lately keeps it quiet."""
    quiet_s = REALARM_S.get(alert.priority)
    if quiet_s is None:
        return True
    at_ns = ns_of_time(alert.detected) if CODES[alert.code].instant else max(now_ns, ns_of_time(alert.detected))
    heard = [o for o in alerts if o.sounded and o.id != alert.id and o.patient in (alert.patient, "")]
    alike = [o for o in heard if o.code == alert.code or worse(o.code, alert.code)]
    return not any(0 <= at_ns - ns_of_time(o.detected) < seconds_ns(quiet_s) for o in alike)
