"""Grounded ECG Understanding: verdicts are read with their usual blemishes, and scored both ways."""

from __future__ import annotations

import json

import pytest

from models.evaluation.grounded_understanding import (
    mean_scores,
    parse_judge_answer,
    points,
    reference_scores,
    strict_scores,
)


def entries(*scores: int) -> list[dict[str, int]]:
    return [{"Score": s} for s in scores]


def test_fences_plus_signs_and_a_last_comma_are_read() -> None:
    answer = parse_judge_answer(
        'Here it is:\n```json\n{"DiagnosisAccuracy": [{"Score": +2, "Explanation": "ok"},]}\n```'
    )
    assert points(answer, "DiagnosisAccuracy") == [2.0]


def test_single_quotes_are_read_and_code_is_not_run() -> None:
    assert points(parse_judge_answer("{'EvidenceBasedReasoning': [{'Score': 50}]}"), "EvidenceBasedReasoning") == [50.0]
    with pytest.raises(ValueError, match="holds no JSON object"):
        parse_judge_answer("{'EvidenceBasedReasoning': __import__('os').getcwd()}")


def test_an_answer_without_json_is_an_error() -> None:
    with pytest.raises(ValueError, match="holds no JSON object: 'I cannot judge'"):
        parse_judge_answer("I cannot judge")


def test_a_half_right_diagnosis_is_right_for_the_reference_and_half_when_strict() -> None:
    answer = {"DiagnosisAccuracy": entries(1, 1, 2, 0)}
    assert reference_scores(answer)["DiagnosisAccuracy"] == 75.0
    assert strict_scores(answer)["DiagnosisAccuracy"] == 50.0


def test_fourteen_leads_pass_100_percent_for_the_reference_only() -> None:
    answer = {"LeadAssessmentCoverage": entries(*[1] * 14), "LeadAssessmentAccuracy": entries(*[2] * 14)}
    assert reference_scores(answer)["LeadAssessmentCoverage"] == 100.0
    assert reference_scores(answer)["LeadAssessmentAccuracy"] == pytest.approx(116.67, abs=0.01)
    assert strict_scores(answer)["LeadAssessmentAccuracy"] == 100.0


def test_the_prompt_files_own_names_are_lost_for_the_reference_only() -> None:
    answer = parse_judge_answer(json.dumps({"GroundedECGUnderstanding": entries(80)}))
    assert reference_scores(answer)["ECGFeatureGrounding"] is None
    assert strict_scores(answer)["ECGFeatureGrounding"] == 80


def test_the_mean_passes_over_records_that_lack_a_dimension() -> None:
    scores = [reference_scores({"EvidenceBasedReasoning": entries(s)}) for s in (50, 81)] + [reference_scores({})]
    assert mean_scores(scores)["EvidenceBasedReasoning"] == 65.5
    assert mean_scores(scores)["DiagnosisAccuracy"] is None
