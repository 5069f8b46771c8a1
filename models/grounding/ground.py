"""Grounding of a model's prose: `ground(text, ecg, …)` gives the `GroundedInterpretation` to publish.

A text that is empty, not English or without a claim that can be checked is rejected: the rule-based report takes its
place, and the interpretation's ``reason`` says why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from time import perf_counter

from models.ecg import Ecg
from models.evidence import Evidence
from models.grounding.citations import mark_verdicts, without_markup, without_repeats
from models.grounding.claim_extraction import extract_claims
from models.grounding.interpretation import CitationNumbers, GroundedInterpretation, ModelIdentity
from models.grounding.rule_based_report import rule_based_report
from models.grounding.segment_measurements import SegmentMeasurements, measure_segment
from models.grounding.verdicts import judge_claim

_WORDS = """
a an and are as at before by for from has in is it lead leads no not of on or ms bpm mv normal rhythm rate sinus
wave waves interval axis the there this to with without which within shows beats ecg pr qrs qt qtc st
"""
_ENGLISH = frozenset(_WORDS.split())
"""Words of report-style English; their share tells whether a text is English."""
ENGLISH_SHARE = 0.2  # of the words; report-style English has 0.35 or more, other languages under 0.1
ASCII_SHARE = 0.85  # of the letters


def rejection_reason(text: str) -> str | None:
    """Why a text cannot be published at all; None where it can.

    >>> rejection_reason("  "), rejection_reason("Sinusrhythmus, Lagetyp normal, sonst unauffälliges EKG.")
    ('GEM gave no text', 'GEM did not answer in English')
    """
    text = without_markup(text)
    found = re.findall(r"[^\W\d_]+", text)
    if not found:
        return "GEM gave no text"
    letters = "".join(found)
    if sum(ch.isascii() for ch in letters) < ASCII_SHARE * len(letters):
        return "GEM did not answer in English"
    if sum(word.lower() in _ENGLISH for word in found) < ENGLISH_SHARE * len(found):
        return "GEM did not answer in English"
    if not extract_claims(text):
        return "GEM made no claim that can be checked"
    return None


def ground(
    text: str,
    ecg: Ecg,
    given: Sequence[Evidence] = (),
    first_citation: int = 1,
    *,
    model: ModelIdentity | None = None,
    seconds: float = 0.0,
    measured: SegmentMeasurements | None = None,
    fold: str | None = None,
) -> GroundedInterpretation:
    """Check a text claim by claim.

    Parameters
    ----------
    text : str
        GEM's answer.
    ecg : Ecg
        The segment that the text describes.
    given : sequence of Evidence
        The alert's own citations (1…k), in samples of ``ecg``.
    first_citation : int
        Number of the first new citation.
    model : ModelIdentity, optional
        The model that wrote the text.
    seconds : float
        Time of the generation; the time of the checks is added.
    measured : SegmentMeasurements, optional
        Of ``ecg``, where they are known already.
    fold : str, optional
        Measure with network weights trained without this fold (evaluation).

    Returns
    -------
    GroundedInterpretation
        Source ``gem``: supported claims cited, contradicted ones struck through. Source ``measured``, with the
        reason, when the text is rejected.
    """
    began = perf_counter()
    reason = rejection_reason(text)
    if reason is not None:
        return rule_based_report(ecg, reason=reason, first_citation=first_citation, given=given, fold=fold)
    text = without_repeats(without_markup(text))
    measured = measured or measure_segment(ecg, fold=fold)
    numbering = CitationNumbers(first_citation, given)
    judged = [judge_claim(claim, measured, given) for claim in extract_claims(text)]
    marked, claims = mark_verdicts(text, judged, numbering)
    return GroundedInterpretation(
        source="gem",
        reason=None,
        text=marked,
        claims=tuple(claims),
        evidence=tuple(numbering.cited),
        model=model,
        seconds=seconds + perf_counter() - began,
    )
