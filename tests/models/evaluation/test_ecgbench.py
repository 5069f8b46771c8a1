"""ECG-Bench scores: the reference's quirks under the plain names, what was meant under the strict ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, hamming_loss, roc_auc_score

from models.evaluation.ecgbench import (
    PTB_LABELS,
    code15_labels,
    ecgqa_right,
    find_labels,
    multi_label,
    option_letter,
    prompt_options,
    strict_ecgqa_right,
    strict_labels,
    strict_letter,
)


def test_the_scores_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    true, predicted = rng.random((80, 5)) < 0.4, rng.random((80, 5)) < 0.5
    as_lists = [[[PTB_LABELS[k] for k in np.flatnonzero(row)] for row in table] for table in (true, predicted)]
    ours = multi_label(PTB_LABELS, *as_lists)
    assert ours.f1 == pytest.approx(f1_score(true, predicted, average="macro"))
    assert ours.auc == pytest.approx(roc_auc_score(true, predicted, average="macro"))
    assert ours.hamming == pytest.approx(hamming_loss(true, predicted))


def test_a_label_that_is_never_there_has_no_auc() -> None:
    assert math.isnan(multi_label(["A", "B"], [["A"], []], [["A"], ["B"]]).auc)


@pytest.mark.parametrize(
    ("text", "reference", "strict"),
    [
        ("ABNORMAL: CD, HYP", ["NORM", "CD", "HYP"], ["CD", "HYP"]),
        ("MINOR changes, HYPERTROPHY", ["MI", "HYP"], []),
        ("hyp and cd", [], ["CD", "HYP"]),
    ],
)
def test_labels_inside_words_count_for_the_reference_only(text: str, reference: list[str], strict: list[str]) -> None:
    assert find_labels(text, PTB_LABELS) == reference
    assert strict_labels(text, PTB_LABELS) == strict


def test_code15_reads_what_follows_answer_and_takes_abnormal_before_norm() -> None:
    assert code15_labels("LBBB. Answer: ABNORMAL, AF") == ["ABNORMAL", "AF"]


@pytest.mark.parametrize(
    ("text", "reference", "strict"),
    [
        ("C. Left axis deviation", "C", "C"),
        ("The ECG. shows", "G", None),
        ("I think A. or B.", "A", None),
        ("Lead V1. A. Yes", "A", "A"),
        ("Answer: CANNOT", "A", None),
        ("option (C)", None, "C"),
        ("", None, None),
        ("The correct option is D", "D", "D"),
    ],
)
def test_option_letters(text: str, reference: str | None, strict: str | None) -> None:
    assert (option_letter(text), strict_letter(text)) == (reference, strict)


@pytest.mark.parametrize(
    ("golden", "options", "text", "reference", "strict"),
    [
        ("lead I", "lead I, lead II, lead III", "lead II", True, False),
        ("on", "yes, no", "no", True, False),
        ("no", "yes, no, not sure", "no", True, True),
        ("not sure", "yes, no, not sure", "I am not sure", True, True),
        ("yes", "yes, no", "no", False, False),
    ],
)
def test_an_answer_of_ecg_qa(golden: str, options: str, text: str, reference: bool, strict: bool) -> None:
    prompt = f"Is it? Options: {options}. Only answer based on the given Options without any explanation."
    assert prompt_options(prompt) == options.split(", ")
    assert ecgqa_right(golden, prompt, text) is reference
    assert strict_ecgqa_right(golden, prompt, text) is strict
