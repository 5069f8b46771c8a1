"""Verdicts in the text: ``[n]`` after a supported claim, "(not confirmed)" after a finding that nothing supports.

Input: a text without markup and its judged claims. Output: the text to publish and each claim at its position in it, in
Unicode code points. Left out of the text: clauses with a contradicted claim, with a number that was not measured, with
a normal ECG that is not confirmed, or with an ST level whose sign is not that of the deviation named; and repeats.
A supported number is replaced by the value that it cites. Markup of the model's own is removed first: numbers that a
model wrote are not citations.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from models.grounding.claim_extraction import sentences
from models.grounding.claims import ExtractedClaim
from models.grounding.clauses import Clause, Sentence, clauses_of
from models.grounding.interpretation import CheckedClaim, CitationNumbers
from models.grounding.lexicon import NUMBER, UNITS
from models.grounding.verdicts import JudgedClaim

NOT_CONFIRMED = " (not confirmed)"
MAX_CITATIONS = 4  # after one claim; further evidence stays out of the text
_LABEL = re.compile(r"[\w -]+: ")
DECIMALS = {"mv": 2, "s": 2}  # at least, by unit in small letters
_REPEATED = re.compile(r"\b([^,.;:\n]{4,}?)(?:,\s+\1)+(?=\s*(?:[,.;:\n]|$))", re.IGNORECASE)
_VALUE = r"[-−+]?\d+(?:\.\d+)? (?:mV|ms|bpm)"
_PLACE = r"(?P<where>(?: in \w+)?)"
_MEASURED_AGAIN = re.compile(rf"\b(([A-Z][A-Za-z ]*?) {_VALUE}{_PLACE})(?:, \2 {_VALUE}(?P=where))+(?!\w| in )")
_OWN_MARKUP = re.compile(r"\s*\[\s*\d+(?:\s*[,–-]\s*\d+)*\s*\](?!\()|~~")


def without_markup(text: str) -> str:
    r"""The text without citation numbers and strike-through of its own, spaces normalized.

    >>> without_markup("PR is 160 ms [1] [2],  ~~not~~ long.\n")
    'PR is 160 ms, not long.'
    """
    return re.sub(r"[ \t]+", " ", _OWN_MARKUP.sub("", text)).strip()


def without_repeats(text: str) -> str:
    """The text without items that repeat the previous one: word for word, or the same measure of the same lead.

    The value displayed is the cited one, so that two values of one place would be the same.

    >>> without_repeats("Conclusion: sinus rhythm, sinus rhythm, left axis.")
    'Conclusion: sinus rhythm, left axis.'
    >>> without_repeats("ST depression: ST -0.14 mV in II, ST -0.12 mV in II, ST -0.12 mV in V5.")
    'ST depression: ST -0.14 mV in II, ST -0.12 mV in V5.'
    """
    return _REPEATED.sub(r"\1", _MEASURED_AGAIN.sub(r"\1", text))


def mark_verdicts(
    text: str, judged: Sequence[JudgedClaim], numbering: CitationNumbers, code: str = ""
) -> tuple[str, list[CheckedClaim]]:
    """Write the text to publish, and place each claim in it.

    Parameters
    ----------
    text : str
        Without markup; the positions of the claims refer to it.
    judged : sequence of JudgedClaim
        In text order.
    numbering : CitationNumbers
        Assigns the citation numbers, in text order.
    code : str
        The alarm, whose finding the text states before: it is not repeated.

    Returns
    -------
    marked : str
        Empty where no sentence is left.
    claims : list of CheckedClaim
        Those of the text, and with positions None the contradicted and unsupported ones that are not in it.
    """
    judged = [replace(j, verdict="unsupported") if j.verdict == "supported" and not j.evidence else j for j in judged]
    judged = _with_signs(text, judged)
    out, previous = _Writer(text, judged, numbering), 0
    asserted: set[Statement] = {(OWN_FINDING[code], True, (), None, None)} if code in OWN_FINDING else set()
    for begin, piece in sentences(text):
        words = piece.lstrip()
        start = begin + len(piece) - len(words)
        own = [j for j in judged if start <= j.claim.start < start + len(words)]
        sentence = clauses_of(start, words, [(j.claim.start, j.claim.end) for j in own])
        kept = _kept(sentence, own, asserted)
        if kept and (own or not _LABEL.match(words)):  # items of a label that claim nothing say nothing
            out.space(text[previous:start])
            out.sentence(sentence, kept)
        previous = start + len(words)
    return out.text, out.claims()


def _with_signs(text: str, judged: Sequence[JudgedClaim]) -> list[JudgedClaim]:
    """The claims, an ST level contradicted where its sign is not that of the deviation named before it."""
    out, sign, until = [], 0, 0
    for j in judged:
        claim = j.claim
        if claim.start >= until:  # another sentence
            sign, until = 0, next((b + len(s) for b, s in sentences(text) if b <= claim.start < b + len(s)), len(text))
        if claim.kind == "finding" and claim.subject in _ST_SIGN:
            sign = _ST_SIGN[claim.subject] if claim.present else 0
        elif claim.subject == "ST" and j.verdict == "supported" and (j.value or 0.0) * sign < 0:
            j = replace(j, verdict="contradicted", rule=f"{j.rule}; the sign is not that of the deviation named")
        out.append(j)
    return out


OWN_FINDING = {
    "AFIB": "AFIB",
    "TACHY": "TACHY",
    "EXTREME_TACHY": "TACHY",
    "SVT": "SVT",
    "BRADY": "BRADY",
    "EXTREME_BRADY": "BRADY",
    "VBIGEMINY": "BIGEMINY",
    "VTRIGEMINY": "TRIGEMINY",
    "VPAIR": "COUPLET",
    "QT_LONG": "QT_LONG",
    "WIDE_QRS": "QRS_WIDE",
    "PR_LONG": "PR_LONG",
}
"""Alarm code to the finding that its title states."""
_ST_SIGN = {"ST_ELEVATED": 1, "ST_DEPRESSED": -1}
Statement = tuple[str, bool, tuple[str, ...], str | None, float | None]


def _statement(claim: ExtractedClaim) -> Statement:
    return claim.subject, claim.present, claim.leads, claim.wave, claim.value


def _kept(sentence: Sentence, judged: Sequence[JudgedClaim], asserted: set[Statement]) -> list[int]:
    """Indices of the sentence's clauses that are published; adds their statements to ``asserted``."""
    kept = []
    for k, clause in enumerate(sentence.clauses):
        own = [j for j in judged if clause.start <= j.claim.start < clause.end]
        wrong = any(j.verdict == "contradicted" or (j.verdict == "unsupported" and _is_left_out(j)) for j in own)
        new = {_statement(j.claim) for j in own}
        if wrong or (own and new <= asserted):
            if k == 0 and sentence.has_head:
                return []
            continue
        asserted |= new | {(subject, present, (), None, None) for subject, present, *_, value in new if value is None}
        kept.append(k)
    if sentence.has_head and not any(_claims_in(sentence.clauses[k], judged) for k in kept):
        return []  # a label without items, or with items that say nothing of the signal
    if kept and kept[0] != 0 and not sentence.has_head:
        first_kept = sentence.clauses[kept[0]]
        if not first_kept.opens_alone and first_kept.start not in {j.claim.start for j in judged}:
            return []  # what is left hangs on the words that are left out
    return kept


