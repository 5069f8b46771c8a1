"""Rules for findings of rhythm and rate.

Each rule is a `models.grounding.rule_results.Rule`. Limits in bpm, s and shares of the beats.
"""

from __future__ import annotations

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
from models.normal_limits import HR_HIGH_BPM, HR_LOW_BPM, LONG_PAUSE_S

RATE_BAND, PAUSE_BAND_S = 3.0, 0.2
VENTRICULAR_RUN = 3  # beats; fewer are no ventricular tachycardia
BIGEMINY_SHARE, TRIGEMINY_SHARE = (0.4, 0.6), (0.25, 0.4)  # of the beats, ventricular


def sinus(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Sinus rhythm: P waves before the beats, most of which are neither ventricular nor paced."""
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
    """Atrial fibrillation: irregular RR without P waves."""
    words = "irregular RR without P waves"
    if measured.p_waves is True or measured.regular is True or measured.beats == 0:
        return False, words, evidence_of(measured, "PR" if measured.p_waves else "REGULARITY")
    if measured.p_waves is False and measured.regular is False:
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


def sinus_brady(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Sinus rhythm under 60 bpm."""
    return all_of(sinus(claim, measured), rate_slow(claim, measured))


def sinus_tachy(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Sinus rhythm over 100 bpm."""
    return all_of(sinus(claim, measured), rate_fast(claim, measured))


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


def ventricular_pattern(every: str, share: tuple[float, float]) -> Rule:
    """Rule for bigeminy and trigeminy, by the share of ventricular beats."""

    def rule(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
        ventricular = measured.kinds.get("V", 0)
        words = f"ventricular beats, {every}"
        if ventricular == 0:
            return False, words, evidence_of(measured, "REGULARITY")
        close = share[0] <= ventricular / measured.beats <= share[1]
        return (True if close else None), words, evidence_of(measured, "REGULARITY")

    return rule
