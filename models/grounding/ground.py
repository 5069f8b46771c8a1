"""Grounds a model's prose on the signal: `ground(text, ecg, …)` gives the reading that may be shown.

Text that is empty, not English or says nothing that could be checked is not shown: the measurements speak instead, and
the reading's reason says why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from time import perf_counter

from models.ecg import Ecg
from models.evidence import Evidence
from models.grounding.citations import mark, without_marks, without_repeats
from models.grounding.claim_extraction import extract_claims
from models.grounding.interpretation import CitationNumbers, GroundedInterpretation, ModelIdentity
from models.grounding.rule_based_report import rule_based_report
from models.grounding.segment_measurements import SegmentMeasurements, measure_segment
from models.grounding.verdicts import judge_claim

_ENGLISH = frozenset(
    (
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "before",
        "by",
        "for",
        "from",
        "has",
        "in",
        "is",
        "it",
        "lead",
        "leads",
        "no",
        "not",
        "of",
        "on",
        "or",
        "ms",
        "bpm",
        "mv",
        "normal",
        "rhythm",
        "rate",
        "sinus",
        "wave",
        "waves",
        "interval",
        "axis",
        "the",
        "there",
        "this",
        "to",
        "with",
        "without",
        "which",
        "within",
        "shows",
        "beats",
        "ecg",
        "pr",
        "qrs",
        "qt",
        "qtc",
        "st",
    )
)
ENGLISH_SHARE = 0.2  # of the words; report-style English has 0.35 and more, other languages under 0.1
ASCII_SHARE = 0.85  # of the letters


def unusable(text: str) -> str | None:
    """Why a text cannot be shown at all; None where it can.

    >>> unusable("  "), unusable("Sinusrhythmus, Lagetyp normal, sonst unauffälliges EKG.")
    ('GEM gave no text', 'GEM did not answer in English')
    """
    text = without_marks(text)
    found = re.findall(r"[^\W\d_]+", text)
    if not found:
        return "GEM gave no text"
    letters = "".join(found)
    if sum(ch.isascii() for ch in letters) < ASCII_SHARE * len(letters):
        return "GEM did not answer in English"
    if sum(word.lower() in _ENGLISH for word in found) < ENGLISH_SHARE * len(found):
        return "GEM did not answer in English"
    if not extract_claims(text):
        return "GEM said nothing that could be checked"
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
        The segment that it speaks of.
    given : sequence of Evidence
        The alert's own citations (1…k), in samples of ``ecg``.
    first_citation : int
        Number of the first new citation.
    model : ModelIdentity, optional
        Which weights wrote the text.
    seconds : float
        Time that writing it took; checking is added.
    measured : SegmentMeasurements, optional
        Of ``ecg``, where they have been gathered already.
    fold : str, optional
        Measure with network weights trained without this fold (evaluation).

    Returns
    -------
    GroundedInterpretation
        Source ``gem``: supported claims cited, contradicted ones struck. Source ``measured``, with the reason, when the
        text cannot be used.
    """
    began = perf_counter()
    problem = unusable(text)
    if problem is not None:
        return rule_based_report(ecg, reason=problem, first_citation=first_citation, given=given, fold=fold)
    text = without_repeats(without_marks(text))
    measured = measured or measure_segment(ecg, fold=fold)
    numbering = CitationNumbers(first_citation, given)
    judged = [judge_claim(claim, measured, given) for claim in extract_claims(text)]
    shown, claims = mark(text, judged, numbering)
    return GroundedInterpretation(
        "gem", None, shown, tuple(claims), tuple(numbering.cited), model, seconds + perf_counter() - began
    )
