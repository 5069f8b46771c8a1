"""What a text carries of the findings: the more probable of two, a slow rate by what was found, and none is skipped."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.evidence import Evidence
from models.gem.also_found import also_found
from models.gem.conversation import GROUNDED_QUESTION
from models.gem.engine import GemEngine
from models.gem.prompt_context import FindingPredictor, build_prompt_context
from models.gem.request import GemRequest, ModelCard, Prepared
from models.grounding.prompt_measurements import consistent_findings, descriptors_with
from models.training.simulate import simulate
from tests.models.gem.noise import noise_ecg


def evidence(**values: float) -> list[Evidence]:
    return [Evidence(name, value, (), 0, 1) for name, value in values.items()]


NORMAL = evidence(HR=70.0, PR=160.0, QRS=95.0, QT=380.0)


@pytest.mark.parametrize(
    ("probability", "kept"),
    [
        ({"NORM": 0.8, "SINUS": 1.0, "CD": 0.4, "IRBBB": 0.3}, ["NORM", "SINUS"]),
        ({"NORM": 0.6, "SINUS": 1.0, "CD": 0.9, "IRBBB": 0.3}, ["CD", "SINUS", "IRBBB"]),
        (None, ["CD", "SINUS", "IRBBB"]),
    ],
)
def test_of_findings_that_exclude_each_other_the_more_probable_stands(
    probability: dict[str, float] | None, kept: list[str]
) -> None:
    assert consistent_findings({"NORM", "SINUS", "CD", "IRBBB"}, NORMAL, ("P waves", "regular"), probability) == kept


def test_a_measurement_has_the_last_word_on_a_normal_ecg() -> None:
    found = {"NORM": 0.9, "CD": 0.4}
    assert consistent_findings(found, NORMAL, ("wide QRS",), found) == ["CD"]


@pytest.mark.parametrize(
    ("bpm", "findings", "words"),
    [(55.0, [], ()), (55.0, ["BRADY"], ("slow rate",)), (49.0, [], ("slow rate",)), (50.2, ["SINUS"], ())],
)
def test_a_rate_of_50_to_60_is_slow_where_bradycardia_was_found(
    bpm: float, findings: list[str], words: tuple[str, ...]
) -> None:
    assert descriptors_with(findings, evidence(HR=bpm), ("slow rate",)) == words


def test_the_prompt_calls_a_rate_slow_as_its_findings_do() -> None:
    ecg = simulate(
        np.random.default_rng(4), rhythm="sinus", rate=55.0, conduction="normal", repolarisation="normal"
    ).ecg

    def prompt(found: dict[str, float] | None) -> tuple[str, ...]:
        predictor: Any = SimpleNamespace(predict=lambda ecg, measured: found)
        return build_prompt_context(ecg, None if found is None else predictor).descriptors

    assert isinstance(FindingPredictor.load(), FindingPredictor)
    assert (
        "slow rate" in prompt(None)
        and "slow rate" in prompt({"BRADY": 0.9})
        and "slow rate" not in prompt({"SINUS": 1.0})
    )


class Skipping:
    """A decoder whose answer names one of three findings."""

    slots, longest, eos, prefill = 1, 100, 2, 1
    card = ModelCard("skipping", "sha256:0", "fp32", "cpu")
    words = {5: "Conclusion:", 6: " atrial fibrillation."}

    def prompt(self, request: GemRequest) -> Prepared:
        findings = ("atrial fibrillation", "ST-T change", "bradycardia") if request.asks_for_all else ()
        return Prepared(None, remark="The page cannot be read.", findings=findings)

    def start(self, slot: int, prompt: Any) -> tuple[int, int]:
        self.left = [6, self.eos]
        return 5, 10

    def step(self, active: int) -> list[list[int]]:
        return [[self.left.pop(0)]]

    def move(self, source: int, target: int) -> None: ...

    def text(self, ids: list[int]) -> str:
        return "".join(self.words[k] for k in ids)


@pytest.mark.parametrize(
    ("question", "limit", "end"),
    [
        (GROUNDED_QUESTION, 50, " Also found: ST-T change, bradycardia."),
        ("What is the rhythm?", 50, ""),
        (GROUNDED_QUESTION, 2, ""),  # cut: what would follow is not known
    ],
)
def test_findings_that_the_model_skips_are_added(question: str, limit: int, end: str) -> None:
    engine, pieces = GemEngine(Skipping()), []
    try:
        request = GemRequest(noise_ecg(0), question, max_new_tokens=limit, deadline_s=30.0, on_text=pieces.append)
        text = engine.submit(request).result(30).text
    finally:
        engine.close()
    assert text == f"The page cannot be read. Conclusion: atrial fibrillation.{end}" and "".join(pieces).strip() == text


def test_a_short_name_inside_a_longer_one_does_not_count() -> None:
    titles = ["right bundle branch block", "incomplete right bundle branch block"]
    assert (
        also_found("Conclusion: incomplete right bundle branch block.", titles)
        == "Also found: right bundle branch block."
    )
    assert also_found(f"Conclusion: {', '.join(titles)}.", titles) == ""
