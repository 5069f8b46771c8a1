"""What a compact GEM is told in its prompt: the measured values that its text will state, and what they show in words.

The order is fixed, values of one lead are named with it, and what was not measured is not there. Words are told only
where the grounding's own rule for them holds, so a text that repeats them is supported. The same list is used for
training, so the interpreter has to hand over exactly this one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from models.evidence import Evidence
from models.finding_names import FINDINGS
from models.grounding.claims import ExtractedClaim
from models.grounding.finding_rules import NORMAL_FROM_BPM, judge_finding
from models.grounding.segment_measurements import SegmentMeasurements

ST_LISTED_MV = 0.1  # a lead's ST is stated from here on
MOST_ST_LEADS = 4
T_LISTED_MV = -0.05  # inverted T waves are stated by their depth
T_LEADS = ("I", "II", "V3", "V4", "V5", "V6")
_ORDER = ("HR", "PR", "QRS", "QT", "QTcF")
NO_ST = "no ST deviation"

DESCRIPTORS: tuple[tuple[tuple[str, str, bool], ...], ...] = (
    (("P waves", "P_WAVES", True), ("no P waves", "P_WAVES", False)),
    (("regular", "REGULAR", True), ("irregular", "REGULAR", False)),
    (("slow rate", "BRADY", True), ("fast rate", "TACHY", True), ("normal rate", "RATE_NORMAL", True)),
    (("long PR", "PR_LONG", True), ("normal PR", "PR_NORMAL", True)),
    (("wide QRS", "QRS_WIDE", True), ("narrow QRS", "QRS_WIDE", False)),
    (("long QTcF", "QT_LONG", True),),
    (("left axis", "AXIS_LEFT", True), ("right axis", "AXIS_RIGHT", True), ("normal axis", "AXIS_NORMAL", True)),
    ((NO_ST, "ST_CHANGED", False),),
)
"""Words with the finding that they state or deny; of each group the first that holds is told."""

_BEYOND: dict[str, tuple[str, Callable[[float], bool]]] = {
    "slow rate": ("HR", lambda bpm: round(bpm) < 60),
    "fast rate": ("HR", lambda bpm: round(bpm) > 100),
    "long PR": ("PR", lambda ms: round(ms) > 200),
    "wide QRS": ("QRS", lambda ms: round(ms) >= 120),
    "long QTcF": ("QTcF", lambda ms: round(ms) > 460),
}
"""The grounding leaves a band round each limit; what is told lies beyond the limit itself, as its number shows."""


def prompt_measurements(measured: SegmentMeasurements, millivolts: bool = True) -> list[Evidence]:
    """The values, in the order in which they are told; empty when no beat can be read.

    Parameters
    ----------
    millivolts : bool
        False: the record's scale is unknown, and no voltage is told.
    """
    if not measured.readable or measured.fibrillation is not None or measured.beats == 0:
        return []
    names = [n for n in _ORDER if n in measured.evidence and (n != "PR" or measured.p_waves is True)]
    out = [measured.evidence[n] for n in names]
    if not millivolts:
        return out
    st = [e for lead, e in measured.st.items() if abs(e.value) >= ST_LISTED_MV and lead != "aVR"]
    largest = sorted(st, key=lambda e: -abs(e.value))[:MOST_ST_LEADS]
    out += sorted(largest, key=lambda e: -e.value)  # elevation first, as a text tells it
    waves = [e for lead in T_LEADS if (e := measured.wave_evidence(lead, "T")) is not None]
    return out + [e for e in waves if e.value <= T_LISTED_MV]


def prompt_descriptors(measured: SegmentMeasurements, millivolts: bool = True) -> tuple[str, ...]:
    """What the measurements show, in the words of `DESCRIPTORS`."""
    if not prompt_measurements(measured, millivolts):
        return ()
    out = []
    for group in DESCRIPTORS:
        for words, subject, present in group:
            if words == NO_ST and not (millivolts and measured.st):
                continue
            verdict, _, _ = judge_finding(ExtractedClaim("", 0, 0, "finding", subject, present=present), measured)
            measure, beyond = _BEYOND.get(words, ("", None))
            if verdict == "supported" and (beyond is None or beyond(measured.evidence[measure].value)):
                out.append(words)
                break
    return tuple(out)


LONG_PR_MS, WIDE_QRS_MS = 200.0, 120.0
BAND_MS = 10.0  # a finding about an interval is told only where the interval agrees within this


NOT_NORMAL = frozenset(FINDINGS) - {"NORM", "SINUS", "BRADY", "IRREGULAR_SINUS"}
"""Findings beside which no ECG is called normal."""


def consistent_findings(findings: Collection[str], evidence: Sequence[Evidence], shown: Sequence[str]) -> list[str]:
    """Of findings (keys of `models.finding_names.TITLES`) those that no measurement contradicts, in fixed order."""
    values = {e.measure: e.value for e in evidence}
    pr, qrs = values.get("PR"), values.get("QRS")
    abnormal = ("no P waves", "long PR", "wide QRS", "long QTcF", "fast rate")
    wrong = {
        "AFIB": "P waves" in shown or "regular" in shown,
        "SINUS": "no P waves" in shown,
        "IRREGULAR_SINUS": "no P waves" in shown or "regular" in shown,
        "BRADY": "fast rate" in shown or "normal rate" in shown,
        "TACHY": "slow rate" in shown or "normal rate" in shown,
        "AVB1": pr is None or pr < LONG_PR_MS - BAND_MS,
        "LBBB": qrs is None or qrs < WIDE_QRS_MS - BAND_MS,
        "RBBB": qrs is None or qrs < WIDE_QRS_MS - BAND_MS,
        "IRBBB": "wide QRS" in shown,
        "NORM": any(word in shown for word in abnormal)
        or values.get("HR", NORMAL_FROM_BPM) < NORMAL_FROM_BPM
        or any(e.measure == "ST" for e in evidence)
        or not NOT_NORMAL.isdisjoint(findings),
    }
    return [f for f in FINDINGS if f in findings and not wrong.get(f, False)]
