"""Judges of free texts: an LLM behind an OpenAI-compatible endpoint, or the code judge, which needs no network.

A judge gets a `JudgeCase` and returns the text of a JSON object: for ``grounding`` the eight dimensions with their
entries (`models.evaluation.grounded_understanding`), for ``report`` and ``arena`` a number from 0 to 10 for each
dimension, null where the judge cannot decide. The code judge reads the claims of both texts and checks those of the
answer by the measurements of the signal, so that the same text always gets the same score.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

from models.ecg import Ecg
from models.evaluation.code_judge import diagnoses_of, judge_text
from models.evaluation.judge_prompts import ARENA, GROUNDING, REPORT
from models.grounding.citations import without_markup
from models.grounding.claim_extraction import extract_claims
from models.grounding.claims import ExtractedClaim
from models.grounding.verdicts import JudgedClaim
from models.leads import STANDARD_12

JudgeKind = Literal["grounding", "report", "arena"]
PROMPTS: Mapping[JudgeKind, str] = {"grounding": GROUNDING, "report": REPORT, "arena": ARENA}
REPORT_DIMENSIONS = ("Diagnosis", "Waveform", "Rhythm")
ARENA_DIMENSIONS = ("Accuracy", "Completeness", "Instruction Adherence")
TIMEOUT_S = 120.0  # a judge writes a page; a longer silence is a lost connection
TRIES, PAUSE_S = 4, 2.0  # rate limits pass within seconds
_RETRIED = (408, 409, 429, 500, 502, 503, 504)

FEATURES: Mapping[str, frozenset[str]] = {
    "rate": frozenset({"HR", "RR", "RATE_NORMAL", "BRADY", "TACHY", "SINUS_BRADY", "SINUS_TACHY"}),
    "rhythm": frozenset(
        {"SINUS", "AFIB", "AFLUT", "PACED", "REGULAR", "SINUS_ARRHYTHMIA", "SVT", "VTACH", "VFIB", "ASYSTOLE"}
    ),
    "P": frozenset({"P", "P_WAVES", "P_INVERTED"}),
    "PR": frozenset({"PR", "PR_LONG", "PR_NORMAL", "PR_SHORT", "AVB1", "AVB2", "AVB3"}),
    "QRS": frozenset(
        {"QRS", "QRS_WIDE", "LBBB", "RBBB", "IRBBB", "LAFB", "Q_WAVES", "LVH", "LOW_VOLTAGE", "R_PROGRESSION_POOR"}
    ),
    "ST": frozenset({"ST", "ST_ELEVATED", "ST_DEPRESSED", "ST_CHANGED"}),
    "T": frozenset({"T", "T_INVERTED", "T_FLAT", "T_TALL"}),
    "QT": frozenset({"QT", "QTc", "QTcF", "QT_LONG", "QT_SHORT"}),
    "axis": frozenset({"AXIS", "AXIS_LEFT", "AXIS_RIGHT", "AXIS_NORMAL"}),
}
"""Features of an analysis, and the subjects of claims that speak of them."""
ORDER = ("rate", "rhythm", "PR", "QRS", "ST", "T", "QT")
"""A clinician's order."""
GRADES = ((0.999, 100), (0.75, 80), (0.25, 50), (0.0, 0))
"""Share of what holds, and its grade on the reference's scale."""


class JudgeError(RuntimeError):
    """The judge cannot be asked, or gave no answer; the message says which."""


@dataclass(frozen=True, slots=True)
class JudgeCase:
    """One answer to be judged.

    Attributes
    ----------
    kind : {"grounding", "report", "arena"}
    question, reference, answer : str
    ecg : Ecg or None
        The signal, for the code judge.
    """

    kind: JudgeKind
    question: str
    reference: str
    answer: str
    ecg: Ecg | None = None


class Judge(Protocol):
    """Gives the JSON text of its scores for a case; ``name`` identifies it in tables."""

    name: str

    def __call__(self, case: JudgeCase) -> str:
        """Scores as JSON text. Raises JudgeError."""


