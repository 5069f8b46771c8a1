"""Rules for findings of P waves, PR, QRS, QT and the frontal axis.

Each rule is a `models.grounding.rule_results.Rule`. Limits in ms and degrees: AHA/ACCF/HRS recommendations (Surawicz
2009: conduction, axis; Rautaharju 2009: QT); ESC and ACC guidelines for PR.
"""

from __future__ import annotations

from models.grounding.claims import ExtractedClaim
from models.grounding.rule_results import (
    RuleResult,
    all_of,
    evidence_of,
    over,
    per_lead,
    under,
)
from models.grounding.segment_measurements import SegmentMeasurements
from models.normal_limits import (
    AXIS_EXTREME_DEG,
    AXIS_LEFT_DEG,
    AXIS_RIGHT_DEG,
    LAFB_AXIS_DEG,
    PR_LONG_MS,
    PR_SHORT_MS,
    QRS_INCOMPLETE_MS,
    QRS_WIDE_MS,
    QTC_SHORT_MS,
    qtc_long_ms,
)

MS_BAND, QT_BAND, AXIS_BAND = 5.0, 10.0, 7.5
P_INVERTED_MV = 0.03


def p_waves(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """P waves present."""
    words = "P waves present: before 70 % of the beats or more; absent: before 20 % or fewer"
    return (
        measured.p_waves,
        words,
        evidence_of(measured, "P" if measured.p_waves and "P" in measured.evidence else "ABSENT_P"),
    )


def p_inverted(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """P waves negative in the leads named."""

    def inverted(mv: float) -> bool | None:
        return True if mv <= -P_INVERTED_MV else False if mv >= P_INVERTED_MV else None

    return per_lead(claim, measured, "P", inverted, "P wave negative")


def pr_long(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """PR over 200 ms."""
    if measured.p_waves is False:
        return False, "no P waves, so no PR interval", evidence_of(measured, "ABSENT_P")
    return over(measured.value("PR"), PR_LONG_MS, MS_BAND), "PR over 200 ms", evidence_of(measured, "PR")


def pr_short(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """PR under 120 ms."""
    return under(measured.value("PR"), PR_SHORT_MS, MS_BAND), "PR under 120 ms", evidence_of(measured, "PR")


def pr_normal(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """PR of 120 to 200 ms."""
    if measured.p_waves is False:
        return False, "no P waves, so no PR interval", evidence_of(measured, "ABSENT_P")
    pr = measured.value("PR")
    inside = None if pr is None else PR_SHORT_MS - MS_BAND <= pr <= PR_LONG_MS + MS_BAND
    return inside, "PR 120 to 200 ms", evidence_of(measured, "PR")


def qrs_wide(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """QRS of 120 ms or more."""
    return over(measured.value("QRS"), QRS_WIDE_MS, MS_BAND), "QRS 120 ms or more", evidence_of(measured, "QRS")


def qrs_narrow(measured: SegmentMeasurements) -> RuleResult:
    """QRS under 120 ms."""
    return under(measured.value("QRS"), QRS_WIDE_MS, MS_BAND), "QRS under 120 ms", evidence_of(measured, "QRS")


def _qtc(measured: SegmentMeasurements) -> float | None:
    return measured.value("QTcF") if measured.value("QTcF") is not None else measured.value("QTc")


def qt_long(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """QTcF over the limit of `qtc_long_ms`."""
    limit_ms = qtc_long_ms(measured.ecg.sex)
    return over(_qtc(measured), limit_ms, QT_BAND), f"QTcF over {limit_ms:.0f} ms", evidence_of(measured, "QTcF")


def qt_short(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """QTcF under 350 ms."""
    return under(_qtc(measured), QTC_SHORT_MS, QT_BAND), "QTcF under 350 ms", evidence_of(measured, "QTcF")


def axis_left(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Axis left of −30°."""
    return _left_of(measured, AXIS_LEFT_DEG, AXIS_BAND), "axis left of −30°", evidence_of(measured, "QRS")


def axis_right(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Axis right of 90°."""
    return over(measured.axis_deg, AXIS_RIGHT_DEG, AXIS_BAND), "axis right of 90°", evidence_of(measured, "QRS")


def axis_normal(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Axis of −30° to 90°."""
    deg = measured.axis_deg
    low, high = AXIS_LEFT_DEG - AXIS_BAND / 2, AXIS_RIGHT_DEG + AXIS_BAND / 2
    return None if deg is None else low <= deg <= high, "axis −30° to 90°", evidence_of(measured, "QRS")


def _left_of(measured: SegmentMeasurements, limit_deg: float, band: float) -> bool | None:
    """Whether the axis lies left of the limit; an extreme axis (−90° to −180°) is not decided."""
    deg = measured.axis_deg
    return over(-deg, -limit_deg, band) if deg is not None and deg > AXIS_EXTREME_DEG - AXIS_BAND else None


def bundle_branch_block(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """LBBB and RBBB: a narrow QRS contradicts them; a wide QRS is decided by the shape in V1."""
    wide = over(measured.value("QRS"), QRS_WIDE_MS, 2 * MS_BAND)
    words = "QRS 120 ms or more, and in V1 " + (
        "an R wave at least as tall as the S wave is deep" if claim.subject == "RBBB" else "mostly negative"
    )
    if wide is not True:
        return wide, words, evidence_of(measured, "QRS")
    r, s = measured.waves.get(("V1", "R")), measured.waves.get(("V1", "S"))
    if r is None and ("V1", "Q") not in measured.waves:
        return None, words, ()
    up = r is not None and (s is None or r.mv >= -s.mv)
    return (up if claim.subject == "RBBB" else not up), words, evidence_of(measured, "QRS")


def incomplete_rbbb(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Incomplete RBBB: never confirmed; a wide and a very narrow QRS contradict it."""
    qrs = measured.value("QRS")
    contradicted = qrs is not None and not QRS_INCOMPLETE_MS <= qrs < QRS_WIDE_MS + MS_BAND
    return (
        (False if contradicted else None),
        "QRS 90 to 120 ms; the shape is not decided",
        evidence_of(measured, "QRS"),
    )


def lafb(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Left anterior fascicular block: axis −45° or further left, narrow QRS."""
    if measured.axis_deg is None:
        return None, "axis −45° or further left, narrow QRS", ()
    left = _left_of(measured, LAFB_AXIS_DEG, 2 * AXIS_BAND)
    return all_of((left, "axis −45° or further left", evidence_of(measured, "QRS")), qrs_narrow(measured))


def high_degree_block(claim: ExtractedClaim, measured: SegmentMeasurements) -> RuleResult:
    """Second- and third-degree AV block: P waves without a QRS complex confirm the degree that they show."""
    words = "P waves that lead no QRS complex; third degree: PR changes and RR does not"
    if measured.block is None:
        return None, words, ()
    same = measured.block == {"AVB2": "second", "AVB3": "third"}[claim.subject]
    return (True if same else None), words, measured.blocked
