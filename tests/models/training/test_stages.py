"""The compact GEM's stages in tiny runs: a tokenizer of whole numbers, steps that learn, a folder that loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.gem.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from models.training.align import diagnosis_example, projectors, sampling_weights  # noqa: E402
from models.training.conversations import Example, StageConfig, collate, fit_stage  # noqa: E402
from models.training.labelled_records import LabelledRecord, simulated_labelled_records  # noqa: E402
from models.training.language import number_accuracy, open_stage, text_examples  # noqa: E402
from models.training.simulate import simulate  # noqa: E402


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    work = tmp_path_factory.mktemp("gem")
    return (*open_stage(work, 1), work)


def test_a_number_is_one_piece_and_any_text_comes_back(stage: tuple) -> None:
    tokenizer = stage[1].tokenizer
    text = "The PR interval is 164 ms. Größe ♥ 1234 -0.15 mV in aVL"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    same = [len(tokenizer.encode(f"HR {number} bpm")) for number in ("7", "64", "164", "799", "0.15", "-1.07")]
    assert len(set(same)) == 1


def test_the_loss_is_taken_on_answers_alone(stage: tuple) -> None:
    processor = stage[1]
    example = text_examples(processor, np.random.default_rng(0), 1)[0]
    answer = processor.tokenizer.decode([t for t in example.labels if t >= 0])
    assert "USER" not in answer and "bpm;" not in answer and answer.rstrip().endswith(".")  # nothing of the prompt


def test_a_few_steps_lower_the_loss_and_a_stopped_stage_goes_on(stage: tuple) -> None:
    model, processor, work = stage
    batch = collate(text_examples(processor, np.random.default_rng(9), 4))

    def loss() -> float:
        with torch.no_grad():
            return float(model(**{k: v for k, v in batch.items() if v is not None}).loss)

    before = loss()
    named = [p for n, p in model.named_parameters() if "tower" not in n]
    course = StageConfig("language", 8, 4, lr=3e-3, warm_up=2, save_every=4)
    fit_stage(model, course, lambda rng, n: text_examples(processor, rng, n), work, named, lambda m: {"x": 0.0})
    assert loss() < before - 0.5
    fit_stage(model, course, lambda rng, n: pytest.fail("all steps are done"), work, named, lambda m: {"x": 0.0})
    assert 0.0 <= number_accuracy(model, processor, 1)["numbers"] <= 1.0


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledRecord]:
    return simulated_labelled_records(6, 4, tmp_path_factory.mktemp("measured") / "measured.json")


def test_alignment_moves_the_projectors_and_nothing_else(stage: tuple, records: list[LabelledRecord]) -> None:
    model, processor, work = stage
    record = next(t for t in records if diagnosis_example(processor, t, np.random.default_rng(0)) is not None)
    before = {k: v.clone() for k, v in model.state_dict().items()}

    def draw(rng: np.random.Generator, n: int) -> list[Example]:
        examples = [diagnosis_example(processor, record, rng) for _ in range(n)]
        assert all(e is not None and e.ecg is not None and e.ecg.shape == (12, 5000) for e in examples)
        return [e for e in examples if e is not None]

    fit_stage(
        model, StageConfig("align", 2, 2, lr=1e-2, warm_up=1), draw, work, projectors(model), lambda m: {"x": 0.0}
    )
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved and all("projector" in name for name in moved)


def test_the_folder_written_is_a_gem_that_answers(stage: tuple, tmp_path: Path) -> None:
    model, processor, work = stage
    save_checkpoint(tmp_path, model, work / "tokenizer.model")
    again = load_checkpoint(tmp_path)
    made = simulate(np.random.default_rng(2))
    ids = again.generate(**processor([made.ecg], ["What is the rhythm?"]), max_new_tokens=5, do_sample=False)
    assert ids.shape[0] == 1 and again.config.evidence_in_prompt and again.config.independent_leads == 1


def test_measurements_are_cached(records: list[LabelledRecord], tmp_path: Path) -> None:
    first = simulated_labelled_records(2, 4, tmp_path / "measured.json")
    again = simulated_labelled_records(2, 4, tmp_path / "measured.json")
    assert (
        [t.context.descriptors for t in first]
        == [t.context.descriptors for t in again]
        == [t.context.descriptors for t in records[:2]]
    )
    assert [[round(e.value, 4) for e in t.context.measurements] for t in first] == [
        [e.value for e in t.context.measurements] for t in again
    ]


def test_rare_findings_are_drawn_more_often(records: list[LabelledRecord]) -> None:
    assert sampling_weights(records).sum() == pytest.approx(1.0) and len(sampling_weights(records)) == 6
