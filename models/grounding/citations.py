"""Puts verdicts into the text: ``[n]`` behind what the signal supports, strike-through round what it contradicts.

Positions count Unicode code points of the text that is shown. What a text brings along of such marks itself is taken
out first: numbers that a model wrote are not citations.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from models.grounding.interpretation import CheckedClaim, CitationNumbers
from models.grounding.verdicts import JudgedClaim

STRIKE = "~~"
MOST_CITATIONS = 4  # behind one claim; the others stay in the record of the segment
_AGAIN = re.compile(r"\b([^,.;:\n]{4,}?)(?:,\s+\1)+(?=\s*(?:[,.;:\n]|$))", re.IGNORECASE)
_OWN_MARKS = re.compile(r"\s*\[\s*\d+(?:\s*[,–-]\s*\d+)*\s*\](?!\()|~~")


def without_marks(text: str) -> str:
    """The text without citation numbers and strikes of its own, spaces tidied.

    >>> without_marks("PR is 160 ms [1] [2],  ~~not~~ long.\\n")
    'PR is 160 ms, not long.'
    """
    return re.sub(r"[ \t]+", " ", _OWN_MARKS.sub("", text)).strip()


def without_repeats(text: str) -> str:
    """The text without what repeats the item before it, word for word.

    >>> without_repeats("Conclusion: sinus rhythm, sinus rhythm, left axis.")
    'Conclusion: sinus rhythm, left axis.'
    """
    return _AGAIN.sub(r"\1", text)


def mark(text: str, judged: Sequence[JudgedClaim], numbering: CitationNumbers) -> tuple[str, list[CheckedClaim]]:
    """The text to be shown, and every claim at its place in it.

    Parameters
    ----------
    text : str
        Without marks; the claims' positions are in it.
    judged : sequence of JudgedClaim
        In order of their place.
    numbering : CitationNumbers
        Gives out the citation numbers, in order of the text.

    Returns
    -------
    shown : str
    claims : list of CheckedClaim
        All of them, the contradicted ones too.
    """
    before: dict[int, str] = {}
    behind: dict[int, list[int]] = {}
    first: dict[int, int | None] = {}
    for start, end in _merged([(j.claim.start, j.claim.end) for j in judged if j.verdict == "contradicted"]):
        before[start] = before.get(start, "") + STRIKE
        before[end] = STRIKE + before.get(end, "")
    clusters = _merged([(j.claim.start, j.claim.end) for j in judged])
    for index, item in enumerate(judged):
        first[index] = None
        if item.verdict == "supported" and item.evidence:
            numbers = list(dict.fromkeys(numbering.number(e) for e in item.evidence[:MOST_CITATIONS]))
            first[index] = numbers[0]
            stop = next(end for start, end in clusters if start <= item.claim.start < end or start == item.claim.start)
            behind.setdefault(stop, []).extend(n for n in numbers if n not in behind.get(stop, []))
    out: list[str] = []
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    length = 0
    for k in range(len(text) + 1):
        ends[k] = length
        extra = before.get(k, "") + "".join(f" [{n}]" for n in behind.get(k, ()))
        if before.get(k, "").startswith(STRIKE) and k in behind and not _opens(k, judged):
            extra = STRIKE + "".join(f" [{n}]" for n in behind[k])
        out.append(extra)
        length += len(extra)
        starts[k] = length
        if k < len(text):
            out.append(text[k])
            length += 1
    shown = "".join(out)
    claims = [
        CheckedClaim(
            shown[starts[j.claim.start] : ends[j.claim.end]],
            starts[j.claim.start],
            ends[j.claim.end],
            j.verdict,
            first[k],
            j.rule,
        )
        for k, j in enumerate(judged)
    ]
    return shown, claims


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
