"""Parity of the metrics: ECG-Bench scores, and grounded_understanding-understanding scores of a judge's verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from models.evaluation import ecgbench, grounded_understanding
from models.evaluation.comparison import Comparison

METRIC = 1e-9  # the metrics are exact; a sum's order may move the last digits


def compare_ecgbench(folder: Path, to: Comparison) -> None:
    """ECG-Bench metrics, quirks and all."""
    expected = json.loads((folder / "ecgbench.json").read_text())
    if "extract" in expected:
        texts, letters = zip(*expected["extract"], strict=True)
        to.same("extract", [ecgbench.option_letter(text) for text in texts], letters)
    for name, case in expected.get("f1_auc", {}).items():
        ours = ecgbench.multi_label(case["labels"], case["y_true"], case["y_pred"])
        to.near(f"f1_auc.{name}", ours, [case["f1"], case["auc"], case["hamming"]], METRIC)
    for name, (labels, find) in ecgbench.TASKS.items():
        if name in expected:
            cases = expected[name]["cases"]
            true, predicted_labels = [find(golden) for _, golden, _ in cases], [find(text) for *_, text in cases]
            s = ecgbench.multi_label(labels, true, predicted_labels)
            printed = (
                f"f1 {s.f1 * 100:.1f} auc {s.auc * 100:.1f} hl {s.hamming * 100:.1f}",
                f"F1: {s.f1:.4f}, AUC: {s.auc:.4f}",
            )
            to.same(name, [part in expected[name]["stdout"] for part in printed], [True, True])
    if "ecgqa" in expected:
        share = ecgbench.accuracy([ecgbench.ecgqa_right(*case[1:]) for case in expected["ecgqa"]["cases"]])
        to.same("ecgqa", [f"Accuracy: {share:.4f}" in expected["ecgqa"]["stdout"]], [True])


def compare_grounding(folder: Path, to: Comparison) -> None:
    """Judges' answers parsed, scored and averaged."""
    expected = json.loads((folder / "grounding_scores.json").read_text())
    answers = {name: _judge_answer(text) for name, text in expected["raw_judge_outputs"].items()}
    scores = {name: grounded_understanding.reference_scores(answer) for name, answer in answers.items()}
    for name, dimensions in expected.get("parsed", {}).items():
        to.same(
            f"parsed.{name}",
            [grounded_understanding.points(answers[name], d) for d in dimensions],
            [dimensions[d]["Scores"] for d in dimensions],
        )
    for name, theirs in expected["per_id"].items():
        to.near(f"per_id.{name}", _numbers(scores[name]), _numbers(theirs), METRIC)
    to.near("final", _numbers(grounded_understanding.mean_scores(scores.values())), _numbers(expected["final"]), METRIC)


def _judge_answer(text: str) -> grounded_understanding.JudgeAnswer:
    """A judge's answer; empty where it cannot be parsed."""
    try:
        return grounded_understanding.parse_judge_answer(text)
    except ValueError:
        return {}


def _numbers(scores: dict[str, float | None]) -> list[float]:
    return [np.nan if (v := scores.get(name)) is None else float(v) for name in grounded_understanding.DIMENSIONS]
