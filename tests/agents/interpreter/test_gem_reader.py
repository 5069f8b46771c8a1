"""Which GEM is loaded, and when there is none: the shipped one without torch, and never for a fold that it saw."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from agents.interpreter.gem_reader import EngineReader, load_gem
from agents.settings import Settings
from models.evidence import Evidence
from models.gem.errors import GemUnavailable
from models.gem.estimates import NOT_READABLE
from models.gem.request import GemAnswer, GemRequest, ModelCard
from models.grounding.segment_measurements import measure_segment
from models.training.simulate import simulate


def test_the_shipped_gem_reads_a_segment_and_refuses_a_flat_one() -> None:
    async def read() -> str:
        gem = load_gem(Settings(device="cpu"))
        assert gem.independent_leads == 1 and gem.identity.name == "gem-compact"
        ecg = simulate(np.random.default_rng(7), rhythm="sinus", rate=80.0).ecg
        try:
            text, seconds = await gem.read(ecg, (), measure_segment(ecg), deadline_s=30.0, priority="PM", tokens=256)
            assert seconds < 3.0
            ecg.mv[:] = 0.0
            with pytest.raises(GemUnavailable, match="none can be measured") as rejected:
                await gem.read(ecg, (), measure_segment(ecg), deadline_s=30.0, priority="PM", tokens=256)
            assert not rejected.value.lasting
        finally:
            await gem.close()
        return text

    assert "bpm" in asyncio.run(read())


@pytest.mark.parametrize(("asked", "precision"), [("auto", "fp32"), ("bf16", "bf16")])
def test_the_precision_of_the_settings_is_used(asked: str, precision: str) -> None:
    gem = load_gem(Settings(device="cpu", gem_precision=asked))
    assert gem.identity.precision == precision
    asyncio.run(gem.close())


@pytest.mark.parametrize("fold", [0, 3])
def test_a_fold_that_it_was_trained_on_gets_no_answer(fold: int) -> None:
    with pytest.raises(GemUnavailable, match=f"trained on fold {fold}"):
        load_gem(Settings(device="cpu", fold=fold))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(GemUnavailable, match="no-gem"):
        load_gem(Settings(model=tmp_path / "no-gem"))


class Records:
    """In place of the engine of the published GEM, whose weights are not here: keeps the questions."""

    card = ModelCard("gem", "sha256:0", "bf16", "cuda")

    def __init__(self, text: str = "The rate is fast.") -> None:
        self.questions: list[str] = []
        self.text = text

    async def answer(self, request: GemRequest) -> GemAnswer:
        self.questions.append(request.question_with_context)
        return GemAnswer(self.text, 5, "stop", 0.1, 0.1)


def test_the_question_names_the_alarm_and_its_evidence() -> None:
    engine, given = Records(), [Evidence("HR", 131.2, ("II",), 100, 2000)]
    reader = EngineReader(engine)  # type: ignore[arg-type]
    ecg = simulate(np.random.default_rng(7), rhythm="sinus", rate=131.0).ecg
    measured = measure_segment(ecg)
    for code, own in (("TACHY", given), ("INTERPRETATION", [])):
        asyncio.run(reader.read(ecg, own, measured, deadline_s=30.0, priority="PM", tokens=256, code=code))
    assert engine.questions[0] == engine.questions[1] + "\nAlarm: Tachycardia; HR 131 bpm in II."


def test_an_answer_that_finds_no_ecg_gives_way_to_the_rule_based_report() -> None:
    reader = EngineReader(Records(NOT_READABLE))  # type: ignore[arg-type]
    ecg = simulate(np.random.default_rng(7), rhythm="sinus", rate=80.0).ecg
    with pytest.raises(GemUnavailable, match="finds no ECG") as rejected:
        asyncio.run(reader.read(ecg, [], measure_segment(ecg), deadline_s=30.0, priority="PM", tokens=256))
    assert not rejected.value.lasting
