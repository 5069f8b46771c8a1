"""Findings that oppose an alarm: under its code they are contradicted by definition.

Input: an alarm code and an extracted claim. Output: whether the claim says the opposite of the alarm. The table follows
the alarm's own criterion (`models.arrhythmia.criteria`): a ventricular tachycardia is wide, ventricular and fast, so
sinus rhythm, narrow complexes, P waves before the beats and a normal rate oppose it. Every alarm opposes a normal ECG.
"""

from __future__ import annotations

from models.grounding.claims import ExtractedClaim

Assertion = tuple[str, bool]  # finding, present
_SINUS: tuple[Assertion, ...] = tuple((x, True) for x in ("SINUS", "SINUS_BRADY", "SINUS_TACHY", "SINUS_ARRHYTHMIA"))
_AF: tuple[Assertion, ...] = (("AFIB", True), ("AFLUT", True))
_SLOW: tuple[Assertion, ...] = (("BRADY", True), ("SINUS_BRADY", True))
_FAST: tuple[Assertion, ...] = (("TACHY", True), ("SINUS_TACHY", True), ("SVT", True))
_NORMAL_RATE: tuple[Assertion, ...] = (("RATE_NORMAL", True),)
_REGULAR: tuple[Assertion, ...] = (("REGULAR", True),)
_NARROW: tuple[Assertion, ...] = (("QRS_WIDE", False),)
_WIDE: tuple[Assertion, ...] = (("QRS_WIDE", True),)
_P: tuple[Assertion, ...] = (("P_WAVES", True),)
_CONDUCTED: tuple[Assertion, ...] = (*_SINUS, *_AF, *_P, *_NARROW)

OPPOSED: dict[str, frozenset[Assertion]] = {
    "VFIB": frozenset((*_CONDUCTED, *_NORMAL_RATE, *_SLOW, *_REGULAR, ("VFIB", False), ("ASYSTOLE", True))),
    "ASYSTOLE": frozenset((*_CONDUCTED, *_NORMAL_RATE, *_FAST, *_REGULAR, ("ASYSTOLE", False))),
    "VTACH": frozenset((*_CONDUCTED, *_NORMAL_RATE, *_SLOW, ("SVT", True), ("VTACH", False), ("PVC", False))),
    "EXTREME_BRADY": frozenset((*_NORMAL_RATE, *_FAST, ("SINUS", True), ("BRADY", False))),
    "EXTREME_TACHY": frozenset((*_NORMAL_RATE, *_SLOW, ("SINUS", True), ("TACHY", False))),
    "VRUN": frozenset((*_SINUS, *_AF, ("PVC", False))),
    "VRHYTHM": frozenset((*_CONDUCTED, ("PVC", False))),
    "VPAIR": frozenset((("PVC", False), ("SINUS", True))),
    "R_ON_T": frozenset((("PVC", False), ("SINUS", True))),
    "VBIGEMINY": frozenset((*_AF, *_REGULAR, ("SINUS", True), ("PVC", False), ("BIGEMINY", False))),
    "VTRIGEMINY": frozenset((*_AF, *_REGULAR, ("SINUS", True), ("PVC", False), ("TRIGEMINY", False))),
    "PVC_RATE": frozenset((("PVC", False), ("SINUS", True))),
    "BRADY": frozenset((*_NORMAL_RATE, *_FAST, ("BRADY", False))),
    "TACHY": frozenset((*_NORMAL_RATE, *_SLOW, ("TACHY", False))),
    "SVT": frozenset((*_NORMAL_RATE, *_SLOW, *_SINUS, *_WIDE, ("VTACH", True), ("TACHY", False))),
    "PAUSE": frozenset((*_REGULAR, ("SINUS", True))),
    "MISSED_BEAT": frozenset((*_REGULAR, ("SINUS", True))),
    "IRREGULAR": frozenset((*_REGULAR, ("SINUS", True))),
    "AFIB": frozenset((*_SINUS, *_REGULAR, *_P, ("AFIB", False))),
    "AFIB_END": frozenset(_AF),
    "ST_ELEVATION": frozenset((("ST_CHANGED", False), ("ST_ELEVATED", False))),
    "ST_DEPRESSION": frozenset((("ST_CHANGED", False), ("ST_DEPRESSED", False))),
    "QT_LONG": frozenset((("QT_LONG", False), ("QT_SHORT", True))),
    "WIDE_QRS": frozenset(_NARROW),
    "PR_LONG": frozenset((("PR_NORMAL", True), ("PR_SHORT", True), ("PR_LONG", False))),
    "AV_BLOCK": frozenset(
        (*_SINUS, *_AF, *_NORMAL_RATE, *_NARROW, ("PR_NORMAL", True), ("AVB2", False), ("AVB3", False))
    ),
    "PACER_NOT_CAPTURING": frozenset((*_SINUS, ("PACED", False))),
    "PACER_NOT_PACING": frozenset((*_SINUS, ("PACED", False))),
}
"""Alarm code to the findings that oppose it: (finding, stated or denied)."""
_NO_ALARM = ("", "INTERPRETATION")


def opposes(code: str, claim: ExtractedClaim) -> bool:
    """Whether a claim says the opposite of the alarm.

    >>> opposes("VTACH", ExtractedClaim.finding("SINUS")), opposes("TACHY", ExtractedClaim.finding("SINUS"))
    (True, False)
    """
    if claim.kind != "finding" or code in _NO_ALARM:
        return False
    return (claim.subject, claim.present) in OPPOSED.get(code, ()) or (claim.subject == "NORMAL_ECG" and claim.present)
