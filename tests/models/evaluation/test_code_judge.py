"""The judge that is code: numbers against the measurement, diagnoses against the label, the same score every time."""

from __future__ import annotations

import numpy as np
import pytest

from models.corpus.rule_findings import findings_by_rule
from models.evaluation.baselines import LogisticBaseline
from models.evaluation.code_judge import ReportScores, diagnoses_of, judge_text
from models.finding_names import FINDINGS
from models.grounding.claim_extraction import extract_claims
from models.grounding.feature_vector import feature_vector
from models.grounding.segment_measurements import measure_segment
from models.training.simulate import simulate

NORMAL = {"conduction": "normal", "repolarisation": "normal"}


@pytest.fixture(scope="module")
def measured() -> object:
    return measure_segment(simulate(np.random.default_rng(1), rhythm="sinus", rate=80.0, **NORMAL).ecg)


def test_right_and_wrong_numbers_are_distinguished(measured) -> None:  # type: ignore[no-untyped-def]
    qrs, rate = measured.value("QRS"), measured.value("HR")
    scores = ReportScores()
    scores.add(judge_text(f"Rate {rate:.0f} bpm, QRS {qrs:.0f} ms.", measured.ecg, measured), {})
    scores.add(judge_text(f"Rate {rate + 20:.0f} bpm, QRS {qrs + 30:.0f} ms.", measured.ecg, measured), {})
    table = scores.table()
    assert (table["numbers"], table["numbers_right"], table["published_right"]) == (4, 0.5, 1.0)
    assert (table["supported"], table["contradicted"]) == (2, 2)


def test_a_number_in_the_right_bucket_of_10_ms() -> None:
    measured = measure_segment(simulate(np.random.default_rng(1), rhythm="sinus", rate=80.0, **NORMAL).ecg)
    low = measured.value("QT") // 10 * 10
    scores = ReportScores()
    scores.add(judge_text(f"QT {low + 1:.0f} ms.", measured.ecg, measured), {})
    scores.add(judge_text(f"QT {low - 5:.0f} ms.", measured.ecg, measured), {})
    assert scores.table()["bucket_10_ms"] == 0.5


@pytest.mark.parametrize(
    ("text", "predicted"),
    [
        ("Sinus bradycardia with first-degree AV block.", {"SINUS", "BRADY", "AVB1", "CD"}),
        ("Sinus rhythm, no left bundle branch block.", {"SINUS"}),
        ("Minor abnormality.", set()),
        ("Atrial flutter; RBBB.", {"AFIB", "RBBB", "CD"}),
    ],
)
def test_diagnoses_are_words_not_substrings(text: str, predicted: set[str]) -> None:
    assert diagnoses_of(extract_claims(text)) == predicted


def test_macro_f1_by_hand(measured) -> None:  # type: ignore[no-untyped-def]
    scores = ReportScores()
    scores.add(judge_text("Sinus rhythm. LBBB.", measured.ecg, measured), {"SINUS": True, "LBBB": False})
    scores.add(judge_text("Sinus rhythm.", measured.ecg, measured), {"SINUS": True, "LBBB": True})
    assert scores.f1("SINUS") == 1.0 and scores.f1("LBBB") == 0.0
    assert scores.macro_f1(["SINUS", "LBBB"]) == 0.5


def test_the_plain_baselines_see_what_is_plain() -> None:
    kinds = ["sinus", "afib"] * 10
    made = [simulate(np.random.default_rng([2, k]), rhythm=kind, **NORMAL) for k, kind in enumerate(kinds)]
    all_measured = [measure_segment(m.ecg) for m in made]
    x = np.stack([feature_vector(f) for f in all_measured])
    labels = np.array([[float(m.findings.get(f, np.nan)) for f in FINDINGS] for m in made], np.float32)
    afib = FINDINGS.index("AFIB")
    probability = LogisticBaseline.fit(x[:14], labels[:14]).probabilities(x[14:])[:, afib]
    assert probability[1::2].min() > probability[0::2].max()
    predicted = np.stack([findings_by_rule(f) for f in all_measured])[:, afib]
    assert predicted[0::2].max() == 0.0 and predicted[1::2].mean() >= 0.4  # the limits are sure rather than sensitive
