"""Extraction of findings from one sentence: which finding, stated or denied, in which leads, with or without hedge.

Input: the sentence, its lower-case form and its lead groups. Output: `ExtractedClaim` objects of kind ``finding``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from models.grounding import finding_lexicon, lexicon
from models.grounding.claims import ExtractedClaim
from models.grounding.locations import LeadGroup, named_beats
from models.leads import STANDARD_12


def extract_findings(sentence: str, low: str, groups: list[LeadGroup]) -> Iterator[ExtractedClaim]:
    """Findings of a sentence, each (finding, polarity, leads) once, in text order."""
    found: list[tuple[int, int, str, bool]] = []
    short, position = _without_leads(low, groups)
    for name, affirmative, pattern in finding_lexicon.FINDING_PATTERNS:
        found += [
            (position[m.start()], position[m.end() - 1] + 1, name, affirmative) for m in re.finditer(pattern, short)
        ]
    for match in re.finditer(
        r"\bst(?:[ -]segments?)? (?:elevations?|depressions?)\s*(?:or|nor|and|/)\s*(elevation|depression)s?\b", low
    ):
        found.append((match.start(1), match.end(), "ST_ELEVATED" if match[1] == "elevation" else "ST_DEPRESSED", True))
    found.sort(key=lambda f: (f[0], -(f[1] - f[0])))
    kept: list[tuple[int, int, str, bool]] = []
    for item in found:
        inside = [k for k in kept if item[0] < k[1] and item[1] > k[0]]
        if not inside:
            kept.append(item)
        elif all(item[1] - item[0] > k[1] - k[0] for k in inside):
            kept = [k for k in kept if k not in inside] + [item]
    kept.sort()
    seen: set[tuple[str, bool, tuple[str, ...]]] = set()
    for index, (start, end, name, affirmative) in enumerate(kept):
        before, after = low[:start], low[end:]
        if lexicon.NOT_A_CLAIM.search(before) or lexicon.NOT_A_CLAIM_AFTER.match(after) or _reference_list(before):
            continue
        own = low[start:end]
        scope = before[_scope_start(before) :]
        if name in finding_lexicon.NORMAL_FINDINGS or not affirmative:
            scope = re.split(r"\band\b", scope)[-1]
        denied = (
            bool(lexicon.NEGATION.search(scope))
            or bool(re.match(r"(?:no|without)\b", own))
            or bool(lexicon.NEGATION_AFTER.match(after))
            or (affirmative and bool(re.search(r"\bnot\b", own)))  # "the PR interval is not prolonged"
        )
        if not affirmative and re.match(r"(?:absen|lack|loss|missing)", own):
            denied = bool(lexicon.NEGATION.search(scope))
        leads = (
            _leads_of(sentence, start, end, groups, [(a, b) for a, b, *_ in kept], index)
            if name in finding_lexicon.LEAD_FINDINGS
            else ()
        )
        hedged = bool(lexicon.HEDGE.search(before[_clause_start(before) :])) or bool(
            re.match(r"\s+(?:is|are) (?:possible|likely|probable|suspected)", after)
        )
        statement = (name, affirmative != denied, leads)
        if statement not in seen:  # "irregularly irregular", "Mobitz I (Wenckebach)" are one statement
            seen.add(statement)
            yield ExtractedClaim(
                text=sentence[start:end],
                start=start,
                end=end,
                kind="finding",
                subject=name,
                leads=leads,
                beats=named_beats(low, start, end),
                present=affirmative != denied,
                hedged=hedged,
            )


def _without_leads(low: str, groups: list[LeadGroup]) -> tuple[str, list[int]]:
    """The sentence without "in leads …" ("the ST in V2 is elevated"), and the original position of each character."""
    keep = [True] * len(low)
    for group in groups:
        lead_in = re.search(r"\s*(?:\b(?:in|at|on|of|for|across)\s+)?(?:the\s+)?$", low[: group.start])
        assert lead_in is not None
        keep[lead_in.start() : group.end] = [False] * (group.end - lead_in.start())
    position = [k for k, kept in enumerate(keep) if kept]
    return "".join(low[k] for k in position), position


def _reference_list(before: str) -> bool:
    return bool(
        re.search(r"(?:rather than|instead of|as opposed to|not to be confused with|unlike)\s+(?:an?\s+)?$", before)
    )


def _scope_start(before: str) -> int:
    start = 0
    for match in lexicon.SCOPE_END.finditer(before):
        start = match.end()
    return start


def _clause_start(before: str) -> int:
    start = 0
    for match in re.finditer(r"[;:]|\bbut\b|\bhowever\b|\bwhile\b|\bwhereas\b", before):
        start = match.end()
    return start


def _leads_of(
    sentence: str, start: int, end: int, groups: list[LeadGroup], spans: list[tuple[int, int]], index: int
) -> tuple[str, ...]:
    """Leads of a finding: those that follow with a preposition, else those before it."""
    inside = [g for g in groups if start <= g.start < end]
    if inside:
        return inside[0].leads
    following = next((g for g in groups if g.start >= end), None)
    if following is not None:
        between = sentence[end : following.start].lower()
        stop = spans[index + 1][0] if index + 1 < len(spans) else len(sentence)
        joined = following.start <= stop or all(
            re.fullmatch(r"[\s,]*(?:and|or|with|/)?[\s,]*(?:\w+[\s,]+){0,2}", sentence[a:b].lower())
            for (_, a), (b, _) in zip(spans[index:], spans[index + 1 :], strict=False)
            if b < following.start
        )
        named = re.search(
            r"\b(?:in|across|at|throughout|over|involving|on|from|for|of)\s*(?:the\s*)?(?:[a-z-]+\s+)?$|\(\s*$|"
            r"^\s*[:,(]?\s*$|^\s*(?:[\w .+−-]+)?\(\s*(?:in )?$",
            between,
        )
        diffuse = following.leads == STANDARD_12 and len(between) < 40
        if joined and (named or diffuse) and not re.search(r"[;]|\bbut\b|\bwhile\b|\bwhereas\b", between):
            return following.leads
    preceding = [g for g in groups if g.end <= start]
    if preceding:
        last = preceding[-1]
        between = sentence[last.end : start].lower()
        taken = re.search(
            r"\b(?:in|across|at|throughout|over|involving)\s*(?:the\s*)?(?:leads?\s*)?$", sentence[: last.start].lower()
        )
        earlier = [b for _, b in spans[:index] if b <= last.start]
        new_clause = bool(earlier) and bool(
            re.search(r"[,;:]|\bwhile\b|\bwhereas\b|\bbut\b", sentence[earlier[-1] : last.start])
        )
        opens = last.start == 0 or not taken or not earlier or new_clause
        again = any(re.search(r"[;]|\bbut\b|\bwhereas\b|\bwhile\b", part) for part in [between])
        if opens and not again:
            return last.leads
        if taken and re.fullmatch(
            r"\s*(?:,|and|with|,\s*and|,\s*with|accompanied by|along with)\s*(?:\w+\s+){0,2}", between
        ):
            return last.leads
    return ()
