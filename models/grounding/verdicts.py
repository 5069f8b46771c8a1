"""Verdicts on claims: supported, contradicted or unsupported by the measurements, with the rule and the evidence.

A number is supported within the tolerance of its measure and contradicted outside: HR 3 bpm; PR, QRS, P 10 ms; QT,
QTc, QTcF 20 ms; RR 20 ms; ST 0.05 mV; amplitudes 0.1 mV or 15 %; axis 15°. A claim that no measurement decides is
unsupported, never supported. The tolerances of the intervals follow the limits of IEC 60601-2-25 for global intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.arrhythmia.codes import CODES
from models.evidence import TOLERANCE as SAME_VALUE
from models.evidence import Evidence
from models.grounding.claims import ExtractedClaim, Verdict
from models.grounding.finding_rules import judge_finding
from models.grounding.opposition import opposes
from models.grounding.rule_results import as_tuple
from models.grounding.segment_measurements import SegmentMeasurements

TOLERANCE = {**SAME_VALUE, "AXIS": 15.0}
UNITS = {
    "HR": "bpm",
    "PR": "ms",
    "QRS": "ms",
    "P": "ms",
    "QT": "ms",
    "QTc": "ms",
    "QTcF": "ms",
    "RR": "s",
    "ST": "mV",
    "AXIS": "°",
    "AMPLITUDE": "mV",
}
AMPLITUDE_TOLERANCE_SHARE = 0.15  # of the measured height, where that is more than 0.1 mV


@dataclass(frozen=True, slots=True)
class JudgedClaim:
    """A claim with its verdict, the rule in words, and the evidence (empty where nothing was measured).

    ``value`` is the measured value of a supported number, in the unit of its measure: the text displays it.
    """

    claim: ExtractedClaim
    verdict: Verdict
    rule: str
    evidence: tuple[Evidence, ...] = ()
    value: float | None = None


def judge_claim(
    claim: ExtractedClaim, measured: SegmentMeasurements, given: Sequence[Evidence] = (), code: str = ""
) -> JudgedClaim:
    """Judge one claim.

    Parameters
    ----------
    claim : ExtractedClaim
    measured : SegmentMeasurements
        Of the segment that the text describes.
    given : sequence of Evidence
        The alert's own citations; each supports the number that it states.
    code : str
        The alarm on the segment: a claim that opposes it is contradicted, whatever was measured.
    """
    if opposes(code, claim):
        return JudgedClaim(claim, "contradicted", f"opposes the alarm {CODES[code].title}")
    absent = [x for x in claim.leads if x not in measured.ecg.leads]
    if absent and len(claim.leads) < 12:
        return JudgedClaim(claim, "contradicted", f"lead {absent[0]} was not recorded")
    rate = next((e for e in given if e.measure == "HR"), None)  # one rate a text: that of the alarm
    if claim.kind == "number":
        own = [e for e in given if e.measure == claim.subject and _fits(claim, e)]
        if own and claim.present:
            rule = _rule(claim.subject, "the alert's own citation")
            return JudgedClaim(claim, "supported", rule, (own[0],), own[0].value)
        if rate is not None and claim.subject == "HR" and claim.present:
            return JudgedClaim(claim, "contradicted", f"the alarm cites {rate.value:.0f} bpm", (rate,))
        if claim.subject in ("QT", "QTc", "QTcF") and not measured.at_rate_of(given):
            return JudgedClaim(claim, "unsupported", "QT was measured at another rate than the alarm's")
        return _judge_number(claim, measured)
    if rate is not None:
        measured = replace(measured, evidence={**measured.evidence, "HR": rate})
    verdict, rule, evidence = judge_finding(claim, measured)
    return JudgedClaim(claim, verdict, rule, evidence)


def _judge_number(claim: ExtractedClaim, measured: SegmentMeasurements) -> JudgedClaim:
    if not measured.readable:
        return JudgedClaim(claim, "unsupported", "no lead can be analysed")
    if measured.fibrillation is not None:
        verdict: Verdict = (
            "contradicted" if claim.present and claim.subject in ("PR", "QRS", "QT", "QTc") else "unsupported"
        )
        return JudgedClaim(claim, verdict, "fibrillation waves: no QRS complexes to measure", (measured.fibrillation,))
    if claim.subject not in TOLERANCE:
        return JudgedClaim(claim, "unsupported", f"{claim.subject.replace('_', ' ').lower()} is not measured")
    if claim.beats:
        return JudgedClaim(claim, "unsupported", "stated for single beats; measured over all beats")
    if claim.subject == "PR" and measured.p_waves is False:
        return JudgedClaim(
            claim, "contradicted", "no P waves, so no PR interval", as_tuple(measured.evidence.get("ABSENT_P"))
        )
    if claim.subject == "AXIS":
        return _judge_axis(claim, measured)
    candidates = _candidates(claim, measured)
    if not candidates:
        return JudgedClaim(claim, "unsupported", f"{claim.subject} could not be measured")
    if not claim.present:
        verdict = "contradicted" if any(_fits(claim, e) for e in candidates) else "supported"
        return JudgedClaim(claim, verdict, _rule(claim.subject, "denied"), tuple(candidates[:1]))
    if len(claim.leads) > 1 and claim.subject in ("ST", "AMPLITUDE"):  # one number for several leads holds in each
        wrong = [e for e in candidates if not _fits(claim, e)]
        if len(candidates) < len(claim.leads) and not wrong:
            return JudgedClaim(claim, "unsupported", f"{claim.subject} was not measured in every lead named")
        return JudgedClaim(
            claim,
            "contradicted" if wrong else "supported",
            _rule(claim.subject, "in each lead named"),
            tuple(wrong[:1] or candidates),
            candidates[0].value,
        )
    fitting = [e for e in candidates if _fits(claim, e)]
    if fitting:
        return JudgedClaim(claim, "supported", _rule(claim.subject), (fitting[0],), fitting[0].value)
    digits = 2 if UNITS[claim.subject] in ("s", "mV") else 0
    return JudgedClaim(
        claim,
        "contradicted",
        f"{_rule(claim.subject)}; measured {candidates[0].value:.{digits}f}",
        (candidates[0],),
    )


def _candidates(claim: ExtractedClaim, measured: SegmentMeasurements) -> list[Evidence]:
    """Evidence that the claim is compared with: the segment's value, the heights of each lead, or any measured RR."""
    subject = claim.subject
    if subject == "ST":
        leads = claim.leads or tuple(measured.st)
        found = [measured.st[x] for x in leads if x in measured.st]
        return found if claim.leads else sorted(found, key=lambda e: -abs(e.value))[:1]
    if subject == "AMPLITUDE":
        wave = claim.wave or "R"
        return [e for x in claim.leads if (e := measured.wave_evidence(x, wave)) is not None]
    if subject == "RR":
        return list(as_tuple(measured.evidence.get("RR"))) + list(as_tuple(measured.longest_rr))
    return list(as_tuple(measured.evidence.get(subject)))


