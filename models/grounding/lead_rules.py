"""Rules for findings of single leads: ST, T, Q waves and voltage.

Each rule is a `models.grounding.rule_results.Rule`. Limits in mV: AHA/ACCF/HRS 2009 (Rautaharju: ST, T), fourth
universal definition of myocardial infarction (Q waves), Sokolow and Lyon 1949 (hypertrophy).
"""

from __future__ import annotations

from models.grounding.claims import ExtractedClaim
from models.grounding.rule_results import (
    RuleResult,
    by_lead,
    evidence_of,
    over,
    per_lead,
)
from models.grounding.segment_measurements import SegmentMeasurements
from models.normal_limits import (
    LOW_VOLTAGE_CHEST_MV,
    LOW_VOLTAGE_LIMB_MV,
    LVH_MV,
    ST_DEVIATION_MV,
    T_FLAT_MV,
    T_UPRIGHT_LEADS,
)

ST_BAND_MV = 0.02


def st_elevated(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """ST 0.1 mV or more above the PR segment."""
    return _st_deviation(claim, measured, 1, "above")


def st_depressed(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """ST 0.1 mV or more below the PR segment."""
    return _st_deviation(claim, measured, -1, "below")


def _st_deviation(claim: ExtractedClaim, measured: SegmentMeasurements, sign: int, side: str) -> RuleResult:
    leads = claim.leads or tuple(x for x in measured.st if x != "aVR")
    results = {x: over(sign * measured.st[x].value, ST_DEVIATION_MV, ST_BAND_MV) for x in leads if x in measured.st}
    return by_lead(claim, results, f"ST 0.1 mV or more {side} the PR segment", {x: measured.st[x] for x in results})


def st_changed(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """ST deviation in either direction; for "ST-T" an inverted or flat T wave as well."""
    leads = claim.leads or tuple(x for x in measured.st if x != "aVR")
    results = {
        x: over(abs(measured.st[x].value), ST_DEVIATION_MV, ST_BAND_MV)
        for x in leads
        if x in measured.st and x != "aVR"
    }
    found = by_lead(claim, results, "ST 0.1 mV or more from the PR segment", {x: measured.st[x] for x in results})
    return _or_t_wave(claim, measured, found) if "st-t" in claim.text.lower() else found


def _or_t_wave(claim: ExtractedClaim, measured: SegmentMeasurements, st: RuleResult) -> RuleResult:
    """ST-T changes: an inverted or flat T wave confirms them; other changes of an upright T wave have no rule."""
    t_wave = ExtractedClaim.finding("T_INVERTED", leads=claim.leads)
    words = "ST 0.1 mV or more from the PR segment, or T inverted or flat"
    for result in (st, t_inverted(t_wave, measured), t_flat(t_wave, measured)):
        if result[0] is True:
            return True, words, result[2]
    return (None if claim.present or st[0] is None else False), words, st[2]


def t_inverted(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """T waves inverted by 0.05 mV or more."""
    leads = claim.leads or tuple(x for x in T_UPRIGHT_LEADS if x in measured.usable)
    results = {x: measured.t_inverted(x) for x in leads if (x, "T") in measured.waves}
    evidence = {x: e for x in results if (e := measured.wave_evidence(x, "T")) is not None}
    return by_lead(claim, results, "T wave negative by 0.05 mV or more", evidence)


def t_flat(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """T waves within 0.1 mV."""

    def flat(mv: float) -> bool | None:
        return True if abs(mv) <= T_FLAT_MV else False if abs(mv) > 2 * T_FLAT_MV else None

    return per_lead(claim, measured, "T", flat, "T within 0.1 mV")


def q_waves(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Pathological Q waves."""
    leads = [x for x in (claim.leads or measured.usable) if x != "aVR" or claim.leads]
    results: dict[str, bool | None] = {
        x: measured.q_wave(x) for x in leads if (x, "R") in measured.waves or (x, "Q") in measured.waves
    }
    evidence = {
        x: e for x in results if (e := measured.wave_evidence(x, "Q") or measured.wave_evidence(x, "R")) is not None
    }
    if not claim.leads and claim.present is False and any(results.values()):
        return None, "Q waves 0.1 mV deep and a quarter of R", ()  # single ones in III or V1 may be normal
    return by_lead(claim, results, "Q 0.1 mV deep and a quarter of R", evidence)


def low_voltage(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """QRS under 0.5 mV in the limb leads, under 1 mV in chest leads."""
    leads = claim.leads or tuple(x for x in measured.usable if x[0] != "V")
    low: dict[str, bool] = {}
    for lead in leads:
        heights = [measured.waves[lead, w].mv for w in ("R", "S", "Q") if (lead, w) in measured.waves]
        if heights:
            limit = LOW_VOLTAGE_CHEST_MV if lead[0] == "V" else LOW_VOLTAGE_LIMB_MV
            low[lead] = max(heights) - min([0.0, *heights]) < limit
    if not low:
        return None, "QRS under 0.5 mV in limb, 1 mV in chest leads", ()
    return all(low.values()), "QRS under 0.5 mV in limb, 1 mV in chest leads", evidence_of(measured, "QRS")


def lvh(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Left ventricular hypertrophy by Sokolow and Lyon; never contradicted."""
    s = measured.wave_evidence("V1", "S")
    r = [e for lead in ("V5", "V6") if (e := measured.wave_evidence(lead, "R")) is not None]
    words = "S in V1 and R in V5 or V6, 3.5 mV together"
    if s is None or not r:
        return None, words, ()
    larger = max(r, key=lambda e: e.value)
    return (True if larger.value - s.value >= LVH_MV else None), words, (s, larger)
