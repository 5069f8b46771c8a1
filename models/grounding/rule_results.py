"""Results of the rules for findings, and the parts that the rules are made of.

A rule takes an `ExtractedClaim` and the `SegmentMeasurements` and returns a `RuleResult`: True (the finding is
measured), False (its opposite is measured) or None (the measurements cannot decide), the rule in words, and the
evidence. Round each limit lies a band, half the tolerance of the quantity wide, in which the result is None.
"""

from __future__ import annotations

from collections.abc import Callable

from models.evidence import Evidence
from models.grounding.claims import ExtractedClaim
from models.grounding.segment_measurements import SegmentMeasurements

RuleResult = tuple[bool | None, str, tuple[Evidence, ...]]
"""(finding present, rule in words, evidence)."""
Rule = Callable[[ExtractedClaim, SegmentMeasurements], RuleResult]


def evidence_of(measured: SegmentMeasurements, *names: str) -> tuple[Evidence, ...]:
    """The evidence of these measures, as far as measured."""
    return tuple(measured.evidence[x] for x in names if x in measured.evidence)


def over(value: float | None, limit: float, band: float) -> bool | None:
    """True above the limit, False below it, None within the band round it or when nothing was measured."""
    if value is None:
        return None
    return True if value > limit - band / 2 else False if value < limit - band else None


def under(value: float | None, limit: float, band: float) -> bool | None:
    """True below the limit, False above it, None within the band or when nothing was measured."""
    return None if value is None else over(-value, -limit, band)


def as_tuple(evidence: Evidence | None) -> tuple[Evidence, ...]:
    """One piece of evidence or none, as a tuple."""
    return () if evidence is None else (evidence,)


def all_of(*results: RuleResult) -> RuleResult:
    """Conjunction of results: False if one is False, True if all are True."""
    words = ", and ".join(a[1] for a in results)
    evidence = tuple(dict.fromkeys(e for a in results for e in a[2]))
    if any(a[0] is False for a in results):
        return False, words, tuple(e for a in results if a[0] is False for e in a[2])
    return (True if all(a[0] for a in results) else None), words, evidence


def claim_of(claim: ExtractedClaim, subject: str) -> ExtractedClaim:
    """The claim's words as another finding, present, without leads."""
    return ExtractedClaim(text=claim.text, start=claim.start, end=claim.end, kind="finding", subject=subject)


def per_lead(
    claim: ExtractedClaim,
    measured: SegmentMeasurements,
    wave: str,
    test: Callable[[float], bool | None],
    words: str,
    leads: tuple[str, ...] | None = None,
) -> RuleResult:
    """Rule on the height (mV) of one wave in each lead named, or in each usable lead."""
    among = leads if leads is not None else claim.leads or measured.usable
    heights = {x: measured.waves[x, wave].mv for x in among if (x, wave) in measured.waves}
    evidence = {x: e for x in heights if (e := measured.wave_evidence(x, wave)) is not None}
    return by_lead(claim, {x: test(mv) for x, mv in heights.items()}, words, evidence)


def by_lead(
    claim: ExtractedClaim, results: dict[str, bool | None], words: str, evidence: dict[str, Evidence]
) -> RuleResult:
    """One result from the results of the leads.

    Named leads must all be True. Without named leads one True is enough, and False needs all leads False.
    """
    yes = tuple(evidence[x] for x, a in results.items() if a is True and x in evidence)
    no = tuple(evidence[x] for x, a in results.items() if a is False and x in evidence)
    if not results:
        return None, words, ()
    if claim.leads and claim.present:
        if any(a is False for a in results.values()):
            return False, f"{words} in each lead named", no[:1]
        complete = all(x in results for x in claim.leads)
        return (True if complete and all(results.values()) else None), f"{words} in each lead named", yes
    if any(a is True for a in results.values()):
        return True, words, yes
    return (False if all(a is False for a in results.values()) else None), words, no[:1]
