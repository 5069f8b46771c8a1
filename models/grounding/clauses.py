"""Clauses of a sentence, so that one of them can be left out without the others.

Input: a sentence and the spans of its claims. Output: `Sentence`. A new clause begins where a comma, a semicolon, the
first colon, or one of the words *and*, *with*, *without*, *but* comes before a claim; words without a claim belong to
the clause before them ("T waves are inverted in II, V3 and V4" is one clause). "or" joins: a negation before it holds
for both sides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_BOUNDARY = re.compile(r"(?:[,;]\s+(?:and\s+)?|:\s+|\s+and\s+|\s+(?=with\b|without\b|but\b))")
_STOP = re.compile(r"[.!?]*\s*$")


@dataclass(frozen=True, slots=True)
class Clause:
    """Positions of a clause in the text, the separator before it, and the letters to skip where it opens a sentence."""

    start: int
    end: int
    separator: str
    opens_alone: int = 0


@dataclass(frozen=True, slots=True)
class Sentence:
    """The clauses of a sentence, whether the first one is a head ("Conclusion: …"), and the final stop."""

    clauses: tuple[Clause, ...]
    has_head: bool
    stop: str


def clauses_of(start: int, words: str, claims: Sequence[tuple[int, int]]) -> Sentence:
    """Split a sentence that begins at ``start``.

    >>> clauses_of(0, "Conclusion: sinus rhythm, left axis.", [(12, 24), (26, 35)]).has_head
    True
    """
    ended = _STOP.search(words)
    assert ended is not None
    last = start + ended.start()
    begins: list[tuple[int, int]] = []  # end of the clause before, start of the clause
    for match in _BOUNDARY.finditer(words, 0, ended.start()):
        a, b = start + match.start(), start + match.end()
        if not any(x < b and y > a for x, y in claims):
            begins.append((a, b))
    cuts = [(start, start)]
    for k, (a, b) in enumerate(begins):
        following = begins[k + 1][0] if k + 1 < len(begins) else last
        if any(b <= x < following for x, _ in claims):
            cuts.append((a, b))
    clauses = []
    for k, (a, b) in enumerate(cuts):
        end = cuts[k + 1][0] if k + 1 < len(cuts) else last
        but = re.match(r"but\s+", words[b - start :])
        clauses.append(Clause(b, end, words[a - start : b - start], but.end() if but else 0))
    has_head = len(clauses) > 1 and clauses[1].separator.startswith(":")
    return Sentence(tuple(clauses), has_head, ended[0].strip() or ("" if not has_head and len(clauses) == 1 else "."))
