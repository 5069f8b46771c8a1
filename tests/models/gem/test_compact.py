"""The shipped compact GEM, without torch: it copies the numbers and findings of its prompt, within a second."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from agents.interpreter.gem_reader import COMPACT_FOLDER
from models.ecg import Ecg
from models.evaluation.code_judge import judge_text
from models.gem.engine import GemEngine
from models.gem.prompt_context import FindingPredictor, build_prompt_context
from models.gem.request import GemAnswer, GemRequest
from models.grounding.ground import ground
from models.grounding.segment_measurements import measure_segment
from models.training.simulate import simulate

KINDS = (("sinus", "normal"), ("afib", "normal"), ("avb1", "normal"), ("sinus", "lbbb"), ("sinus", "rbbb"))


@pytest.fixture(scope="module")
def engine() -> Iterator[GemEngine]:
    engine = GemEngine.load(COMPACT_FOLDER, "cpu", runtime="onnx", threads=1)
    yield engine
    engine.close()


def _asked(engine: GemEngine, ecg: Ecg) -> GemAnswer:
    context = build_prompt_context(ecg, FindingPredictor.load())
    request = GemRequest(
        ecg,
        measurements=context.measurements,
        descriptors=context.descriptors,
        findings=context.findings,
        deadline_s=60.0,
    )
    return engine.submit(request).result(60.0)


@pytest.mark.parametrize(("rhythm", "conduction"), KINDS)
def test_numbers_are_those_that_were_measured_and_claims_are_cited(
    engine: GemEngine, rhythm: str, conduction: str
) -> None:
    ecg = simulate(np.random.default_rng(11), rhythm=rhythm, conduction=conduction, repolarisation="normal").ecg
    measured = measure_segment(ecg)
    answer = _asked(engine, ecg)
    judged = judge_text(answer.text, ecg, measured)
    assert answer.finish == "stop" and len(judged.numbers) >= 3
    assert all(j.verdict == "supported" for j in judged.numbers)
    interpretation = ground(answer.text, ecg, measured=measured)
    assert interpretation.source == "gem" and len(interpretation.evidence) >= 3 and "[1]" in interpretation.text


def test_what_the_heads_found_is_concluded(engine: GemEngine) -> None:
    ecg = simulate(np.random.default_rng(4), rhythm="sinus", conduction="lbbb", repolarisation="normal").ecg
    assert "left bundle branch block" in _asked(engine, ecg).text


def test_an_answer_takes_less_than_three_seconds(engine: GemEngine) -> None:
    ecg = simulate(np.random.default_rng(12), rhythm="sinus").ecg
    assert min(_asked(engine, ecg).seconds for _ in range(3)) < 3.0


def test_a_bed_with_one_lead_is_read_too(engine: GemEngine) -> None:
    ecg = simulate(np.random.default_rng(13), rhythm="sinus", rate=72.0).ecg.select(("II",))
    judged = judge_text(_asked(engine, ecg).text, ecg)
    assert judged.numbers and all(j.verdict == "supported" for j in judged.numbers)
