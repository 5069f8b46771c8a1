"""The measuring tower: the same with and without torch; its estimates as tokens; the signal of a drawn page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.ecg import Ecg
from models.gem.checkpoint import load_checkpoint, save_checkpoint
from models.gem.decoding import TorchDecoder
from models.gem.engine import GemEngine
from models.gem.estimates import (
    MEASURES,
    TOKEN_WIDTH,
    TOKENS,
    UNREADABLE,
    Estimates,
    estimates_of,
    expected_value,
    with_limits,
)
from models.gem.measuring_graph import measuring_graph
from models.gem.measuring_layout import BINS, FACTS, OUTPUTS, QUANTITIES, READABLE, VALUE_OUTPUTS, MeasuringSizes
from models.gem.measuring_tower import MeasuringTower
from models.gem.modeling import GemForCausalLM
from models.gem.onnx_decoder import OnnxDecoder
from models.gem.page import REFERENCE_SIZE, reference_page
from models.gem.page_signal import page_window, signal_of_image, signal_of_page
from models.gem.request import GemRequest
from models.gem.tokenizer import GemTokenizer
from models.networks.loading import open_session
from models.training.language import compact_config
from models.training.simulate import simulate

ECG = simulate(np.random.default_rng(2), rhythm="sinus", rate=72.0).ecg


@pytest.fixture(scope="module")
def tower() -> MeasuringTower:
    torch.manual_seed(3)
    return MeasuringTower(MeasuringSizes()).eval()


def test_the_graph_gives_the_outputs_of_torch(tower: MeasuringTower) -> None:
    windows = np.stack([ECG.mv, np.zeros((12, 5000), np.float32), ECG.mv * (np.arange(12) == 1)[:, None]])
    with torch.no_grad():
        expected = tower(torch.from_numpy(windows)).logits.numpy()
    session = open_session(measuring_graph({k: v.numpy() for k, v in tower.state_dict().items()}))
    (found,) = session.run(None, {"ecg": windows.astype(np.float32)})
    assert found.shape == (3, OUTPUTS) and np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(expected[0] - expected[1]).max() > 1e-3  # the outputs depend on the signal


def test_a_scaled_signal_gives_the_same_outputs(tower: MeasuringTower) -> None:
    with torch.no_grad():
        once, twice = (tower(torch.from_numpy(k * ECG.mv[None])).logits for k in (1.0, 5.0))
    torch.testing.assert_close(once, twice, atol=0.05, rtol=0.0)


def _outputs(readable: float, **values: float) -> np.ndarray:
    logits = np.full(OUTPUTS, -8.0, np.float32)
    for k, name in enumerate(QUANTITIES):
        if name in values:
            low, high = QUANTITIES[name]
            share = (
                np.log(values[name] / low) / np.log(high / low) if name == "HR" else (values[name] - low) / (high - low)
            )
            away = np.arange(BINS) - share * (BINS - 1)
            logits[k * BINS : (k + 1) * BINS] = -0.5 * (away / 1.5) ** 2
            logits[VALUE_OUTPUTS - len(QUANTITIES) + k] = 8.0
    logits[VALUE_OUTPUTS + FACTS.index(READABLE)] = readable
    return logits


def test_estimates_follow_from_the_outputs_and_their_limits() -> None:
    logits = _outputs(8.0, HR=118.0, PR=230.0, QRS=134.0, QT=372.0)
    for fact in ("P waves", "regular", "SINUS", "AVB1", "LBBB"):
        logits[VALUE_OUTPUTS + FACTS.index(fact)] = 3.0
    found = estimates_of(logits)
    assert {name: pytest.approx(v, abs=2) for name, v in found.values.items()} == {
        "HR": 118, "PR": 230, "QRS": 134, "QT": 372, "QTcF": 466,
    }  # fmt: skip
    assert found.descriptors == ("P waves", "regular", "fast rate", "long PR", "wide QRS", "long QTcF")
    assert found.findings == ("SINUS", "AVB1", "LBBB")
    assert estimates_of(logits, {"LBBB": 0.99}).findings == ("SINUS", "AVB1")
    logits[VALUE_OUTPUTS + FACTS.index("no P waves")] = 4.0  # more probable than P waves: no PR, no sinus rhythm
    without = estimates_of(logits)
    assert "PR" not in without.values and without.findings == ("LBBB",)


def test_an_unreadable_window_has_no_estimate() -> None:
    assert estimates_of(_outputs(-1.0, HR=70.0, QRS=90.0)) == UNREADABLE
    assert not UNREADABLE.evidence


def test_every_estimate_is_in_the_tokens() -> None:
    values = {"HR": 72, "PR": 164, "QRS": 96, "QT": 402}
    plain = Estimates(True, values, with_limits(values, ["P waves"]), ("SINUS",))
    tokens = plain.tokens()
    assert tokens.shape == (TOKENS, TOKEN_WIDTH)
    assert [int(tokens[MEASURES.index("PR"), 10 * place : 10 * place + 10].argmax()) for place in range(3)] == [4, 6, 1]
    others = [
        Estimates(True, values | {"HR": 73}, plain.descriptors, plain.findings),
        Estimates(True, {k: v for k, v in values.items() if k != "PR"}, plain.descriptors, plain.findings),
        Estimates(True, values, plain.descriptors[1:], plain.findings),
        Estimates(True, values, plain.descriptors, ("SINUS", "NORM")),
        UNREADABLE,
    ]
    assert all(np.abs(other.tokens() - tokens).max() >= 1.0 for other in others)


def test_the_expected_value_lies_between_the_bins() -> None:
    for name, value in (("HR", 71.3), ("PR", 163.0), ("QRS", 95.0), ("QT", 401.0)):
        k = list(QUANTITIES).index(name)
        assert expected_value(name, _outputs(8.0, **{name: value})[k * BINS : (k + 1) * BINS]) == pytest.approx(
            value, rel=0.01
        )


@pytest.mark.parametrize("seed", [2, 3, 7])
def test_the_signal_of_a_page_is_the_signal_that_was_drawn(seed: int) -> None:
    ecg = simulate(np.random.default_rng(seed), rhythm="sinus", conduction="normal", repolarisation="normal").ecg
    found = signal_of_page(reference_page(ecg))
    correlation = [float(np.corrcoef(a, b)[0, 1]) for a, b in zip(ecg.mv, found, strict=True)]
    assert np.median(correlation) > 0.95 and sorted(correlation)[3] > 0.85, correlation


def test_rows_without_a_trace_are_zeros_and_a_blank_page_is_flat(tmp_path: Path) -> None:
    few = signal_of_page(reference_page(ECG.select(("I", "II"))))
    assert few[:2].any(axis=1).all() and not few[2:].any()
    assert not page_window(ECG, blank=True).any()
    path = tmp_path / "page.png"
    Image.fromarray(reference_page(ECG)).save(path)
    np.testing.assert_array_equal(page_window(ECG, path), page_window(ECG))
    half = signal_of_image(Image.open(path).resize((REFERENCE_SIZE[0] // 2, REFERENCE_SIZE[1] // 2)))
    assert np.corrcoef(half[1], page_window(ECG)[1])[0, 1] > 0.9
    with pytest.raises(ValueError, match="expected"):
        signal_of_page(np.zeros((100, 100, 3), np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, gem_folder: Path) -> Path:
    """A GEM with a measuring tower and random weights."""
    folder = tmp_path_factory.mktemp("measuring")
    tokenizer = gem_folder / "tokenizer.model"
    torch.manual_seed(5)
    model = GemForCausalLM(compact_config(GemTokenizer(tokenizer).vocabulary))
    with torch.no_grad():
        model.model.measuring_tower.facts_out.bias[FACTS.index(READABLE)] = 9.0
    save_checkpoint(folder, model, tokenizer)
    return folder


def test_both_run_times_answer_alike_and_read_signal_and_page(folder: Path) -> None:
    engines = [GemEngine(kind.load(folder, threads=1)) for kind in (OnnxDecoder, _OnCpu)]
    flat = Ecg(ECG.leads, ECG.fs_hz, np.zeros_like(ECG.mv))
    try:
        for request in (
            {"ecg": ECG}, {"ecg": ECG, "blank_page": True}, {"ecg": flat},
        ):  # fmt: skip
            texts = [e.submit(GemRequest(max_new_tokens=12, deadline_s=60.0, **request)).result().text for e in engines]
            assert texts[0] == texts[1] and texts[0]
    finally:
        for engine in engines:
            engine.close()


class _OnCpu(TorchDecoder):
    """The torch decoder on the CPU, also where a GPU is."""

    @classmethod
    def load(cls, folder: Path, **given: object) -> TorchDecoder:  # type: ignore[override]
        return TorchDecoder.load(folder, "cpu", "fp32", **given)  # type: ignore[arg-type]


def test_tokens_of_signal_and_page_are_made_apart(folder: Path) -> None:
    model = load_checkpoint(folder)
    signal, page = torch.from_numpy(ECG.mv[None]), torch.from_numpy(page_window(ECG)[None])
    both = model.model.estimate_tokens(signal, page)
    assert both.shape == (1, 2 * TOKENS, TOKEN_WIDTH)
    alone = model.model.estimate_tokens(signal, None)
    torch.testing.assert_close(alone[:, :TOKENS], both[:, :TOKENS])
    np.testing.assert_array_equal(alone[0, TOKENS:].numpy(), UNREADABLE.tokens())