def _is_left_out(judged: JudgedClaim) -> bool:
    """Whether an unsupported claim is left out of the text in place of being marked: numbers, and a normal ECG."""
    return judged.claim.kind == "number" or (judged.claim.subject == "NORMAL_ECG" and judged.claim.present)


def _claims_in(clause: Clause, judged: Sequence[JudgedClaim]) -> bool:
    return any(clause.start <= j.claim.start < clause.end for j in judged)


class _Writer:
    """The published text under construction, with the new position of every claim."""

    def __init__(self, source: str, judged: Sequence[JudgedClaim], numbering: CitationNumbers) -> None:
        self.text = ""
        self._source, self._judged, self._numbering = source, judged, numbering
        self._starts: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._clusters = _merged([(j.claim.start, j.claim.end) for j in judged])
        self._numbers: dict[int, list[int]] = {}
        self._written: set[int] = set()

    def space(self, gap: str) -> None:
        """The space before a sentence."""
        if self.text:
            self.text += "\n" if "\n" in gap else " "

    def sentence(self, sentence: Sentence, kept: Sequence[int]) -> None:
        """The kept clauses of a sentence."""
        for position, k in enumerate(kept):
            clause = sentence.clauses[k]
            if position == 0:
                self._clause(clause.start + (clause.opens_alone if k else 0), clause.end, capital=k > 0)
            else:
                after_head = position == 1 and sentence.has_head and kept[0] == 0
                self.text += ": " if after_head else clause.separator
                self._clause(clause.start, clause.end)
        self.text += sentence.stop

    def _clause(self, start: int, end: int, capital: bool = False) -> None:
        inside = [k for k, j in enumerate(self._judged) if start <= j.claim.start and j.claim.end <= end]
        self._written.update(inside)
        new = dict(filter(None, (_displayed(self._judged[k]) for k in inside)))
        after: dict[int, str] = {}
        for k in inside:
            item = self._judged[k]
            if item.verdict == "unsupported" and NOT_CONFIRMED not in after.get(item.claim.end, ""):
                after[item.claim.end] = NOT_CONFIRMED + after.get(item.claim.end, "")
        for k in inside:
            item = self._judged[k]
            if item.verdict == "supported":
                numbers = list(dict.fromkeys(self._numbering.number(e) for e in item.evidence[:MAX_CITATIONS]))
                self._numbers[k] = numbers
                at = next(b for a, b in self._clusters if a <= item.claim.start < b)
                marks = (f" [{n}]" for n in numbers)
                after[at] = after.get(at, "") + "".join(m for m in marks if m not in after.get(at, ""))
        k = start
        while k <= end:
            self._ends[k] = len(self.text)
            self.text += after.get(k, "")
            self._starts[k] = len(self.text)
            if k == end:
                break
            stop, words = new.get(k, (k + 1, self._source[k]))
            self.text += words.upper() if capital and k == start else words
            k = stop

    def claims(self) -> list[CheckedClaim]:
        """The claims of the text, and those left out of it that are not supported."""
        out = []
        for k, j in enumerate(self._judged):
            if k in self._written:
                a, b = self._starts[j.claim.start], self._ends[j.claim.end]
                numbers = self._numbers.get(k)
                out.append(CheckedClaim(self.text[a:b], a, b, j.verdict, numbers[0] if numbers else None, j.rule))
            elif j.verdict != "supported":
                out.append(CheckedClaim(j.claim.text, None, None, j.verdict, None, j.rule))
        return out


def _displayed(judged: JudgedClaim) -> tuple[int, tuple[int, str]] | None:
    """The place of a supported number in the source, and the cited value in its unit and with its decimals."""
    claim = judged.claim
    if judged.verdict != "supported" or judged.value is None or claim.value is None or not claim.present:
        return None
    if claim.relation != "=" or claim.high is not None:
        return None
    for match in reversed(list(NUMBER.finditer(claim.text.lower()))):
        digits = match["low"]
        unit = (match["unit"] or "").strip(" -")
        _, factor = UNITS.get(unit, ("", 1.0))
        displayed = float(digits) * factor
        scale = next((x for x in (1.0, 1e-3, 1e3) if math.isclose(displayed * x, abs(claim.value), rel_tol=1e-6)), None)
        if scale is None or not displayed:
            continue
        decimals = max(len(digits.partition(".")[2]), DECIMALS.get(unit, 0))
        at = claim.start + match.start("low")
        return at, (at + len(digits), f"{abs(judged.value) / factor / scale:.{decimals}f}")
    return None


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overlapping and touching spans as one."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out