def _fits(claim: ExtractedClaim, evidence: Evidence) -> bool:
    value, measured = claim.value, evidence.value
    assert value is not None
    tolerance = TOLERANCE.get(claim.subject, 0.0)
    if claim.subject == "AMPLITUDE":
        tolerance = max(tolerance, AMPLITUDE_TOLERANCE_SHARE * abs(measured))
    if claim.relation == "<":
        return abs(measured) < abs(value) + tolerance if claim.subject == "ST" else measured < value + tolerance
    if claim.relation == ">":
        signed = -measured if claim.subject == "ST" and value < 0 else measured  # a depression of 0.1 mV or more
        return signed > (abs(value) if claim.subject == "ST" else value) - tolerance
    low, high = sorted((value, claim.high if claim.high is not None else value))
    return low - tolerance <= measured <= high + tolerance


def _judge_axis(claim: ExtractedClaim, measured: SegmentMeasurements) -> JudgedClaim:
    if measured.axis_deg is None or claim.value is None:
        return JudgedClaim(claim, "unsupported", "the axis could not be measured")
    evidence = as_tuple(measured.evidence.get("QRS"))
    high = claim.high if claim.high is not None else claim.value
    off = min(abs((measured.axis_deg - v + 180) % 360 - 180) for v in (claim.value, high))
    inside = min(claim.value, high) <= measured.axis_deg <= max(claim.value, high)
    fits = inside or off <= TOLERANCE["AXIS"]
    rule = f"axis within 15°, measured {measured.axis_deg:.0f}°"
    return JudgedClaim(claim, "supported" if fits else "contradicted", rule, evidence, measured.axis_deg)


def _rule(subject: str, note: str = "") -> str:
    tolerance = TOLERANCE[subject]
    size = "20 ms" if subject == "RR" else f"{tolerance:g} {UNITS[subject]}".replace(" °", "°")
    return f"{subject} within {size}" + (f", {note}" if note else "")
