"""Rules for findings: the measurements that support a finding, and those that contradict it.

`judge_finding` applies the rule of a claim's subject; a denied finding is judged by the same rule, with the verdict
reversed. The rules are in `rhythm_rules`, `interval_rules` and `lead_rules`; those that combine findings are here.
"""

from __future__ import annotations

from models.evidence import Evidence
from models.grounding import interval_rules, lead_rules, rhythm_rules
from models.grounding.claims import ExtractedClaim, Verdict
from models.grounding.rule_results import (
    Rule,
    RuleResult,
    claim_of,
    evidence_of,
    under,
)
from models.grounding.segment_measurements import SegmentMeasurements
from models.leads import STANDARD_12
from models.normal_limits import (
    SINUS_BRADYCARDIA_BPM,
)


def judge_finding(claim: ExtractedClaim, measured: SegmentMeasurements) -> tuple[Verdict, str, tuple[Evidence, ...]]:
    """Judge a finding that a text states or denies.

    Returns
    -------
    verdict : Verdict
    rule : str
        In words.
    evidence : tuple of Evidence
        The measurements that decided; empty where nothing was measured.
    """
    if not measured.readable:
        return "unsupported", "no lead can be analysed", ()
    rule = _RULES.get(claim.subject)
    if rule is None:
        return "unsupported", f"{claim.subject.replace('_', ' ').lower()} is not decided by measurement", ()
    present, words, evidence = rule(claim, measured)
    if present is None:
        return "unsupported", words, ()
    return ("supported" if present == claim.present else "contradicted"), words, evidence


