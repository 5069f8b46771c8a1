"""Reads the claims out of ECG prose: numbers with their measure, unit, leads and beats, and findings with their leads.

In: any text in the style of GEM (7-B prose, reports, key: value lists, our own sentences). Out: `ReadClaim`s in order
of their place, in Unicode code points. Limits that a text quotes ("normal 120–200 ms"), definitions and advice are no
claims. Rules, not a model: the same text gives the same claims everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from models.grounding import lexicon as words
from models.grounding.claim import ReadClaim
from models.grounding.finding_reader import read_findings
from models.grounding.locations import lead_groups
from models.grounding.number_reader import read_numbers


def read_claims(text: str) -> list[ReadClaim]:
    """The claims of a text, in order.

    Examples
    --------
    >>> for claim in read_claims("PR interval is 212 ms in lead II; no ST elevation in V2-V4."):
    ...     print(claim.kind, claim.subject, claim.value, claim.leads, claim.present)
    number PR 212.0 ('II',) True
    finding ST_ELEVATED None ('V2', 'V3', 'V4') False
    """
    out: list[ReadClaim] = []
    for start, sentence in _sentences(text):
        low = sentence.lower() if len(sentence.lower()) == len(sentence) else sentence
        if words.RULE_SENTENCE.match(low):
            continue
        groups = lead_groups(sentence)
        findings = list(read_findings(sentence, low, groups))
        numbers = list(read_numbers(sentence, low, groups))
        for claim in (*findings, *numbers):
            out.append(_moved(claim, start))
    return sorted(out, key=lambda c: (c.start, c.end))


def _moved(claim: ReadClaim, by: int) -> ReadClaim:
    return replace(claim, start=claim.start + by, end=claim.end + by)


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for stop in re.finditer(r"(?<=[.!?])(?<!\d\.)(?=\s)|(?<=\d\.)(?=\s+[A-Z])|\n+|$", text):
        piece = text[start : stop.start()]
        if piece.strip():
            yield start, piece
        start = stop.end()
