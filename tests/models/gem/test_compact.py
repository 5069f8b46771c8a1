"""The shipped compact GEM, without torch.

With evidence in its prompt it copies numbers and findings, within a second. Without, it writes those of its input.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agents.interpreter.gem_reader import COMPACT_FOLDER
from models.ecg import Ecg
from models.evaluation.ablations import INPUTS
from models.evaluation.code_judge import judge_text
from models.gem.engine import GemEngine
from models.gem.estimates import NOT_READABLE
from models.gem.prompt_context import FindingPredictor, build_prompt_context
from models.gem.request import GemAnswer, GemRequest
from models.grounding.ground import ground
from models.grounding.segment_measurements import measure_segment
from models.training.simulate import simulate

RATES = (48.0, 62.0, 77.0, 93.0, 118.0)
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


def _without_evidence(engine: GemEngine, ecg: Ecg, **given: object) -> str:
    return engine.submit(GemRequest(ecg, deadline_s=60.0, **given)).result(60.0).text  # type: ignore[arg-type]


def _sinus(rate: float) -> Ecg:
    made = simulate(
        np.random.default_rng(round(rate)), rhythm="sinus", conduction="normal", repolarisation="normal", rate=rate
    )
    return made.ecg


def _rate(text: str, ecg: Ecg) -> float:
    return next(float(j.claim.value or 0) for j in judge_text(text, ecg).numbers if j.claim.subject == "HR")


def test_without_evidence_the_rate_is_that_of_the_signal_or_of_the_page(engine: GemEngine, tmp_path: Path) -> None:
    for name in ("signal and page", "blank page", "page alone"):
        away = []
        for rate in RATES:
            ecg = _sinus(rate)
            shown = INPUTS[name](ecg, ecg, tmp_path)
            text = _without_evidence(engine, shown.ecg, page=shown.page, blank_page=shown.blank_page)
            away.append(abs(_rate(text, ecg) - rate))
            assert ("page cannot be read" in text) == (name == "blank page")
            assert ("signal cannot be read" in text) == (name == "page alone")
        assert sorted(away)[-2] <= 5.0, (name, away)


@pytest.mark.parametrize("evidence", [False, True])
@pytest.mark.parametrize("name", ["zero ECG", "noise", "zero ECG, blank page"])
def test_where_nothing_can_be_read_it_says_so_and_nothing_else(
    engine: GemEngine, name: str, evidence: bool, tmp_path: Path
) -> None:
    ecg = _sinus(77.0)
    shown = INPUTS[name](ecg, ecg, tmp_path)
    context = build_prompt_context(ecg, FindingPredictor.load())
    given = {"measurements": context.measurements, "descriptors": context.descriptors} if evidence else {}
    assert _without_evidence(engine, shown.ecg, blank_page=shown.blank_page, **given) == NOT_READABLE


def test_atrial_fibrillation_is_named_by_the_signal(engine: GemEngine) -> None:
    texts = [
        _without_evidence(engine, simulate(np.random.default_rng(k), rhythm=rhythm, conduction="normal").ecg)
        for rhythm in ("sinus", "afib")
        for k in range(6)
    ]
    found = ["atrial fibrillation" in text for text in texts]
    assert sum(found[6:]) >= 4 and sum(found[:6]) <= 1, texts