class EndpointJudge:
    """An LLM behind ``POST <url>/chat/completions``.

    Parameters
    ----------
    url : str
        Base URL of an OpenAI-compatible service (``https://host/v1``).
    model : str
        Name of the judging model.
    key : str
        API key; never part of a message or file.
    sleep : callable
        Waits so many seconds between tries.
    """

    def __init__(self, url: str, model: str, key: str = "", *, sleep: Callable[[float], None] = time.sleep) -> None:
        import httpx

        self.name = model
        self._sleep = sleep
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=url.rstrip("/") + "/", headers=headers, timeout=TIMEOUT_S)

    def __call__(self, case: JudgeCase) -> str:
        """The judge's words; asked again after a rate limit or an error of the server."""
        import httpx

        prompt = PROMPTS[case.kind].format(question=case.question, reference=case.reference, answer=case.answer)
        body = {"model": self.name, "messages": [{"role": "user", "content": prompt}], "temperature": 0}
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                self._sleep(PAUSE_S * 2 ** (attempt - 1))
            try:
                response = self._client.post("chat/completions", json=body)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
                continue
            if response.status_code in _RETRIED:
                problem = f"status {response.status_code}"
                continue
            if response.status_code != 200:
                raise JudgeError(f"the judge {self.name} answers {response.status_code}: {response.text[:200]}")
            try:
                return str(response.json()["choices"][0]["message"]["content"])
            except (ValueError, LookupError, TypeError) as error:
                raise JudgeError(f"the judge {self.name} answers without choices: {response.text[:200]}") from error
        raise JudgeError(f"the judge {self.name} did not answer {TRIES} times ({problem})")


class CodeJudge:
    """Judge by claims and measurements."""

    name = "code"

    def __call__(self, case: JudgeCase) -> str:
        """Scores of a case."""
        reference = extract_claims(without_markup(case.reference))
        judged = _judged(case)
        if case.kind == "grounding":
            return json.dumps(_grounding(reference, judged))
        numbers = _report(reference, judged) if case.kind == "report" else _arena(reference, judged, case.answer)
        return json.dumps(numbers)


def parse_numbers(text: str, dimensions: Sequence[str]) -> dict[str, float | None]:
    """Scores from 0 to 10 in a judge's JSON object.

    >>> parse_numbers('scores: {"Diagnosis": 8, "Waveform": 12, "Rhythm": null}', REPORT_DIMENSIONS)
    {'Diagnosis': 8.0, 'Waveform': 10.0, 'Rhythm': None}

    Raises
    ------
    ValueError
        There is no JSON object in it, or a dimension is missing.
    """
    found = re.search(r"\{.*\}", text, re.DOTALL)
    if not found:
        raise ValueError(f"the judge's answer holds no JSON object: {text[:80]!r}")
    document = json.loads(found[0])
    missing = [name for name in dimensions if name not in document]
    if missing:
        raise ValueError(f"the judge's answer lacks {', '.join(missing)}")
    return {n: None if document[n] is None else min(10.0, max(0.0, float(document[n]))) for n in dimensions}


def _judged(case: JudgeCase) -> list[JudgedClaim]:
    if case.ecg is not None:
        return list(judge_text(case.answer, case.ecg).judged)
    return [JudgedClaim(c, "unsupported", "no signal") for c in extract_claims(without_markup(case.answer))]