def _conduction(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """A conduction disturbance: long PR, wide QRS or a fascicular axis confirm it; no rule excludes it."""
    for subject in ("PR_LONG", "QRS_WIDE", "LAFB"):
        present, words, evidence = _RULES[subject](claim_of(claim, subject), measured)
        if present is True:
            return True, words, evidence
    return None, "PR over 200 ms, QRS 120 ms or more, or an axis of -45° and further left", ()


def _normal_ecg(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """A normal ECG: one measured abnormality contradicts it; no measurement confirms it.

    Hypertrophy, old infarction and changes of repolarisation leave rhythm, rate, intervals, axis and ST normal: of such
    records of PTB-XL 88 % are normal by their reference, of LUDB one of 18 (``benchmarks/normal_ecg.md``).
    """
    words = "one measured abnormality contradicts it; normal measurements do not confirm it"
    abnormal = [r for r in (rule(claim_of(claim, name), measured) for name, rule in _ABNORMAL.items()) if r[0] is True]
    if abnormal or measured.p_waves is False:
        return False, words, abnormal[0][2] if abnormal else evidence_of(measured, "ABSENT_P")
    return None, words, ()


def _very_slow(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    slow = under(measured.value("HR"), SINUS_BRADYCARDIA_BPM, rhythm_rules.RATE_BAND)
    return slow, "rate 50 bpm or more", evidence_of(measured, "HR")


def _infarct(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Myocardial infarction: never confirmed; twelve leads without Q wave and ST elevation contradict it."""
    q = lead_rules.q_waves(claim_of(claim, "Q_WAVES"), measured)
    st = lead_rules.st_elevated(claim_of(claim, "ST_ELEVATED"), measured)
    words = "Q waves and ST elevation are checked; they do not decide the diagnosis"
    absent = q[0] is False and st[0] is False and len(measured.usable) >= len(STANDARD_12)
    return (False if absent else None), words, st[2]


_RULES: dict[str, Rule] = {
    "SINUS": rhythm_rules.sinus,
    "SINUS_ARRHYTHMIA": rhythm_rules.sinus_without_ectopy,
    "AFIB": rhythm_rules.afib,
    "AFLUT": rhythm_rules.aflut,
    "VFIB": rhythm_rules.vfib,
    "VTACH": rhythm_rules.vtach,
    "SVT": rhythm_rules.svt,
    "SINUS_BRADY": rhythm_rules.sinus_brady,
    "SINUS_TACHY": rhythm_rules.sinus_tachy,
    "ASYSTOLE": rhythm_rules.asystole,
    "BRADY": rhythm_rules.rate_slow,
    "TACHY": rhythm_rules.rate_fast,
    "RATE_NORMAL": rhythm_rules.rate_normal,
    "REGULAR": rhythm_rules.regular,
    "PACED": rhythm_rules.beats_of_kind("P", "beats that follow a pacing mark"),
    "PVC": rhythm_rules.beats_of_kind("V", "ventricular beats counted"),
    "PAC": rhythm_rules.beats_of_kind("S", "early narrow beats counted"),
    "BIGEMINY": rhythm_rules.ventricular_pattern("ventricular beats, every second", rhythm_rules.BIGEMINY),
    "TRIGEMINY": rhythm_rules.ventricular_pattern("ventricular beats, every third", rhythm_rules.TRIGEMINY),
    "COUPLET": rhythm_rules.ventricular_pattern("two ventricular beats in a row", rhythm_rules.COUPLET),
    "VRUN": rhythm_rules.ventricular_pattern("three ventricular beats in a row or more", rhythm_rules.RUN),
    "P_WAVES": interval_rules.p_waves,
    "P_INVERTED": interval_rules.p_inverted,
    "AVB1": interval_rules.pr_long,
    "AVB2": interval_rules.high_degree_block,
    "AVB3": interval_rules.high_degree_block,
    "PR_LONG": interval_rules.pr_long,
    "PR_SHORT": interval_rules.pr_short,
    "PR_NORMAL": interval_rules.pr_normal,
    "QRS_WIDE": interval_rules.qrs_wide,
    "LBBB": interval_rules.bundle_branch_block,
    "RBBB": interval_rules.bundle_branch_block,
    "IRBBB": interval_rules.incomplete_rbbb,
    "LAFB": interval_rules.lafb,
    "AXIS_LEFT": interval_rules.axis_left,
    "AXIS_RIGHT": interval_rules.axis_right,
    "AXIS_NORMAL": interval_rules.axis_normal,
    "LOW_VOLTAGE": lead_rules.low_voltage,
    "LVH": lead_rules.lvh,
    "Q_WAVES": lead_rules.q_waves,
    "ST_ELEVATED": lead_rules.st_elevated,
    "ST_DEPRESSED": lead_rules.st_depressed,
    "ST_CHANGED": lead_rules.st_changed,
    "CONDUCTION": _conduction,
    "T_INVERTED": lead_rules.t_inverted,
    "T_FLAT": lead_rules.t_flat,
    "QT_LONG": interval_rules.qt_long,
    "QT_SHORT": interval_rules.qt_short,
    "NORMAL_ECG": _normal_ecg,
    "MI": _infarct,
}
"""Claim subject to its rule."""
_ABNORMAL: dict[str, Rule] = {
    "AFIB": rhythm_rules.afib,
    "VFIB": rhythm_rules.vfib,
    "TACHY": rhythm_rules.rate_fast,
    "VERY_SLOW": _very_slow,
    "PR_LONG": interval_rules.pr_long,
    "PR_SHORT": interval_rules.pr_short,
    "QRS_WIDE": interval_rules.qrs_wide,
    "QT_LONG": interval_rules.qt_long,
    "AXIS_LEFT": interval_rules.axis_left,
    "AXIS_RIGHT": interval_rules.axis_right,
    "LVH": lead_rules.lvh,
    "ST_CHANGED": lead_rules.st_changed,
    "T_INVERTED": lead_rules.t_inverted,
    "PVC": rhythm_rules.beats_of_kind("V", "ventricular beats"),
    "PACED": rhythm_rules.beats_of_kind("P", "beats that follow a pacing mark"),
    "AVB2": interval_rules.high_degree_block,
    "AVB3": interval_rules.high_degree_block,
}
"""Findings that contradict a normal ECG."""
