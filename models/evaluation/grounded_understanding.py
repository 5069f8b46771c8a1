"""Grounded ECG Understanding: scores of an LLM judge's answer as the reference aggregates them, and strictly.

The judge answers with a JSON object: for each dimension a list of entries with a score. The reference's aggregation
counts a half-right diagnosis as right and does not clip the accuracy of leads; its prompt file and its
notebook name two dimensions differently, so that these are lost. `reference_scores` keeps this behaviour;
`strict_scores` counts halves as halves, clips, and accepts both names.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LEADS = 12
FULL_LEAD_POINTS = 24  # two for each lead
DIMENSIONS = (
    "DiagnosisAccuracy",
    "AnalysisCompleteness",
    "AnalysisRelevance",
    "LeadAssessmentCoverage",
    "LeadAssessmentAccuracy",
    "ECGFeatureGrounding",
    "EvidenceBasedReasoning",
    "ClinicalDiagnosticFidelity",
)
OLD_NAMES = {
    "GroundedECGUnderstanding": "ECGFeatureGrounding",
    "RealisticDiagnosticProcess": "ClinicalDiagnosticFidelity",
}

JudgeAnswer = Mapping[str, Sequence[Mapping[str, Any]]]
DimensionScores = dict[str, float | None]


def parse_judge_answer(text: str) -> dict[str, list[dict[str, Any]]]:
    """The JSON object in a judge's answer: fences and text around it are dropped, ``+2`` is read as 2.

    Raises
    ------
    ValueError
        There is no JSON object in it.
    """
    found = re.search(r"\{.*\}", text, re.DOTALL)
    if not found:
        raise ValueError(f"the judge's answer holds no JSON object: {text[:80]!r}")
    repaired = re.sub(r'("Score"\s*:\s*)\+(\d)', r"\1\2", found[0])
    repaired = re.sub(r",(\s*[\]}])", r"\1", repaired)  # judges leave a comma after the last entry
    try:
        document: dict[str, list[dict[str, Any]]] = json.loads(repaired)
    except json.JSONDecodeError:
        document = _python_literal(repaired)
    return document


def points(answer: JudgeAnswer, dimension: str) -> list[float] | None:
    """The scores of a dimension; None where the judge did not give it."""
    entries = answer.get(dimension)
    return None if entries is None else [float(entry["Score"]) for entry in entries]


def reference_scores(answer: JudgeAnswer) -> DimensionScores:
    """One record's scores by the reference's own aggregation."""
    return {name: None if (p := points(answer, name)) is None else _aggregate(name, p) for name in DIMENSIONS}


def strict_scores(answer: JudgeAnswer) -> DimensionScores:
    """The same with halves counted as halves, leads clipped to twelve, and the prompt file's names understood."""
    renamed = {OLD_NAMES.get(name, name): entries for name, entries in answer.items()}
    out: DimensionScores = {}
    for name in DIMENSIONS:
        p = points(renamed, name)
        if p is not None and name == "DiagnosisAccuracy":
            out[name] = 100 * sum(p) / (2 * len(p)) if p else 0.0
        elif p is not None and name == "LeadAssessmentAccuracy":
            out[name] = 100 * min(sum(p), FULL_LEAD_POINTS) / FULL_LEAD_POINTS
        else:
            out[name] = None if p is None else _aggregate(name, p)
    return out


def mean_scores(records: Iterable[DimensionScores]) -> DimensionScores:
    """Mean over the records that have a dimension, rounded to two digits."""
    records = list(records)
    out: DimensionScores = {}
    for name in DIMENSIONS:
        values = [value for r in records if (value := r.get(name)) is not None]
        out[name] = round(sum(values) / len(values), 2) if values else None
    return out


def _python_literal(text: str) -> dict[str, list[dict[str, Any]]]:
    """An answer in Python's notation (single quotes); literals only, nothing is evaluated."""
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"the judge's answer holds no JSON object: {text[:80]!r}") from error
    if not isinstance(value, dict):
        raise ValueError(f"the judge's answer holds no JSON object: {text[:80]!r}")
    return value


def _aggregate(name: str, p: list[float]) -> float:
    if name == "DiagnosisAccuracy":
        return 100 * sum(x > 0 for x in p) / len(p) if p else 0.0
    if name == "LeadAssessmentCoverage":
        return 100 * min(sum(p), LEADS) / LEADS
    if name == "LeadAssessmentAccuracy":
        return 100 * sum(p) / FULL_LEAD_POINTS
    return sum(p)