def _grounding(reference: Sequence[ExtractedClaim], judged: Sequence[JudgedClaim]) -> dict[str, list[dict[str, Any]]]:
    claims = [j.claim for j in judged]
    asserted, wanted = diagnoses_of(claims), sorted(diagnoses_of(reference))
    there, asked = _features(claims), _features(reference)
    right = [j for j in judged if j.verdict == "supported"]
    wrong = [j for j in judged if j.verdict == "contradicted"]
    of_lead = {lead: [j for j in judged if lead in j.claim.leads] for lead in STANDARD_12}
    findings = [j for j in judged if j.claim.kind == "finding" and j.claim.present]
    with_evidence = [j for j in findings if j.verdict == "supported" and j.evidence]
    order = [ORDER.index(f) for f in _in_order(claims) if f in ORDER]
    pairs = list(pairwise(order))
    ordered = sum(a < b for a, b in pairs) / len(pairs) if pairs else 0.0
    return {
        "DiagnosisAccuracy": [_entry(2 if f in asserted else 0, f) for f in wanted],
        "AnalysisCompleteness": [_entry(int(f in there), f) for f in sorted(asked)],
        "AnalysisRelevance": [
            _entry({"supported": 2, "unsupported": 1, "contradicted": 0}[j.verdict], j.claim.subject) for j in judged
        ],
        "LeadAssessmentCoverage": [_entry(int(bool(of_lead[lead])), lead) for lead in STANDARD_12],
        "LeadAssessmentAccuracy": [_entry(_lead_score(of_lead[lead]), lead) for lead in STANDARD_12],
        "ECGFeatureGrounding": [_entry(_grade(len(right), len(judged)), f"{len(right)} of {len(judged)} claims")],
        "EvidenceBasedReasoning": [
            _entry(_grade(len(with_evidence), len(findings)), f"{len(with_evidence)} of {len(findings)} findings")
        ],
        "ClinicalDiagnosticFidelity": [_entry(0 if wrong else _grade(ordered, 1.0), f"{len(wrong)} contradictions")],
    }


def _report(reference: Sequence[ExtractedClaim], judged: Sequence[JudgedClaim]) -> dict[str, float | None]:
    claims = [j.claim for j in judged]
    waves = frozenset().union(*(FEATURES[f] for f in ("P", "PR", "QRS", "ST", "T", "QT", "axis")))
    rhythm = FEATURES["rate"] | FEATURES["rhythm"]
    return {
        "Diagnosis": _f1(diagnoses_of(claims), diagnoses_of(reference)),
        "Waveform": _f1(_asserted(claims, waves), _asserted(reference, waves)),
        "Rhythm": _f1(_asserted(claims, rhythm), _asserted(reference, rhythm)),
    }


def _arena(reference: Sequence[ExtractedClaim], judged: Sequence[JudgedClaim], answer: str) -> dict[str, float | None]:
    claims = [j.claim for j in judged]
    everything = frozenset().union(*FEATURES.values())
    ours, theirs = _asserted(claims, everything), _asserted(reference, everything)
    ours, theirs = ours | diagnoses_of(claims), theirs | diagnoses_of(reference)
    recall = 10 * len(ours & theirs) / len(theirs) if theirs else None
    return {"Accuracy": _f1(ours, theirs), "Completeness": recall, "Instruction Adherence": 0.0 if not answer else None}


def _asserted(claims: Iterable[ExtractedClaim], subjects: frozenset[str]) -> frozenset[str]:
    """Findings that are asserted, and subjects of numbers, among the subjects."""
    return frozenset(c.subject for c in claims if c.subject in subjects and c.present)


def _f1(ours: frozenset[str], theirs: frozenset[str]) -> float | None:
    """F1 times ten; None where the reference states nothing."""
    return 20 * len(ours & theirs) / (len(ours) + len(theirs)) if theirs else None


def _features(claims: Iterable[ExtractedClaim]) -> set[str]:
    return {name for c in claims for name, subjects in FEATURES.items() if c.subject in subjects}


def _in_order(claims: Iterable[ExtractedClaim]) -> list[str]:
    """Features in the order in which the text first speaks of them."""
    out: list[str] = []
    for c in claims:
        out += [name for name, subjects in FEATURES.items() if c.subject in subjects and name not in out]
    return out


def _lead_score(judged: Sequence[JudgedClaim]) -> int:
    if not judged or any(j.verdict == "contradicted" for j in judged):
        return 0
    return 2 if all(j.verdict == "supported" for j in judged) else 1


def _grade(part: float, whole: float) -> int:
    share = part / whole if whole else 0.0
    return next(grade for least, grade in GRADES if share >= least)


def _entry(score: int, explanation: str) -> dict[str, Any]:
    return {"Score": score, "Explanation": explanation}
