"""Extraction of numbers from one sentence: the measure of each, its unit, range, relation, leads and beats.

Input: the sentence, its lower-case form and its lead groups. Output: `ExtractedClaim` objects of kind ``number``, in
the measure's own unit (ms, bpm, mV, degrees; RR in s).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from models.grounding import lexicon
from models.grounding.claims import ExtractedClaim
from models.grounding.locations import LeadGroup, named_beats

_PLAUSIBLE = {
    "HR": (10, 400),
    "PR": (40, 600),
    "QRS": (30, 400),
    "QT": (150, 900),
    "QTc": (150, 900),
    "QTcF": (150, 900),
    "AXIS": (-180, 360),
}
"""Ranges in which a number without unit is accepted for a measure."""
_MS = ("PR", "QRS", "QT", "QTc", "QTcF", "P", "T", "Q", "RR", "ST_DURATION", "R", "S")
_MV = ("ST", "P", "T", "R", "S", "Q", "QRS")
_OF_UNIT = {"bpm": ("HR", "ATRIAL_RATE"), "ms": _MS, "s": _MS, "mV": _MV, "deg": ("AXIS",), "": tuple(_PLAUSIBLE)}
_JOINT = re.compile(
    r"^[\s:=~≈,()]*(?:(?:of|is|at|was|about|approximately|around|roughly|measures?|measured|measuring|interval|"
    r"duration|the|an?|"
    r"close|to|near|to be|estimated|calculated|median|mean|average|being|with|degrees?|complex(?:es)?|prolonged|"
    r"normal|wide|long|"
    r"short|ventricular|frontal|qrs)[\s:=~≈,(]+)*(?:less than|under|below|above|over|more than|greater than|"
    r"[<>≤≥])?\s*$"
)


def extract_numbers(sentence: str, low: str, groups: list[LeadGroup]) -> Iterator[ExtractedClaim]:
    """Numbers of a sentence, in text order."""
    masked = re.sub(r"\[\d+\]", lambda m: " " * len(m.group()), low)
    masked = re.sub(
        r"\b12[- ]leads?\b|\b\d+[- ]?(?:s|sec(?:ond)?s?)[- ](?:strip|window|segment|recording|record|ecg|"
        r"tracing)\b|\bj ?\+ ?\d+(?: ?ms)?\b",
        lambda m: " " * len(m.group()),
        masked,
    )
    for group in groups:
        masked = masked[: group.start] + " " * (group.end - group.start) + masked[group.end :]
    subjects = _subjects(masked)
    used: set[int] = set()
    matches = [
        m
        for m in lexicon.NUMBER.finditer(masked)
        if not re.match(r"\s*(?:st|nd|rd|th)\b|:\d|[- ]?degree\b(?! of)", masked[m.end() :])
    ]
    previous_end = 0
    for k, match in enumerate(matches):
        unit, factor = (
            lexicon.UNITS[(match["unit"] or "").strip(" -")] if (match["unit"] or "").strip(" -") else ("", 1.0)
        )
        if not unit and k + 1 < len(matches):  # "QT/QTc 380/420 ms": the unit follows the last number
            follows = matches[k + 1]
            if follows["unit"] and re.fullmatch(r"\s*(?:/|,|and)\s*", masked[match.end() : follows.start()]):
                unit, factor = lexicon.UNITS[follows["unit"].strip(" -")]
        before = masked[: match.start()]
        if (
            lexicon.REFERENCE.search(before)
            or lexicon.NOT_A_CLAIM.search(before)
            or lexicon.NOT_A_CLAIM_AFTER.match(masked[match.end() :])
        ):
            previous_end = match.end()
            continue
        high = None
        if (
            k + 1 < len(matches)
            and re.search(r"\bbetween\s*$", before)
            and re.fullmatch(r"\s+and\s+", masked[match.end() : matches[k + 1].start()])
        ):
            high = matches[k + 1]
            unit, factor = lexicon.UNITS.get((high["unit"] or "").strip(" -"), (unit, factor))
        if (
            k
            and re.search(r"\bbetween\s*$", masked[: matches[k - 1].start()])
            and re.fullmatch(r"\s+and\s+", masked[matches[k - 1].end() : match.start()])
        ):
            previous_end = match.end()
            continue
        found = _subject(masked, match, unit, [x for x in subjects if x[0] not in used], previous_end, matches, k)
        if found is None:
            previous_end = match.end()
            continue
        subject, s_start, s_end = found
        if s_start >= match.end():
            used.add(s_start)
        stop = max(s_end, match.end() if high is None else high.end())
        claim = _number_claim(
            sentence, low, match, unit, factor, subject, min(s_start, match.start()), stop, groups, high
        )
        previous_end = match.end()
        if claim is not None:
            yield claim


def _subjects(masked: str) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    for name, pattern in lexicon.MEASURE_WORDS:
        for match in re.finditer(pattern, masked):
            if not any(match.start() < end and match.end() > start for start, end, _ in found):
                found.append((match.start(), match.end(), name))
    return sorted(found)


def _subject(
    masked: str,
    match: re.Match[str],
    unit: str,
    subjects: list[tuple[int, int, str]],
    previous_end: int,
    matches: list[re.Match[str]],
    k: int,
) -> tuple[str, int, int] | None:
    fits = [s for s in subjects if s[2] in _OF_UNIT[unit]]
    paired = _paired(masked, match, subjects, matches, k)
    if paired is not None:
        return paired
    before = [s for s in fits if s[1] <= match.start()]
    after = [s for s in fits if s[0] >= match.end()]
    clause = max([0, *(m.end() for m in re.finditer(r"[;]", masked[: match.start()]))])
    own = [s for s in before if s[0] >= max(previous_end, clause)]
    if own:
        last = own[-1]
        between = masked[last[1] : match.start()]
        if unit or _JOINT.match(between):
            return last[2], last[0], last[1]
        return None
    if after:
        first = after[0]
        between = masked[match.end() : first[0]]
        if unit and len(between) <= 24 and not re.search(r"[,;.:]", between):
            return first[2], first[0], first[1]
    if unit == "bpm" and not any(s[2] == "ATRIAL_RATE" for s in before):
        return "HR", match.start(), match.end()
    if (
        unit and before and before[-1][0] >= clause
    ):  # one measure, several numbers: "RR intervals of 800, 820 and 790 ms"
        between = masked[previous_end : match.start()]
        if re.fullmatch(
            r"[\s,;/]*(?:(?:and|to|or|then|with|by|increasing|shortening|up|max(?:imum)?|"
            r"min(?:imum)?)\s*)*[(\s]*(?:leads?\s*)?(?:in\s+)?[\s(),]*",
            between,
        ):
            return before[-1][2], match.start(), match.end()
    return None


def _paired(
    masked: str, match: re.Match[str], subjects: list[tuple[int, int, str]], matches: list[re.Match[str]], k: int
) -> tuple[str, int, int] | None:
    """``QT/QTc 380/420``, ``PR and QRS of 160 and 90 ms``: as many consecutive numbers as consecutive measures."""
    first = k
    while first and re.fullmatch(
        r"\s*(?:/|,|and|,\s*and)\s*", masked[matches[first - 1].end() : matches[first].start()]
    ):
        first -= 1
    last = k
    while last + 1 < len(matches) and re.fullmatch(
        r"\s*(?:/|,|and|,\s*and)\s*", masked[matches[last].end() : matches[last + 1].start()]
    ):
        last += 1
    count = last - first + 1
    row = [s for s in subjects if s[1] <= matches[first].start()][-count:]
    if count < 2 or len(row) < count:
        return None
    if not all(
        re.fullmatch(r"\s*(?:intervals?)?\s*(?:/|,|and|,\s*and)\s*(?:the\s+)?", masked[a[1] : b[0]])
        for a, b in pairwise(row)
    ):
        return None
    if re.search(r"[.;]", masked[row[-1][1] : matches[first].start()]):
        return None
    subject = row[k - first]
    return subject[2], match.start(), match.end()


def _number_claim(
    sentence: str,
    low: str,
    match: re.Match[str],
    unit: str,
    factor: float,
    subject: str,
    start: int,
    end: int,
    groups: list[LeadGroup],
    upper: re.Match[str] | None = None,
) -> ExtractedClaim | None:
    value = float(match["low"]) * factor
    top = match["high"] or (upper["low"] if upper else None)
    high = float(top) * factor if top else None
    if match["sign"] and match["sign"].strip() in "-−" and subject in ("ST", "AXIS", "T", "P", "QRS", "R", "S", "Q"):
        value = -value
    if not unit:
        floor, ceiling = _PLAUSIBLE[subject]
        if not floor <= value <= ceiling:
            return None
    if unit == "s" and subject != "RR":
        value, high = 1000 * value, None if high is None else 1000 * high
    if unit == "ms" and subject == "RR":
        value, high = value / 1000, None if high is None else high / 1000
    wave = None
    if unit == "mV" and subject != "ST":
        wave, subject = ("R" if subject == "QRS" else subject), "AMPLITUDE"
    elif unit in ("ms", "s") and subject in ("T", "Q", "R", "S"):
        wave, subject = subject, "WAVE_DURATION"
    before, around = low[: match.start()], low[start : end + 30]
    if (
        subject == "ST"
        and value > 0
        and (
            re.search(r"depress", low[start:end])
            or re.match(r"\s*(?:of\s+)?(?:st\s+)?(?:segment\s+)?depress", low[end:])
        )
    ):
        value, high = -value, None if high is None else -high
    if wave in ("S", "Q") and value > 0:
        value, high = -value, None if high is None else -high
    after = low[match.end() :]
    below = lexicon.BELOW.search(before) or lexicon.OR_LESS.match(after)
    above = lexicon.ABOVE.search(before) or lexicon.OR_MORE.match(after)
    relation: Literal["=", "<", ">"] = "<" if below else ">" if above else "="
    hedged = bool(re.search(r"\b(?:possibl[ey]|may|might|could)\b", around))
    denied = bool(re.search(r"\bno (?:\w+ ){0,2}$|\bnot (?:\w+ ){0,1}$", low[:start]))
    return ExtractedClaim(
        text=sentence[start:end],
        start=start,
        end=end,
        kind="number",
        subject=subject,
        value=value,
        high=high,
        relation=relation,
        wave=wave,
        leads=_leads_near(sentence, start, end, groups),
        beats=named_beats(low, start, end),
        present=not denied,
        hedged=hedged,
    )


def _leads_near(sentence: str, start: int, end: int, groups: list[LeadGroup]) -> tuple[str, ...]:
    inside = [g for g in groups if start <= g.start < end]
    if inside:
        return inside[0].leads
    following = next((g for g in groups if g.start >= end), None)
    if following is not None and re.fullmatch(
        r"[\s,]*(?:(?:is|was|as|best|seen|measured|noted|wide|long|elevation|depression|deviation|"
        r"of the|or|more|less)\s+)*(?:\(\s*)?(?:in|at|on|from|for|across|throughout|over|within)?\s*(?:the\s+)?",
        sentence[end : following.start].lower(),
    ):
        return following.leads
    preceding = [g for g in groups if g.end <= start]
    if preceding:
        last = preceding[-1]
        between = sentence[last.end : start].lower()
        if re.fullmatch(r"\s*(?:in\s+)?(?:the\s+)?", sentence[: last.start].lower()) and ";" not in between:
            return last.leads  # the lead is the subject of the sentence
        if not re.search(r"[;.]|\d|\bwith a\b", between) and (
            re.match(r"\s*(?::|\(|shows?|has|have|displays?|exhibits?|demonstrates?|with|the|by|of|measures?)", between)
            or between.strip() == ""
        ):
            return preceding[-1].leads
    return ()
