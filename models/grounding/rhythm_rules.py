"""Rules for findings of rhythm and rate.

Each rule is a `models.grounding.rule_results.Rule`. Limits in bpm, s and shares of the beats.
"""

from __future__ import annotations

import re

from models.grounding.claims import ExtractedClaim
from models.grounding.interval_rules import qrs_narrow
from models.grounding.rule_results import (
    Rule,
    RuleResult,
    all_of,
    as_tuple,
    evidence_of,
    over,
    under,
)
from models.grounding.segment_measurements import SegmentMeasurements
from models.normal_limits import (
    HR_HIGH_BPM,
    HR_LOW_BPM,
    LONG_PAUSE_S,
    PAUSE_S,
    PR_LONG_MS,
    QRS_WIDE_MS,
    SINUS_BRADYCARDIA_BPM,
    is_qtc_long,
)

AF_LOG_ODDS = 0.0
RATE_BAND, PAUSE_BAND_S = 3.0, 0.2
VENTRICULAR_RUN = 3  # beats; fewer are no ventricular tachycardia
CYCLES = 3  # of a ventricular and one (two) other beats: bigeminy (trigeminy)
BIGEMINY, TRIGEMINY = re.compile(f"(?:V[NS?]){{{CYCLES}}}"), re.compile(f"(?:V[NS?]{{2}}){{{CYCLES}}}")
COUPLET, RUN = re.compile("(?<!V)VV(?!V)"), re.compile("V{3,}")


