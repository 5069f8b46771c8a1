"""The alarm codes: kind, priority, title and chain of each.

Priorities are IHE PCD-04's PH, PM, PL, PN. A chain is a list from worst to least: only the worst whose condition is
present sounds (Philips and GE arrhythmia manuals). Limits: `models.arrhythmia.limits`; criteria:
`models.arrhythmia.criteria`.
"""

from __future__ import annotations

from dataclasses import dataclass

PHYSIOLOGICAL, TECHNICAL, ADVISORY = "physiological", "technical", "advisory"


@dataclass(frozen=True, slots=True)
class AlarmCode:
    """What is fixed about a code; ``chain`` names the chains it belongs to, see `ALARM_GROUPS`."""

    code: str
    kind: str
    priority: str
    title: str
    instant: bool = False  # a condition of one instant: never merges with the next, stays on for 20 s

    @property
    def lethal(self) -> bool:
        """Latches, cannot be switched off, sounds whatever sounded before."""
        return self.priority == "PH"


def _codes() -> dict[str, AlarmCode]:
    phys = [
        ("VFIB", "PH", "Ventricular fibrillation"),
        ("ASYSTOLE", "PH", "Asystole"),
        ("VTACH", "PH", "Ventricular tachycardia"),
        ("EXTREME_BRADY", "PH", "Extreme bradycardia"),
        ("EXTREME_TACHY", "PH", "Extreme tachycardia"),
        ("VRUN", "PM", "Run of ventricular beats"),
        ("VRHYTHM", "PM", "Ventricular rhythm"),
        ("VPAIR", "PL", "Pair of ventricular beats"),
        ("R_ON_T", "PL", "R on T"),
        ("VBIGEMINY", "PL", "Ventricular bigeminy"),
        ("VTRIGEMINY", "PL", "Ventricular trigeminy"),
        ("PVC_RATE", "PL", "Frequent ventricular beats"),
        ("BRADY", "PM", "Bradycardia"),
        ("TACHY", "PM", "Tachycardia"),
        ("SVT", "PM", "Supraventricular tachycardia"),
        ("PAUSE", "PM", "Pause"),
        ("MISSED_BEAT", "PL", "Missed beat"),
        ("IRREGULAR", "PL", "Irregular rhythm"),
        ("AFIB", "PM", "Atrial fibrillation"),
        ("AFIB_END", "PL", "End of atrial fibrillation"),
        ("ST_ELEVATION", "PM", "ST elevation"),
        ("ST_DEPRESSION", "PM", "ST depression"),
        ("QT_LONG", "PM", "Long QT"),
        ("WIDE_QRS", "PM", "Wide QRS"),
        ("PR_LONG", "PL", "Long PR"),
        ("AV_BLOCK", "PM", "AV block"),
        ("PACER_NOT_CAPTURING", "PM", "Pacemaker not capturing"),
        ("PACER_NOT_PACING", "PM", "Pacemaker not pacing"),
    ]
    tech = [
        ("LEADS_OFF", "PL", "Leads off"),
        ("NOISY_SIGNAL", "PL", "Noisy signal"),
        ("SILENT_FEED", "PM", "Feed silent"),
        ("CLOCK_JUMP", "PL", "Device clock jumped"),
        ("DUPLICATE_SOURCE", "PL", "Two sources on one bed"),
        ("PATIENT_MISMATCH", "PM", "Patient changed inside an epoch"),
        ("ENCODER_UNAVAILABLE", "PL", "Encoder unavailable"),
        ("GEM_UNAVAILABLE", "PL", "GEM unavailable"),
    ]
    instant = {"VPAIR", "VRUN", "R_ON_T", "PAUSE", "MISSED_BEAT", "AFIB_END"}
    table = {c: AlarmCode(c, PHYSIOLOGICAL, p, t, c in instant) for c, p, t in phys}
    table |= {c: AlarmCode(c, TECHNICAL, p, t) for c, p, t in tech}
    table["INTERPRETATION"] = AlarmCode("INTERPRETATION", ADVISORY, "PN", "ECG interpretation")
    return table


CODES: dict[str, AlarmCode] = _codes()

LETHAL = tuple(c for c, a in CODES.items() if a.lethal)

_HEAD = ("VFIB", "ASYSTOLE", "VTACH")
ALARM_GROUPS: tuple[tuple[str, ...], ...] = (
    (*_HEAD, "EXTREME_TACHY", "SVT", "TACHY"),
    (*_HEAD, "EXTREME_BRADY", "PAUSE", "BRADY", "MISSED_BEAT"),
    (*_HEAD, "VRUN", "VRHYTHM", "VPAIR", "R_ON_T", "VBIGEMINY", "VTRIGEMINY", "PVC_RATE"),
    (*_HEAD, "AFIB", "IRREGULAR"),
)
"""Worst first. The three at the head stand above every chain; a code in none of them is a chain of its own."""
