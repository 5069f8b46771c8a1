"""Lexicon of ECG prose: leads and regions, measures and units, context of numbers, negation and hedges.

Patterns are for lower-case text of the same length as the original, except the lead names, whose case distinguishes
lead ``I`` from the pronoun. The words for findings are in `models.grounding.finding_lexicon`.
"""

from __future__ import annotations

import re

from models.leads import CHEST, LIMB

REGIONS: dict[str, tuple[str, ...]] = {
    "anterolateral": ("I", "aVL", "V3", "V4", "V5", "V6"),
    "inferolateral": ("II", "III", "aVF", "V5", "V6"),
    "anteroseptal": ("V1", "V2", "V3", "V4"),
    "high lateral": ("I", "aVL"),
    "inferior": ("II", "III", "aVF"),
    "lateral": ("I", "aVL", "V5", "V6"),
    "anterior": ("V2", "V3", "V4"),
    "septal": ("V1", "V2"),
    "right precordial": ("V1", "V2", "V3"),
    "left precordial": ("V4", "V5", "V6"),
    "mid-precordial": ("V3", "V4"),
    "precordial": CHEST,
    "chest": CHEST,
    "limb": LIMB,
}
"""Region to its leads; longer names first, so that ``anterolateral`` does not match as ``lateral``."""

_LEAD = r"(?:aVR|aVL|aVF|AVR|AVL|AVF|avr|avl|avf|III|II|I|[Vv][1-6])"
_TO = r"(?:\s*[-–—]\s*|\s+(?:to|through|thru)\s+)"
_NEXT = r"(?:\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|or|&)\s+|\s*/\s*|\s*[-–—]\s*|\s+(?:to|through|thru)\s+)"
LEAD_GROUP = re.compile(
    rf"(?:\b[Ll]eads?\s*:?\s+)?(?<![A-Za-z0-9]){_LEAD}(?:{_NEXT}(?:leads?\s+)?(?:{_LEAD}|[1-6]))*(?![A-Za-z0-9])"
)
LEAD = re.compile(rf"{_LEAD}|[1-6]")
LEAD_RANGE = re.compile(rf"[Vv]([1-6]){_TO}[Vv]?([1-6])")
REGION_GROUP = re.compile(r"\b(?:(?:" + "|".join(REGIONS) + r")(?:\s*(?:,|and|/|or)\s*)?)+\s*leads?\b", re.IGNORECASE)
ALL_LEADS = re.compile(
    r"\b(?:all|every|each of the|most)(?: of the)?(?: twelve| 12| recorded| other| standard)? leads?\b|"
    r"\bdiffuse(?:ly)?\b|\b(?:in|across) each lead\b",
    re.IGNORECASE,
)

UNITS = {
    "ms": ("ms", 1.0),
    "msec": ("ms", 1.0),
    "msecs": ("ms", 1.0),
    "millisecond": ("ms", 1.0),
    "milliseconds": ("ms", 1.0),
    "s": ("s", 1.0),
    "sec": ("s", 1.0),
    "secs": ("s", 1.0),
    "second": ("s", 1.0),
    "seconds": ("s", 1.0),
    "bpm": ("bpm", 1.0),
    "beats per minute": ("bpm", 1.0),
    "beats/min": ("bpm", 1.0),
    "beats/minute": ("bpm", 1.0),
    "beats a minute": ("bpm", 1.0),
    "/min": ("bpm", 1.0),
    "per minute": ("bpm", 1.0),
    "a minute": ("bpm", 1.0),
    "mv": ("mV", 1.0),
    "millivolt": ("mV", 1.0),
    "millivolts": ("mV", 1.0),
    "µv": ("mV", 1e-3),
    "uv": ("mV", 1e-3),
    "μv": ("mV", 1e-3),
    "mm": ("mV", 0.1),
    "millimeter": ("mV", 0.1),
    "millimeters": ("mV", 0.1),
    "millimetres": ("mV", 0.1),
    "°": ("deg", 1.0),
    "degrees": ("deg", 1.0),
    "degree": ("deg", 1.0),
}
_UNIT = "|".join(re.escape(u) for u in sorted(UNITS, key=len, reverse=True))
NUMBER = re.compile(
    rf"(?<![\w.\[])(?P<sign>[+\-−]\s?)?(?P<low>\d+(?:\.\d+)?)(?:\s*(?:{_UNIT})?(?:\s*[-–—]\s*|"
    rf"\s+to\s+)(?P<high>\d+(?:\.\d+)?))?"
    rf"(?P<unit>\s*-?(?:{_UNIT})(?![a-z]))?(?![\w\]:]|\.\d)"
)

