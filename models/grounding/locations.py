"""Locations that prose names: leads, regions of leads, and beats."""

from __future__ import annotations

import re
from dataclasses import dataclass

from models.grounding import lexicon
from models.leads import STANDARD_12, canonical_lead, lead_order


@dataclass(frozen=True, slots=True)
class LeadGroup:
    """Consecutive lead names and their position in the sentence."""

    start: int
    end: int
    leads: tuple[str, ...]


def lead_groups(sentence: str) -> list[LeadGroup]:
    """Lead groups of a sentence, in text order, without overlap."""
    found: list[LeadGroup] = []
    for match in lexicon.LEAD_GROUP.finditer(sentence):
        names = _names(match.group())
        before = sentence[: match.start()]
        introduced = match.group().lower().startswith("lead") or re.search(r"\b(?:in|at|on|from|to)\s*$", before)
        if names == ("I",) and not introduced:
            continue  # the pronoun, or a roman numeral
        if names == ("II",) and re.match(r"\s*(?:degree|block|hypoth)", sentence[match.end() :]):
            continue
        found.append(LeadGroup(match.start(), match.end(), names))
    for match in lexicon.REGION_GROUP.finditer(sentence):
        if any(g.start < match.end() and g.end > match.start() for g in found):
            continue  # "the lateral leads I, aVL, V5": the list is more exact
        rest = match.group().lower()
        leads: list[str] = []
        for region, members in lexicon.REGIONS.items():
            if region in rest:
                leads += members
                rest = rest.replace(region, "")
        found.append(LeadGroup(match.start(), match.end(), tuple(lead_order(list(dict.fromkeys(leads))))))
    found += [LeadGroup(m.start(), m.end(), STANDARD_12) for m in lexicon.ALL_LEADS.finditer(sentence)]
    found.sort(key=lambda g: (g.start, -g.end))
    kept: list[LeadGroup] = []
    for group in found:
        if not kept or group.start >= kept[-1].end:
            kept.append(group)
    return kept


def _names(group: str) -> tuple[str, ...]:
    leads: dict[str, None] = {}
    chest = False
    for match in lexicon.LEAD_RANGE.finditer(group):
        first, last = int(match[1]), int(match[2])
        leads |= dict.fromkeys(f"V{k}" for k in range(first, last + 1))
    for match in lexicon.LEAD.finditer(re.sub(r"^[Ll]eads?\s*:?", "", group)):
        name = match.group()
        if name.isdigit():
            if chest:
                leads[f"V{name}"] = None
            continue
        chest = name[0] in "Vv"
        leads[canonical_lead(name)] = None
    return tuple(lead_order(list(leads)))


def named_beats(low: str, start: int, end: int) -> tuple[int, ...]:
    """Beats named near the words ``start`` to ``end``, counted from 1; the last one is -1."""
    out: list[int] = []
    for match in lexicon.BEAT.finditer(low):
        if not (start - 45 <= match.start() <= end + 45):
            continue
        if match[1]:
            out += range(int(match[1]), int(match[2] or match[1]) + 1)
        elif match[3]:
            out.append(int(match[3]))
        else:
            out.append(lexicon.ORDINALS[match[4]])
    return tuple(dict.fromkeys(out))
