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
from models.grounding.interpretation import GroundedInterpretation, ModelIdentity
from models.grounding.rule_based_report import (
    ReportText,
    beats_counted,
    has_fused_beats,
    rule_based_report,
    write_alarm,
    write_ectopy,
    write_measurements,
)
from models.grounding.segment_measurements import SegmentMeasurements, measure_segment
from models.grounding.verdicts import judge_claim

_WORDS = """
a an and are as at before by for from has in is it lead leads no not of on or ms bpm mv normal rhythm rate sinus
wave waves interval axis the there this to with without which within shows beats ecg pr qrs qt qtc st
"""
_ENGLISH = frozenset(_WORDS.split())
"""Words of report-style English; with those of the findings read, their share tells whether a text is English."""
_ECTOPY = frozenset({"PVC", "BIGEMINY", "TRIGEMINY", "COUPLET", "VRUN"})
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
    claims = extract_claims(text)
    read = " ".join(claim.text for claim in claims if claim.kind == "finding").lower()
    known = sum(word.lower() in _ENGLISH for word in found) + len(re.findall(r"[^\W\d_]+", read))
    if known < ENGLISH_SHARE * len(found):
        return "GEM did not answer in English"
    if not claims:
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
    code: str = "",
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
    code : str
        The alarm on the segment; claims that oppose it are contradicted.
    fold : str, optional
        Measure with network weights trained without this fold (evaluation).

    Returns
    -------
    GroundedInterpretation
        The text opens with the alarm's own finding and citations. Source ``gem``: supported claims are cited, findings
        without support carry "(not confirmed)", contradicted claims are not in the text, and ventricular beats that
        GEM leaves out are added. Source ``measured``, with the reason, when the text is rejected or nothing of it is
        left.
    """
    began = perf_counter()
    measured = measured or measure_segment(ecg, fold=fold)
    reason = rejection_reason(text)
    if reason is not None:
        return rule_based_report(
            ecg, reason=reason, first_citation=first_citation, given=given, code=code, measured=measured
        )
    text = without_repeats(without_markup(text))
    report = ReportText(first_citation, given)
    write_alarm(report, given, code)
    judged = [judge_claim(claim, measured, given, code) for claim in extract_claims(text)]
    marked, claims = mark_verdicts(text, judged, report.numbering, code if given else "")
    report.add_text(marked, claims)
    if marked:
        counted = beats_counted(measured)
        named = any(j.claim.subject in _ECTOPY and j.verdict == "supported" for j in judged)
        if measured.kinds.get("V", 0) and counted is not None and not named:
            report.add(" ")
            write_ectopy(report, measured, counted, code)
    else:
        reason = "no statement of GEM's text is supported by the measurements"
        write_measurements(report, measured, code, fused=has_fused_beats(given))
    elapsed = seconds + perf_counter() - began
    return report.interpretation("gem" if marked else "measured", reason, model if marked else None, elapsed)
