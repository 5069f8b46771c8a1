"""Markup of verdicts in the text: ``[n]`` after a supported claim, strike-through around a contradicted one.

Input: a text without markup and its judged claims. Output: the marked text and each claim at its position in it, in
Unicode code points. Markup of the model's own is removed first: numbers that a model wrote are not citations.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from models.grounding.interpretation import CheckedClaim, CitationNumbers
from models.grounding.verdicts import JudgedClaim

STRIKE = "~~"
MAX_CITATIONS = 4  # after one claim; further evidence stays out of the text
_REPEATED = re.compile(r"\b([^,.;:\n]{4,}?)(?:,\s+\1)+(?=\s*(?:[,.;:\n]|$))", re.IGNORECASE)
_OWN_MARKUP = re.compile(r"\s*\[\s*\d+(?:\s*[,–-]\s*\d+)*\s*\](?!\()|~~")


def without_markup(text: str) -> str:
    r"""The text without citation numbers and strike-through of its own, spaces normalized.

    >>> without_markup("PR is 160 ms [1] [2],  ~~not~~ long.\n")
    'PR is 160 ms, not long.'
    """
    return re.sub(r"[ \t]+", " ", _OWN_MARKUP.sub("", text)).strip()


def without_repeats(text: str) -> str:
    """The text without items that repeat the previous one word for word.

    >>> without_repeats("Conclusion: sinus rhythm, sinus rhythm, left axis.")
    'Conclusion: sinus rhythm, left axis.'
    """
    return _REPEATED.sub(r"\1", text)


def mark_verdicts(
    text: str, judged: Sequence[JudgedClaim], numbering: CitationNumbers
) -> tuple[str, list[CheckedClaim]]:
    """Mark the text, and place each claim in the marked text.

    Parameters
    ----------
    text : str
        Without markup; the positions of the claims refer to it.
    judged : sequence of JudgedClaim
        In text order.
    numbering : CitationNumbers
        Assigns the citation numbers, in text order.

    Returns
    -------
    marked : str
    claims : list of CheckedClaim
        All claims, the contradicted ones as well.
    """
    before: dict[int, str] = {}
    after: dict[int, list[int]] = {}
    first: dict[int, int | None] = {}
    for start, end in _merged([(j.claim.start, j.claim.end) for j in judged if j.verdict == "contradicted"]):
        before[start] = before.get(start, "") + STRIKE
        before[end] = STRIKE + before.get(end, "")
    clusters = _merged([(j.claim.start, j.claim.end) for j in judged])
    for index, item in enumerate(judged):
        first[index] = None
        if item.verdict == "supported" and item.evidence:
            numbers = list(dict.fromkeys(numbering.number(e) for e in item.evidence[:MAX_CITATIONS]))
            first[index] = numbers[0]
            stop = next(end for start, end in clusters if start <= item.claim.start < end or start == item.claim.start)
            after.setdefault(stop, []).extend(n for n in numbers if n not in after.get(stop, []))
    out: list[str] = []
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    length = 0
    for k in range(len(text) + 1):
        ends[k] = length
        extra = before.get(k, "") + "".join(f" [{n}]" for n in after.get(k, ()))
        if before.get(k, "").startswith(STRIKE) and k in after and not _opens(k, judged):
            extra = STRIKE + "".join(f" [{n}]" for n in after[k])
        out.append(extra)
        length += len(extra)
        starts[k] = length
        if k < len(text):
            out.append(text[k])
            length += 1
    marked = "".join(out)
    claims = [
        CheckedClaim(
            text=marked[starts[j.claim.start] : ends[j.claim.end]],
            start=starts[j.claim.start],
            end=ends[j.claim.end],
            verdict=j.verdict,
            citation=first[k],
            rule=j.rule,
        )
        for k, j in enumerate(judged)
    ]
    return marked, claims


def _opens(k: int, judged: Sequence[JudgedClaim]) -> bool:
    return any(j.claim.start == k and j.verdict == "contradicted" for j in judged)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overlapping and touching spans as one."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out
