"""Measurements and descriptors for the prompt of a compact GEM.

Input: `SegmentMeasurements`. Output: the measured values that the prompt lists, in fixed order, and words that describe
them. Values of one lead are named with it; unmeasured values are left out. A descriptor is listed only where its rule
in `models.grounding.finding_rules` supports it, so that a text that repeats it is supported. The model was trained on
exactly these lists: a change of order or wording needs a new training.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from models.evidence import Evidence
from models.finding_names import FINDINGS
from models.grounding.claims import ExtractedClaim
from models.grounding.finding_rules import judge_finding
from models.grounding.segment_measurements import SegmentMeasurements
from models.normal_limits import (
    HR_HIGH_BPM,
    HR_LOW_BPM,
    PR_LONG_MS,
    QRS_INCOMPLETE_MS,
    QRS_WIDE_MS,
    SINUS_BRADYCARDIA_BPM,
    ST_DEVIATION_MV,
    T_UPRIGHT_LEADS,
    is_qtc_long,
)

MAX_ST_LEADS = 4
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
"""Groups of (descriptor, finding, stated or denied); of each group the first supported one is listed."""

_BEYOND_LIMIT: dict[str, tuple[str, Callable[[float, str], bool]]] = {
    "slow rate": ("HR", lambda bpm, sex: round(bpm) < HR_LOW_BPM),
    "fast rate": ("HR", lambda bpm, sex: round(bpm) > HR_HIGH_BPM),
    "long PR": ("PR", lambda ms, sex: round(ms) > PR_LONG_MS),
    "wide QRS": ("QRS", lambda ms, sex: round(ms) >= QRS_WIDE_MS),
    "long QTcF": ("QTcF", is_qtc_long),
}
"""The rules leave a band round each limit; a descriptor also needs the listed number beyond the limit itself."""


def prompt_measurements(measured: SegmentMeasurements, millivolts: bool = True) -> list[Evidence]:
    """Measured values in the order of the prompt; empty when no beat can be measured.

    Parameters
    ----------
    millivolts : bool
        False: the scale of the record is unknown, and no voltage is listed.
    """
    if not measured.readable or measured.fibrillation is not None or measured.beats == 0:
        return []
    names = [n for n in _ORDER if n in measured.evidence and (n != "PR" or measured.p_waves is True)]
    out = [measured.evidence[n] for n in names]
    if not millivolts:
        return out
    st = [e for lead, e in measured.st.items() if abs(e.value) >= ST_DEVIATION_MV and lead != "aVR"]
    largest = sorted(st, key=lambda e: -abs(e.value))[:MAX_ST_LEADS]
    out += sorted(largest, key=lambda e: -e.value)  # elevation first, as in the text
    inverted = [lead for lead in T_UPRIGHT_LEADS if measured.t_inverted(lead) is True]
    return out + [e for lead in inverted if (e := measured.wave_evidence(lead, "T")) is not None]


def prompt_descriptors(measured: SegmentMeasurements, millivolts: bool = True) -> tuple[str, ...]:
    """Descriptors of the measurements, in the words of `DESCRIPTORS`."""
    if not prompt_measurements(measured, millivolts):
        return ()
    out: list[str] = []
    for group in DESCRIPTORS:
        for words, subject, present in group:
            if words == NO_ST and not (millivolts and measured.st):
                continue
            verdict, _, _ = judge_finding(ExtractedClaim.finding(subject, present=present), measured)
            measure, beyond = _BEYOND_LIMIT.get(words, ("", None))
            if verdict == "supported" and (
                beyond is None or beyond(measured.evidence[measure].value, measured.ecg.sex)
            ):
                out.append(words)
                break
    return tuple(out)


CONSISTENT_WITHIN_MS = 10.0  # a finding about an interval needs the interval within this of its limit
NOT_NORMAL = frozenset(FINDINGS) - {"NORM", "SINUS", "BRADY", "IRREGULAR_SINUS"}
"""Findings that exclude a normal ECG."""


def consistent_findings(
    findings: Collection[str],
    evidence: Sequence[Evidence],
    descriptors: Sequence[str],
    probability: Mapping[str, float] | None = None,
) -> list[str]:
    """The findings (keys of `models.finding_names.TITLES`) that no measurement contradicts, in fixed order.

    Parameters
    ----------
    findings : collection of str
    evidence : sequence of Evidence
    descriptors : sequence of str
    probability : mapping, optional
        Of each finding. A normal ECG and the findings that exclude it cannot both stand: the more probable stays.
        Without it the normal ECG is left out.
    """
    contradicted = _contradicted(evidence, descriptors)
    excluding = NOT_NORMAL.intersection(findings)
    if "NORM" in findings and excluding:
        known = probability or {}
        normal = known.get("NORM", 0.0) > max(known.get(f, 1.0) for f in excluding)
        dropped = excluding if normal and not contradicted["NORM"] else {"NORM"}
        findings = [f for f in findings if f not in dropped]
    return [f for f in FINDINGS if f in findings and not contradicted.get(f, False)]


def _contradicted(evidence: Sequence[Evidence], descriptors: Sequence[str]) -> dict[str, bool]:
    """Findings that a measurement may contradict, and whether it does."""
    values = {e.measure: e.value for e in evidence}
    pr, qrs = values.get("PR"), values.get("QRS")
    abnormal = ("no P waves", "long PR", "wide QRS", "long QTcF", "fast rate")
    return {
        "AFIB": "P waves" in descriptors or "regular" in descriptors,
        "SINUS": "no P waves" in descriptors,
        "IRREGULAR_SINUS": "no P waves" in descriptors or "regular" in descriptors,
        "BRADY": "fast rate" in descriptors or "normal rate" in descriptors,
        "TACHY": "slow rate" in descriptors or "normal rate" in descriptors,
        "AVB1": pr is None or pr < PR_LONG_MS - CONSISTENT_WITHIN_MS,
        "LBBB": qrs is None or qrs < QRS_WIDE_MS - CONSISTENT_WITHIN_MS,
        "RBBB": qrs is None or qrs < QRS_WIDE_MS - CONSISTENT_WITHIN_MS,
        "IRBBB": "wide QRS" in descriptors or qrs is None or qrs < QRS_INCOMPLETE_MS,
        "NORM": any(word in descriptors for word in abnormal)
        or values.get("HR", SINUS_BRADYCARDIA_BPM) < SINUS_BRADYCARDIA_BPM
        or any(e.measure == "ST" for e in evidence),
    }


def descriptors_with(
    findings: Collection[str], evidence: Sequence[Evidence], descriptors: Sequence[str]
) -> tuple[str, ...]:
    """Descriptors beside the findings of the heads: "slow rate" alone means bradycardia to a reader.

    From `SINUS_BRADYCARDIA_BPM` to `HR_LOW_BPM` the rate is called slow where bradycardia was found; else its value
    stands without a word.
    """
    hr = next((e.value for e in evidence if e.measure == "HR"), None)
    band = hr is not None and round(hr) >= SINUS_BRADYCARDIA_BPM and "BRADY" not in findings
    return tuple(words for words in descriptors if not (band and words == "slow rate"))
