"""The page tower: the same with and without torch; what the shipped one reads of pages, and of pages without an ECG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from models.ecg import Ecg
from models.evaluation.scanned_pages import coloured, scanned, taken_apart
from models.gem.decoding import TorchDecoder
from models.gem.estimates import Estimates, estimates_of
from models.gem.measuring_layout import MeasuringSizes
from models.gem.measuring_session import SHIPPED_GEM
from models.gem.onnx_decoder import OnnxDecoder
from models.gem.page import REFERENCE_SIZE, reference_page
from models.gem.page_layout import COLUMNS, HEIGHT, WIDTH, PageSizes, resampled, small_drawn, small_page
from models.gem.page_session import PAGE_TOWER, PageSession
from models.gem.page_tower import PageTower, window_of
from models.gem.request import GemRequest
from models.gem.sources import TowerLimits, read_sources
from models.training.drawn_pages import drawn_page, page_without_ecg
from models.training.simulate import simulate

NORMAL = {"rhythm": "sinus", "conduction": "normal", "repolarisation": "normal"}


def _ecg(rate: float, seed: int = 1) -> Ecg:
    return simulate(np.random.default_rng(seed), rate=rate, **NORMAL).ecg  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shipped() -> PageSession:
    return PageSession(load_file(SHIPPED_GEM / "model.safetensors"), threads=1)


@pytest.fixture(scope="module")
def decoder() -> OnnxDecoder:
    return OnnxDecoder.load(SHIPPED_GEM, threads=1)


def _scan(ecg: Ecg, seed: int, *, in_place: bool = False) -> np.ndarray:
    """Its page in other colours with noise, and unless ``in_place`` moved."""
    rng, page = np.random.default_rng(seed), small_drawn(reference_page(ecg))
    return coloured(rng, *taken_apart(page)) if in_place else scanned(rng, page)


def test_the_graphs_give_the_outputs_of_torch() -> None:
    torch.manual_seed(2)
    tower = PageTower(PageSizes(channels=8), MeasuringSizes(channels=8, hidden=12)).eval()
    with torch.no_grad():
        assert tower.reader.seen.bias is not None
        tower.reader.seen.bias.fill_(3.0)
    session = PageSession({f"{PAGE_TOWER}{k}": v.numpy() for k, v in tower.state_dict().items()})
    page = _scan(_ecg(80.0), 1)
    with torch.no_grad():
        reading, output = tower(torch.from_numpy(page[None]).float() / 255.0)
    window = session.window(page)
    assert window.any() and np.abs(window - window_of(reading)[0].numpy()).max() < 1e-4
    np.testing.assert_allclose(session.logits(page)[:-1], output.logits[0, :-1].numpy(), atol=1e-3)
    assert not resampled(np.ones((12, COLUMNS), np.float32), np.zeros(12, np.float32)).any()


@pytest.mark.parametrize("kind", ["drawn", "other colours"])
def test_the_shipped_tower_follows_the_traces(shipped: PageSession, kind: str) -> None:
    alike = []
    for seed in range(3):
        ecg = _ecg(60.0 + 20 * seed, seed)
        page = small_drawn(reference_page(ecg)) if kind == "drawn" else _scan(ecg, seed, in_place=True)
        window = shipped.window(page)
        alike += [float(np.corrcoef(a[300:-300], b[300:-300])[0, 1]) for a, b in zip(ecg.mv, window, strict=True)]
    assert np.median(alike) > 0.9, sorted(alike)


def test_leads_that_are_not_drawn_are_zeros(shipped: PageSession) -> None:
    window = shipped.window(small_drawn(reference_page(_ecg(70.0).select(("I", "II", "V5")))))
    assert window.any(axis=1).tolist() == [lead in (0, 1, 10) for lead in range(12)]


def _read(decoder: OnnxDecoder, page: np.ndarray) -> Estimates:
    return estimates_of(decoder.read_page(page), decoder.limits.page)


@pytest.mark.parametrize("kind", ["drawn", "scanned"])
def test_rates_are_read_from_pages(decoder: OnnxDecoder, kind: str) -> None:
    away = []
    for k, rate in enumerate((48.0, 66.0, 84.0, 110.0, 130.0)):
        ecg = _ecg(rate, k)
        found = _read(decoder, small_drawn(reference_page(ecg)) if kind == "drawn" else _scan(ecg, k))
        away.append(abs(found.values.get("HR", 0) - rate))
    assert sorted(away)[-2] <= 5.0, away


def test_pages_without_an_ecg_cannot_be_read(decoder: OnnxDecoder) -> None:
    rng = np.random.default_rng(5)
    other = drawn_page(rng, _ecg(75.0).mv.astype(np.float32)).pixels
    readable = [_read(decoder, page_without_ecg(rng, other).pixels).readable for _ in range(40)]
    assert np.mean(readable) <= 0.05


def test_both_run_times_read_a_page_alike(decoder: OnnxDecoder, tmp_path: Path) -> None:
    torch_decoder = TorchDecoder.load(SHIPPED_GEM, "cpu", slots=1)
    path = tmp_path / "page.png"
    Image.fromarray(reference_page(_ecg(92.0))).save(path)
    flat = Ecg(("II",), 500.0, np.zeros((1, 5000), np.float32))
    for request in (GemRequest(flat, page=path), GemRequest(_ecg(92.0))):
        ours, theirs = (read_sources(request, towers).used for towers in (decoder, torch_decoder))
        assert ours == theirs and ours.values["HR"] == pytest.approx(92, abs=4)


def test_an_image_of_another_size_is_scaled() -> None:
    page = Image.fromarray(reference_page(_ecg(70.0)))
    assert page.size == REFERENCE_SIZE
    whole, half = small_page(page), small_page(page.resize((1100, 850)))
    assert whole.shape == half.shape == (3, HEIGHT, WIDTH)
    assert np.abs(whole.astype(int) - half.astype(int)).mean() < 4.0


def test_the_limits_are_those_of_the_configuration() -> None:
    assert TowerLimits.of({}) == TowerLimits()
    page = {"thresholds": {"MI": 0.3}, "thresholds_both": {"MI": 0.4}, "share": 0.5}
    limits = TowerLimits.of({"measuring_config": {"thresholds": {"MI": 0.2}}, "page_config": page})
    assert limits == TowerLimits({"MI": 0.2}, {"MI": 0.3}, {"MI": 0.4}, 0.5, reads_pages=True)
