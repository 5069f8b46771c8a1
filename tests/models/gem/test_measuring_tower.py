"""The measuring tower: the same with and without torch; its estimates as tokens; the signal of a drawn page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from models.evidence import Evidence
from models.gem.decoding import TorchDecoder
from models.gem.engine import GemEngine
from models.gem.estimates import (
    NOT_READABLE,
    PAGE_NOT_READABLE,
    SIGNAL_NOT_READABLE,
    UNREADABLE,
    Estimates,
    Sources,
    estimates_of,
    expected_value,
)
from models.gem.measuring_graph import measuring_graph
from models.gem.measuring_layout import (
    ATTRIBUTES,
    BINS,
    FRAME_S,
    FRAMES,
    OUTPUTS,
    QUANTITIES,
    READABLE,
    VALUE_OUTPUTS,
    MeasuringSizes,
)
from models.gem.measuring_tower import MeasuringTower, rate_of_beats
from models.gem.onnx_decoder import OnnxDecoder
from models.gem.page import REFERENCE_SIZE, reference_page
from models.gem.page_layout import HEIGHT, WIDTH
from models.gem.page_signal import signal_of_image, signal_of_page
from models.gem.request import GemRequest
from models.gem.sources import TowerLimits, read_sources, shown_page
from models.networks.loading import open_session
from models.training.measuring import put_tower, save_tower
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
    np.testing.assert_allclose(found[:, :-1], expected[:, :-1], atol=2e-5)
    np.testing.assert_allclose(found[::2, -1], expected[::2, -1], rtol=1e-4)  # a flat window has no maxima
    assert np.abs(expected[0] - expected[1]).max() > 1e-3  # the outputs depend on the signal


def test_a_scaled_signal_gives_the_same_outputs(tower: MeasuringTower) -> None:
    with torch.no_grad():
        once, twice = (tower(torch.from_numpy(k * ECG.mv[None])).logits[:, :-1] for k in (1.0, 5.0))
    torch.testing.assert_close(once, twice, atol=0.05, rtol=0.0)


def _outputs(readable: float, **values: float) -> np.ndarray:
    logits = np.full(OUTPUTS, -8.0, np.float32)
    logits[-1] = 60.0  # rate over the beats
    for k, name in enumerate(QUANTITIES):
        if name in values:
            low, high = QUANTITIES[name]
            share = (
                np.log(values[name] / low) / np.log(high / low) if name == "HR" else (values[name] - low) / (high - low)
            )
            away = np.arange(BINS) - share * (BINS - 1)
            logits[k * BINS : (k + 1) * BINS] = -0.5 * (away / 1.5) ** 2
            logits[VALUE_OUTPUTS - len(QUANTITIES) + k] = 8.0
    logits[VALUE_OUTPUTS + ATTRIBUTES.index(READABLE)] = readable
    return logits


def test_estimates_follow_from_the_outputs_and_their_limits() -> None:
    logits = _outputs(8.0, HR=118.0, PR=230.0, QRS=134.0, QT=372.0)
    for attribute in ("P waves", "regular", "SINUS", "AVB1", "LBBB"):
        logits[VALUE_OUTPUTS + ATTRIBUTES.index(attribute)] = 3.0
    found = estimates_of(logits)
    assert {name: pytest.approx(v, abs=2) for name, v in found.values.items()} == {
        "HR": 118, "PR": 230, "QRS": 134, "QT": 372, "QTcF": 466,
    }  # fmt: skip
    assert found.descriptors == ("P waves", "regular", "fast rate", "long PR", "wide QRS", "long QTcF")
    assert found.findings == ("SINUS", "AVB1", "LBBB")
    assert estimates_of(logits, {"LBBB": 0.99}).findings == ("SINUS", "AVB1")
    logits[VALUE_OUTPUTS + ATTRIBUTES.index("irregular")] = 4.0
    assert estimates_of(logits).values["HR"] == 60 and abs(found.values["HR"] - 118) <= 2
    logits[VALUE_OUTPUTS + ATTRIBUTES.index("no P waves")] = 4.0  # more probable than P waves: no PR, no sinus rhythm
    without = estimates_of(logits)
    assert "PR" not in without.values and without.findings == ("LBBB",)


def test_the_rate_over_the_beats_counts_peaks() -> None:
    frames = np.arange(FRAMES)
    for bpm, n in ((75.0, 12), (48.0, 8), (60.0, 2)):
        at = 10.0 + np.arange(n) * 60.0 / bpm / FRAME_S
        p = np.exp(-0.5 * (frames - at[:, None]) ** 2).max(axis=0) * 0.9
        (rate,) = rate_of_beats(torch.from_numpy(p[None].astype(np.float32))).tolist()
        assert rate == pytest.approx(bpm if n > 2 else 0.0, rel=0.02)


def test_an_unreadable_window_has_no_estimate() -> None:
    assert estimates_of(_outputs(-1.0, HR=70.0, QRS=90.0)) == UNREADABLE
    assert not UNREADABLE.evidence


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


def _window(**shown: Any) -> np.ndarray:
    """Signal of the page of `ECG`, by rule."""
    return signal_of_image(shown_page(GemRequest(ECG, **shown)))


def test_rows_without_a_trace_are_zeros_and_a_blank_page_is_flat(tmp_path: Path) -> None:
    few = signal_of_page(reference_page(ECG.select(("I", "II"))))
    assert few[:2].any(axis=1).all() and not few[2:].any()
    assert not _window(blank_page=True).any()
    path = tmp_path / "page.png"
    Image.fromarray(reference_page(ECG)).save(path)
    np.testing.assert_array_equal(_window(page=path), _window())
    half = signal_of_image(Image.open(path).resize((REFERENCE_SIZE[0] // 2, REFERENCE_SIZE[1] // 2)))
    assert np.corrcoef(half[1], _window()[1])[0, 1] > 0.9
    with pytest.raises(ValueError, match="expected"):
        signal_of_page(np.zeros((100, 100, 3), np.uint8))


def test_the_question_has_the_estimates_of_the_signal_else_of_the_page() -> None:
    signal = Estimates(True, {"HR": 72, "QRS": 90}, ("regular",), ("SINUS",))
    page = Estimates(True, {"HR": 140})
    asked = "What is the rhythm?"
    both, alone = Sources(signal, page), Sources(UNREADABLE, page)
    assert both.question(asked) == f"{asked}\nMeasured: HR 72 bpm; QRS 90 ms; regular.\nFound: sinus rhythm."
    assert alone.question(asked) == f"{asked}\nMeasured: HR 140 bpm.\nFound: nothing."
    assert not both.remark and alone.remark == SIGNAL_NOT_READABLE
    assert Sources(signal, UNREADABLE).remark == PAGE_NOT_READABLE
    assert not Sources(UNREADABLE, UNREADABLE).used.readable


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, gem_folder: Path) -> Path:
    """The small GEM with a measuring tower of random weights that finds an ECG where a lead is not flat."""
    work, out = tmp_path_factory.mktemp("tower"), tmp_path_factory.mktemp("measuring")
    torch.manual_seed(5)
    tower = MeasuringTower(MeasuringSizes())
    with torch.no_grad():
        readable = ATTRIBUTES.index(READABLE)
        tower.attributes_out.weight[readable] = 0.0
        tower.attributes_out.bias[readable] = 9.0
    save_tower(work, tower, {"NORM": 0.4})
    put_tower(gem_folder, work, out)
    return out


@pytest.mark.parametrize("evidence", [(), (Evidence("HR", 88.0, (), 0, 1),)])
def test_both_run_times_answer_alike(folder: Path, evidence: tuple) -> None:
    engines = [GemEngine(OnnxDecoder.load(folder, threads=1)), GemEngine(TorchDecoder.load(folder, "cpu", "fp32"))]
    try:
        for given in ({"ecg": ECG}, {"ecg": ECG.select(("II",))}):
            request = GemRequest(max_new_tokens=12, deadline_s=60.0, measurements=evidence, **given)
            answers = [e.submit(request).result() for e in engines]
            assert answers[0].text == answers[1].text and answers[0].tokens > 0
    finally:
        for engine in engines:
            engine.close()


def test_an_input_that_cannot_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, pieces = OnnxDecoder.load(folder, threads=1), []
    readable = Estimates(True, {"HR": 72})
    engine = GemEngine(decoder)
    try:
        for sources, start in (
            (Sources(UNREADABLE, UNREADABLE), NOT_READABLE),
            (Sources(readable, UNREADABLE), PAGE_NOT_READABLE),
            (Sources(UNREADABLE, readable), SIGNAL_NOT_READABLE),
        ):
            monkeypatch.setattr("models.gem.onnx_decoder.read_sources", lambda request, towers, read=sources: read)
            pieces.clear()
            request = GemRequest(ECG, deadline_s=60.0, max_new_tokens=9, on_text=pieces.append)
            answer = engine.submit(request).result()
            assert answer.text.startswith(start) and "".join(pieces).strip() == answer.text
            assert (answer.text == NOT_READABLE) == (answer.tokens == 0)
    finally:
        engine.close()


class Read:
    """Towers that find a rate each, or nothing; they count what they read."""

    def __init__(self, signal: float, page: float, limits: TowerLimits) -> None:
        self.rates, self.limits = {"signal": signal, "page": page}, limits
        self.read: list[str] = []

    def _outputs(self, which: str) -> np.ndarray:
        self.read.append(which)
        rate = self.rates[which]
        logits = _outputs(8.0 if rate else -8.0, **({"HR": rate} if rate else {}))
        logits[VALUE_OUTPUTS + ATTRIBUTES.index("regular")] = 5.0
        return logits

    def measure(self, window: np.ndarray) -> np.ndarray:
        assert window.shape == (12, 5000)
        return self._outputs("page" if "signal" in self.read else "signal")

    def read_page(self, page: np.ndarray) -> np.ndarray:
        assert page.dtype == np.uint8 and page.shape == (3, HEIGHT, WIDTH)
        return self._outputs("page")


EVIDENCE = (Evidence("HR", 88.0, (), 0, 1),)
PAGE_TOWER_LIMITS = TowerLimits(share=0.5, reads_pages=True)


@pytest.mark.parametrize("limits", [TowerLimits(), TowerLimits(reads_pages=True)])
@pytest.mark.parametrize("readable", [True, False])
def test_a_page_drawn_from_the_signal_is_read_only_where_the_signal_cannot_be(
    limits: TowerLimits, readable: bool
) -> None:
    towers = Read(72.0 if readable else 0.0, 140.0, limits)
    sources = read_sources(GemRequest(ECG), towers)
    assert towers.read == (["signal"] if readable else ["signal", "page"])
    assert sources.used.values["HR"] == pytest.approx(72 if readable else 140, abs=1)
    assert sources.remark == ("" if readable else SIGNAL_NOT_READABLE)


def test_without_evidence_an_answer_rests_on_signal_and_page() -> None:
    towers = Read(100.0, 101.0, PAGE_TOWER_LIMITS)
    sources = read_sources(GemRequest(ECG), towers)
    assert towers.read == ["signal", "page"] and sources.both is sources.used
    assert sources.used.values["HR"] in (100, 101) and not sources.remark
    with_evidence = Read(100.0, 101.0, PAGE_TOWER_LIMITS)
    assert read_sources(GemRequest(ECG, measurements=EVIDENCE), with_evidence).both is None
    assert with_evidence.read == ["signal"]


@pytest.mark.parametrize(("signal", "page", "rate", "remark"), [
    (100.0, 0.0, 100, PAGE_NOT_READABLE), (0.0, 101.0, 101, SIGNAL_NOT_READABLE),
])  # fmt: skip
def test_where_one_cannot_be_read_the_other_counts_alone(signal: float, page: float, rate: int, remark: str) -> None:
    sources = read_sources(GemRequest(ECG, blank_page=True), Read(signal, page, PAGE_TOWER_LIMITS))
    assert sources.both is None and sources.used.values["HR"] == pytest.approx(rate, abs=1)
    assert sources.remark == remark