def sinus(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Sinus rhythm: P waves before the beats, and no abnormal finding of rhythm, rate, PR, QRS or QT.

    A sinus rhythm with such a finding is not confirmed: P waves alone do not tell a sinus from an ectopic rhythm.
    """
    present, words, evidence = sinus_beats(claim, measured)
    if not present:
        return present, words, evidence
    hr, pr, qrs = measured.value("HR"), measured.value("PR"), measured.value("QRS")
    qtc, rr = measured.value("QTcF"), measured.longest_rr
    normal = (
        _without_ectopy(measured)
        and not measured.blocked
        and measured.regular is not False
        and (rr is None or rr.value < PAUSE_S)
        and hr is not None
        and SINUS_BRADYCARDIA_BPM <= round(hr) <= HR_HIGH_BPM
        and pr is not None
        and round(pr) <= PR_LONG_MS
        and qrs is not None
        and round(qrs) < QRS_WIDE_MS
        and (qtc is None or not is_qtc_long(qtc, measured.ecg.sex))
    )
    return (True if normal else None), f"{words}; rate, PR, QRS and QTc normal, no ectopy, no pause", evidence


def _without_ectopy(measured: SegmentMeasurements) -> bool:
    return not (measured.kinds.get("V", 0) or measured.kinds.get("P", 0))


def sinus_beats(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """P waves before the beats, most of which are neither ventricular nor paced."""
    words = "P waves before the beats, most of them neither ventricular nor paced"
    if measured.fibrillation is not None:
        return False, "fibrillation waves", (measured.fibrillation,)
    if measured.beats == 0:
        return False, "no beats", as_tuple(measured.longest_rr)
    if measured.kinds.get("V", 0) + measured.kinds.get("P", 0) > measured.beats / 2:
        return False, words, evidence_of(measured, "QRS")
    return measured.p_waves, words, evidence_of(measured, "PR" if measured.p_waves else "ABSENT_P")


def rate_slow(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """HR under 60 bpm."""
    return under(measured.value("HR"), HR_LOW_BPM, RATE_BAND), "HR under 60 bpm", evidence_of(measured, "HR")


def rate_fast(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """HR over 100 bpm."""
    return over(measured.value("HR"), HR_HIGH_BPM, RATE_BAND), "HR over 100 bpm", evidence_of(measured, "HR")


def rate_normal(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """HR of 60 to 100 bpm."""
    hr = measured.value("HR")
    inside = None if hr is None else HR_LOW_BPM - RATE_BAND <= hr <= HR_HIGH_BPM + RATE_BAND
    return inside, "HR 60 to 100 bpm", evidence_of(measured, "HR")


def regular(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Regular rhythm by the coefficient of variation of RR."""
    return (
        measured.regular,
        "sd/mean of RR up to 0.08 is regular, from 0.12 irregular",
        evidence_of(measured, "REGULARITY"),
    )


def afib(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Atrial fibrillation: irregular RR, no P waves, and the atrial network finds it.

    `AF_LOG_ODDS` was chosen on 393 windows of CinC 2017, PTB-XL, LUDB and MIT-BIH, with weights that never saw a
    window's fold: 85 of 107 found, 5 of 286 others called; irregular RR without P waves alone: 84 and 14.
    """
    words = "irregular RR without P waves, found by the atrial network"
    if measured.p_waves is True or measured.regular is True or measured.beats == 0:
        return False, words, evidence_of(measured, "PR" if measured.p_waves else "REGULARITY")
    if measured.af_odds is not None and measured.af_odds > AF_LOG_ODDS:
        return True, words, evidence_of(measured, "REGULARITY", "ABSENT_P")
    return None, words, ()


def aflut(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Atrial flutter: never confirmed; P waves before regular beats contradict it."""
    words = "flutter waves are not measured; P waves before regular beats contradict them"
    return (
        (False if measured.p_waves is True and measured.regular is True else None),
        words,
        evidence_of(measured, "PR"),
    )


def asystole(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """No beat for 3 s or longer."""
    longest = measured.longest_rr
    return (
        over(None if longest is None else longest.value, LONG_PAUSE_S, PAUSE_BAND_S),
        "no beat for 3 s or longer",
        as_tuple(longest),
    )


def vfib(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Ventricular fibrillation: confirmed by fibrillation waves, contradicted by conducted beats."""
    if measured.fibrillation is not None:
        return True, "fibrillation waves in most usable leads", (measured.fibrillation,)
    ventricular = measured.kinds.get("V", 0) > measured.beats / 2
    conducted = measured.beats > 0 and not ventricular and (measured.p_waves is True or measured.regular is True)
    return (
        (False if conducted else None),
        "conducted beats contradict fibrillation",
        evidence_of(measured, "PR", "REGULARITY"),
    )


def vtach(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Ventricular tachycardia: most beats ventricular, faster than 100 bpm."""
    ventricular, hr = measured.kinds.get("V", 0), measured.value("HR")
    if ventricular >= VENTRICULAR_RUN and ventricular > measured.beats / 2 and hr is not None:
        return hr > HR_HIGH_BPM, "most beats ventricular, faster than 100 bpm", evidence_of(measured, "HR", "QRS")
    return (
        (False if ventricular < VENTRICULAR_RUN and measured.beats > 0 else None),
        "three ventricular beats or more",
        evidence_of(measured, "QRS"),
    )


def sinus_without_ectopy(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """P waves before the beats, none of them ventricular or paced; the rate may vary."""
    present, words, evidence = sinus_beats(claim, measured)
    return (None if present and not _without_ectopy(measured) else present), words, evidence


def sinus_brady(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Sinus rhythm under 60 bpm."""
    return all_of(sinus_without_ectopy(claim, measured), rate_slow(claim, measured))


def sinus_tachy(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Sinus rhythm over 100 bpm."""
    return all_of(sinus_without_ectopy(claim, measured), rate_fast(claim, measured))


def svt(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Supraventricular tachycardia: fast and narrow."""
    return all_of(rate_fast(claim, measured), qrs_narrow(measured))


def beats_of_kind(kind: str, words: str) -> Rule:
    """Rule for the presence of one beat kind (``V``, ``S`` or ``P``)."""

    def rule(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
        if measured.beats == 0:
            return False, "no beats", as_tuple(measured.longest_rr)
        return measured.kinds.get(kind, 0) > 0, words, evidence_of(measured, "REGULARITY")

    return rule


def ventricular_pattern(words: str, pattern: re.Pattern[str]) -> Rule:
    """Rule for a pattern of ventricular beats, by the sequence of beat kinds."""

    def rule(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
        ventricular = measured.kinds.get("V", 0)
        if ventricular == 0:
            return False, words, evidence_of(measured, "REGULARITY")
        return (True if pattern.search(measured.kind_sequence) else None), words, evidence_of(measured, "REGULARITY")

    return rule
