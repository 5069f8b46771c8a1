"""The alarm codes with kind, priority and title, and the alarm groups.

Priorities are the PH, PM, PL and PN of IHE PCD-04 (table B.8-4). `ALARM_GROUPS` ranks codes: of the conditions that are
present only the highest-ranked of a group sounds (Philips and GE arrhythmia manuals). Titles are those that monitors
display. Limits: `models.arrhythmia.limits`; criteria: `models.arrhythmia.criteria`; table: ``docs/alarms.md#codes``.
"""

from __future__ import annotations

from dataclasses import dataclass

PHYSIOLOGICAL, TECHNICAL, ADVISORY = "physiological", "technical", "advisory"


@dataclass(frozen=True, slots=True)
class AlarmCode:
    """The fixed properties of one code.

    Attributes
    ----------
    code : str
        Name in settings, documents and messages.
    kind : str
        ``physiological``, ``technical`` or ``advisory``.
    priority : str
        ``PH``, ``PM``, ``PL`` or ``PN``.
    title : str
        Text that stations display.
    instant : bool
        The condition is one of an instant: it never merges with the next one, and stays on for 20 s.
    """

    code: str
    kind: str
    priority: str
    title: str
    instant: bool = False

    @property
    def lethal(self) -> bool:
        """Priority PH: latches, cannot be switched off, and always sounds again."""
        return self.priority == "PH"


def _codes() -> dict[str, AlarmCode]:
    phys = [
        ("VFIB", "PH", "Ventricular fibrillation"),
        ("ASYSTOLE", "PH", "Asystole"),
        ("VTACH", "PH", "Ventricular tachycardia"),
        ("EXTREME_BRADY", "PH", "Extreme bradycardia"),
        ("EXTREME_TACHY", "PH", "Extreme tachycardia"),
        ("VRUN", "PM", "Ventricular run"),
        ("VRHYTHM", "PM", "Ventricular rhythm"),
        ("VPAIR", "PL", "Ventricular couplet"),
        ("R_ON_T", "PL", "R on T"),
        ("VBIGEMINY", "PL", "Ventricular bigeminy"),
        ("VTRIGEMINY", "PL", "Ventricular trigeminy"),
        ("PVC_RATE", "PL", "Frequent PVCs"),
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
        ("CANNOT_ANALYZE", "PM", "Cannot analyze ECG"),
        ("LEADS_OFF", "PL", "Leads off"),
        ("NOISY_SIGNAL", "PL", "Noisy signal"),
        ("SILENT_FEED", "PM", "No telemetry"),
        ("CLOCK_JUMP", "PL", "Device clock jump"),
        ("DUPLICATE_SOURCE", "PL", "Duplicate source"),
        ("PATIENT_MISMATCH", "PM", "Patient mismatch"),
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
"""Highest rank first. The first three outrank every group; a code in no group is a group of its own."""
