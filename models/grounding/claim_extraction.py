"""Extraction of claims from ECG prose: numbers with measure, unit, leads and beats, and findings with their leads.

Input: any text in the style of GEM (prose of the 7-B model, reports, ``key: value`` lists, the rule-based report).
Output: `ExtractedClaim` objects in text order; positions count Unicode code points. Quoted normal limits
("normal 120–200 ms"), definitions and advice are not claims. The method is a set of rules, not a model: the same text
gives the same claims everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from models.grounding import lexicon
from models.grounding.claims import ExtractedClaim
from models.grounding.finding_extraction import extract_findings
from models.grounding.locations import lead_groups
from models.grounding.number_extraction import extract_numbers


def extract_claims(text: str) -> list[ExtractedClaim]:
    """Claims of a text, in text order.

    Examples
    --------
    >>> for claim in extract_claims("PR interval is 212 ms in lead II; no ST elevation in V2-V4."):
    ...     print(claim.kind, claim.subject, claim.value, claim.leads, claim.present)
    number PR 212.0 ('II',) True
    finding ST_ELEVATED None ('V2', 'V3', 'V4') False
    """
    out: list[ExtractedClaim] = []
    for start, sentence in sentences(text):
        low = sentence.lower() if len(sentence.lower()) == len(sentence) else sentence
        if lexicon.RULE_SENTENCE.match(low):
            continue
        groups = lead_groups(sentence)
        findings = list(extract_findings(sentence, low, groups))
        numbers = list(extract_numbers(sentence, low, groups))
        for claim in (*findings, *numbers):
            out.append(_moved(claim, start))
    return sorted(out, key=lambda c: (c.start, c.end))


def _moved(claim: ExtractedClaim, by: int) -> ExtractedClaim:
    return replace(claim, start=claim.start + by, end=claim.end + by)


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Sentences of a text with their start; a decimal point or an abbreviation before a small letter ends none."""
    start = 0
    for stop in re.finditer(r"(?<=[.!?])(?<!\d\.)(?=\s)|(?<=\d\.)(?=\s+[A-Z])|\n+|$", text):
        piece = text[start : stop.start()]
        if piece.strip():
            yield start, piece
        start = stop.end()
