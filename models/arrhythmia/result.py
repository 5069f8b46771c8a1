"""`RhythmResult`, the output of the rhythm tier for one bed, once a second; and the name of the rhythm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.arrhythmia.criteria.waves import RhythmBaseline
from models.arrhythmia.episodes import Episode
from models.beats.detector import Beat

VERDICT_S = 10.0  # a verdict on older signal says nothing about the patient now
HR_BEATS = 8  # the heart rate is a mean over this many RRs (GE EK-Pro: 8-beat mean)


@dataclass(frozen=True, kw_only=True)
class RhythmResult:
    """Rhythm of one bed after one update.

    Attributes
    ----------
    now : int
        Absolute sample up to which the signal has been analysed.
    episodes : tuple of Episode
        Every episode that is on, and those that ended since the last push.
    beats : tuple of Beat
        Beats that became final since the last push.
    hr : float or None
        Mean rate of the last beats, per minute; 0 in asystole, None where it is unknown.
    judged : bool
        A standstill could have been seen: usable leads, and usable signal without a break for as long as the limit of
        ASYSTOLE.
    last_judged : int or None
        Absolute sample of the newest update that was judged.
    rhythm : str or None
        Name of the rhythm, by `rhythm_name`; None without a usable lead, or without a judged update in the last
        `VERDICT_S`.
    pvc_per_min : int or None
        Ventricular beats in the last minute.
    st : mapping
        Lead to ST level, mV.
    quality : mapping
        Lead to quality, 0 to 1.
    usable_leads : tuple of str
        Leads usable now.
    implausible_leads : tuple of str
        Leads whose amplitude is not that of an ECG: the gain is wrong.
    baseline : RhythmBaseline or None
        Set once the first five usable minutes have passed.
    """

    now: int
    episodes: tuple[Episode, ...] = ()
    beats: tuple[Beat, ...] = ()
    hr: float | None = None
    judged: bool = False
    last_judged: int | None = None
    rhythm: str | None = None
    pvc_per_min: int | None = None
    st: Mapping[str, float] = field(default_factory=dict)
    quality: Mapping[str, float] = field(default_factory=dict)
    usable_leads: tuple[str, ...] = ()
    implausible_leads: tuple[str, ...] = ()
    baseline: RhythmBaseline | None = None


RHYTHMS = (
    ("VFIB", "ventricular fibrillation"),
    ("ASYSTOLE", "asystole"),
    ("VTACH", "ventricular tachycardia"),
    ("VRHYTHM", "ventricular rhythm"),
    ("SVT", "supraventricular tachycardia"),
    ("AFIB", "atrial fibrillation"),
    ("VBIGEMINY", "ventricular bigeminy"),
    ("VTRIGEMINY", "ventricular trigeminy"),
    ("IRREGULAR", "irregular rhythm"),
    ("EXTREME_TACHY", "tachycardia"),
    ("TACHY", "tachycardia"),
    ("EXTREME_BRADY", "bradycardia"),
    ("BRADY", "bradycardia"),
)
"""Codes that name the rhythm, the first one that is on names it."""


def rhythm_name(on: Sequence[str], hr: float | None, paced: bool) -> str | None:
    """Name of the rhythm, from the codes of the episodes that are on; without one it takes a rate to be regular."""
    for code, name in RHYTHMS:
        if code in on:
            return name
    if hr is None:
        return None
    return "paced rhythm" if paced else "regular rhythm"
