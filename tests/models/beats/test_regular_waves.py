"""Regular waves of a tachycardia whose beats fuse: found at their rate, measured again where cited, not invented."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.beats.regular_waves import FS_HZ, LEAST_MV, METHOD, MIN_MV, _smoothed, evidence, regular_waves
from models.ecg import Ecg
from models.evidence import Criterion
from models.measurement.intervals import remeasure
from models.signal.conditioning import resample, without_baseline
from verification.citations import citation_fault
from verification.signal import Signal

FS = 250.0
CRITERION = Criterion("5 regular ventricular waves in a row faster than 100 bpm, beats fused", 100.0, "test", 5.0)


def wave(bpm: float, seconds: float = 6.0, noise_mv: float = 0.03) -> NDArray[np.float32]:
    """Wide waves without rest, with a second harmonic, mV."""
    t = np.arange(round(seconds * FS)) / FS * bpm / 60
    shape = np.sin(2 * np.pi * t) + 0.3 * np.sin(4 * np.pi * t + 0.7)
    return (shape + np.random.default_rng(0).normal(0, noise_mv, len(t))).astype(np.float32)


def fibrillation(seed: int) -> NDArray[np.float32]:
    """Waves whose rate and height change from one to the next, mV."""
    rng = np.random.default_rng(seed)
    hz = np.repeat(rng.uniform(3.0, 8.0, 60), 25)
    height = np.interp(np.arange(len(hz)), np.arange(60) * 25, rng.uniform(0.1, 0.6, 60))
    return (height * np.sin(2 * np.pi * np.cumsum(hz) / FS)).astype(np.float32)


@pytest.mark.parametrize("bpm", [110, 150, 180, 240])
@pytest.mark.parametrize("sign", [1, -1])
def test_waves_are_found_at_their_rate(bpm: float, sign: int) -> None:
    mv = sign * np.stack([wave(bpm), 0.4 * wave(bpm)])
    found = regular_waves(("II", "V1"), mv, FS, 10_000)
    assert found is not None and found.rate(FS) == pytest.approx(bpm, rel=0.03)
    assert len(found.crests) >= 0.85 * 6.0 * bpm / 60 and 10_000 - 1500 <= found.crests[0] < found.crests[-1] < 10_000


def test_the_order_in_which_leads_are_looked_at_changes_nothing() -> None:
    mv = np.stack([wave(150), 0.4 * wave(150), np.zeros(1500, np.float32), wave(150, noise_mv=0.1)])
    mv[2, ::250] = 1.0  # single beats: this lead rests
    plain = regular_waves(("I", "II", "III", "V1"), mv, FS, 1500)
    assert plain is not None
    for order in ((3, 2, 1, 0), (2, 0, 3, 1), (1, 3, 2, 0)):
        found = regular_waves(("I", "II", "III", "V1"), mv, FS, 1500, resting_first=order)
        assert found is not None and (found.lead, found.height_mv) == (plain.lead, plain.height_mv)
        assert np.array_equal(found.crests, plain.crests)
    mv[:2] = mv[2]
    assert regular_waves(("I", "II", "III", "V1"), mv, FS, 1500, resting_first=(3, 0, 1, 2)) is None


def test_their_citation_is_measured_again_and_verified() -> None:
    mv = wave(160)[None]
    found = regular_waves(("II",), mv, FS, 1500)
    assert found is not None
    cited = evidence(found, FS, CRITERION)
    assert cited.method == METHOD and len(cited.beats) == len(found.crests) - 1
    assert remeasure(Ecg(("II",), FS, mv), cited) == pytest.approx(cited.value, abs=2.0)
    start, end = cited.start / FS, cited.end / FS
    beats = [{"r_sample": b.r, "start_sample": b.start, "end_sample": b.end, "value": b.value} for b in cited.beats]
    document = {
        "measure": "HR", "value": cited.value, "unit": "bpm", "leads": ["II"],
        "start_sample": cited.start, "end_sample": cited.end, "start_s": start, "end_s": end,
        "start": f"2026-01-01T00:00:{start:09.6f}+00:00", "end": f"2026-01-01T00:00:{end:09.6f}+00:00",
        "beats": beats,
        "criterion": {"rule": CRITERION.rule, "limit": 100.0, "accuracy": 5.0, "source": "test"},
    }  # fmt: skip
    segment = {"sampling_rate": FS, "start": "2026-01-01T00:00:00+00:00", "duration_s": 6.0}
    signal = Signal({"II": mv[0].astype(float)}, FS)
    assert citation_fault(document, segment, signal)[0] == ""
    assert "measured" in citation_fault({**document, "value": cited.value * 1.2}, segment, signal)[0]


def test_no_lead_shows_regular_waves() -> None:
    beats = np.zeros(1500, np.float32)
    beats[100::190] = 1.0
    for mv in (np.zeros(1500, np.float32), wave(160)[:300], 0.05 * wave(160, noise_mv=0.0), beats):
        assert regular_waves(("II",), mv[None], FS, len(mv)) is None
    ended = np.concatenate([wave(160, 4.0), np.zeros(500, np.float32)])
    assert regular_waves(("II",), ended[None], FS, len(ended)) is None


def test_fibrillation_shows_no_row_of_five_regular_waves() -> None:
    found = [regular_waves(("II",), fibrillation(seed)[None], FS, 1500) for seed in range(30)]
    assert sum(w is not None and len(w.crests) >= 5 for w in found) <= 3


@pytest.mark.parametrize("fs", [125.0, 250.0, 360.0, 500.0])
def test_waves_are_never_so_much_higher_than_the_signal_that_a_lead_is_left_out_wrongly(fs: float) -> None:
    """Signals of two levels, which the filters make largest, are enlarged less than `LEAST_MV` allows for."""
    rng, n, found = np.random.default_rng(0), round(4.0 * fs), []
    for held in (1, 10, 25, 50, 200):
        levels = np.repeat(rng.choice([0.0, 1.0], size=(20, n // held + 1)), held, axis=1)[:, :n].astype(np.float32)
        x = without_baseline(resample(levels, fs, FS_HZ), FS_HZ).astype(np.float64)
        found.append(float((_smoothed(x)[1] / np.maximum(np.ptp(levels, axis=1), 1e-9)).max()))
    assert 0.5 < max(found) < 0.8 * MIN_MV / LEAST_MV


def test_waves_just_high_enough_are_found_and_lower_ones_not() -> None:
    mv = wave(160, noise_mv=0.0)[None]
    assert regular_waves(("II",), 0.2 * mv, FS, 1500) is not None
    assert regular_waves(("II",), 0.02 * mv, FS, 1500) is None