MEASURE_WORDS: tuple[tuple[str, str], ...] = (
    ("QTcF", r"\bqtcf\b|\bqtc? \(?fridericia\)?|\bfridericia(?:-corrected)?(?: qtc?)?"),
    ("QTc", r"\bqtcb?\b(?: interval| \(?bazett\)?)?|\bcorrected qt\b(?: interval)?"),
    ("QT", r"\bqt\b(?: interval| duration)?"),
    ("PR", r"\bp-?[rq]\b(?!-?segment)(?: interval| duration)?"),
    ("QRS", r"\bqrs\b(?: complex(?:es)?)?(?: duration| width)?"),
    (
        "RR",
        r"\br-?r\b(?: intervals?)?|\bpauses?\b|\basystol(?:e|ic)\b|\bstops?\b|\bstandstill\b|\bwithout (?:a |"
        r"any )?(?:beats?|qrs)|\bno beats?\b",
    ),
    ("ATRIAL_RATE", r"\batrial rate\b"),
    ("HR", r"\b(?:heart|ventricular|pulse)[ -]rates?\b|\brate\b|\bhr\b"),
    ("ST_DURATION", r"\bst(?:[ -]segments?)? duration\b"),
    ("ST", r"\bst\b(?:[ -]segments?)?(?: (?:elevations?|depressions?|deviation|level|shift|changes?))?"),
    ("P", r"\bp[ -]?waves?\b(?: duration| amplitude| height)?|\bp (?:duration|amplitude)\b"),
    ("T", r"\bt[ -]?waves?\b(?: duration| amplitude| height)?|\bt (?:duration|amplitude)\b"),
    ("R", r"\br[ -]?waves?\b(?: amplitude| height)?|\br amplitude\b|\bqrs amplitude\b"),
    ("S", r"\bs[ -]?waves?\b(?: amplitude| depth)?"),
    ("Q", r"\bq[ -]?waves?\b(?: amplitude| depth| duration)?"),
    ("AXIS", r"\baxis\b"),
)
"""(measure, pattern of the words that name it), longer names first."""

REFERENCE = re.compile(
    r"(?:normal(?:ly|s)?(?: (?:range|limits?|values?|duration|is|being|upper limit))*(?: of| is|:| between| from|"
    r" under)?|reference(?: range)?:?|"
    r"upper limit(?: of normal)?(?: of| is|:)?|threshold(?: of)?|cut-?off(?: of)?|limit of|criteri(?:on|a)(?: of|"
    r" is|:)?|defined as|by definition)"
    r"\s*\(?(?:is |of |between |from |up to |above |below |over |under |[<>≤≥]=?\s*)*$"
)
"""Words before a number that is a limit, not a measurement."""

BELOW = re.compile(
    r"(?:\bless than|\bunder|\bbelow|<|≤|\bup to|\bwithin|\bno more than|\bnot exceeding|\bshorter than|\bat most|"
    r"\bslower than)\s*(?:or equal to )?$"
)
ABOVE = re.compile(
    r"(?:\bmore than|\bgreater than|\bover|\babove|>|≥|\bexceed(?:s|ing)|\bat least|\blonger than|\bfaster than|"
    r"\bin excess of)\s*(?:or equal to )?$"
)
OR_MORE = re.compile(r"^\s*or (?:more|longer|greater|higher|above|faster)\b")
OR_LESS = re.compile(r"^\s*or (?:less|shorter|lower|below|slower|fewer)\b")

NEGATION = re.compile(
    r"\b(?:no|not|without|neither|nor|never|absence of|absent(?=\s*$)|lack of|lacks|lacking|free of|against|"
    r"rules? out|ruled out|excludes?|negative for|denies|"
    r"no (?:signs?|evidence|indication) of|rather than|instead of|doubt|isn't|aren't|non)\b"
)
NEGATION_AFTER = re.compile(
    r"^\s*(?:\w+\s+){0,3}?(?:(?:is|are|was|were|can be|could be)\s+)?(?:absent|not (?:seen|present|observed|"
    r"noted|evident|identified|visible|detected|found|apparent)|excluded|ruled out|unlikely|missing)\b"
)
SCOPE_END = re.compile(
    r"\b(?:but|however|although|though|except|yet|while|whereas|because|indicating|suggesting|consistent|which|"
    r"therefore|there (?:is|are)|shows?|with|and (?:the|an?|is|are))\b|[;:(]|,(?!\s*(?:no|or|nor|and no)\b)"
)
"""End of the scope of a negation."""
HEDGE = re.compile(
    r"\b(?:may|might|could|possibl[ey]|probabl[ey]|suggest(?:s|ive|ing)?|consistent with|compatible with|"
    r"cannot (?:be )?(?:exclude[d]?|rule[d]? out)|likely|consider|"
    r"concern(?:ing)? for|suspicious|questionable|borderline|raises?|potential(?:ly)?|indicative of)\b"
)
NOT_A_CLAIM = re.compile(
    r"\b(?:if|should|recommend(?:ed)?|would|history of|risk of|can (?:cause|lead|be seen|occur)|definition|"
    r"in general|typically (?:seen|found)|"
    r"differential)\b"
)
"""Words before a finding or number that make it hypothetical, not a statement about this signal."""

RULE_SENTENCE = re.compile(r"^\s*the normal\b[^.;]*\b(?:is|are|ranges?|lies)\b[^.;]*\d")
"""A whole sentence that states a normal range."""
NOT_A_CLAIM_AFTER = re.compile(
    r"^[^.;]*?\b(?:(?:is|are) (?:defined|considered|regarded)|can (?:cause|lead|be seen|occur|result)|would|should)\b"
)
"""Words after a finding or number with the same effect."""
BEAT = re.compile(
    r"\bbeats?\s+(?:no\.?\s*|number\s*|#\s*)?(\d+)(?:\s*(?:-|–|to|and)\s*(\d+))?|\b(\d+)(?:st|nd|rd|th) beat\b|"
    r"\b(first|second|third|fourth|fifth|sixth|last) beat\b"
)
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "last": -1}
