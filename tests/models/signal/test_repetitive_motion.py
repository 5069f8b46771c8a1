"""Chest compressions are named where all leads carry them; beats, tachycardias and single leads are not."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.compressions import compressions
from models.evaluation.splices import FS_HZ
from models.signal.repetitive_motion import WINDOW_S, RepetitiveMotion, repetitive_motion
from models.training.simulate import simulate
from tests.faults.recordings import real_ecg

LEADS = ("II", "V5")


def of(mv: np.ndarray, fs: float = FS_HZ) -> RepetitiveMotion | None:
    return repetitive_motion(LEADS[: len(mv)], np.asarray(mv, np.float32), fs)


def waves(bpm: float, mv: float = 2.0, second: float = 0.15, fs: float = FS_HZ, seconds: float = 10.0) -> np.ndarray:
    t = 2 * np.pi * bpm / 60 * np.arange(round(seconds * fs)) / fs
    return np.tile(mv / 2 * (np.sin(t) + second * np.sin(2 * t)), (2, 1))


@pytest.mark.parametrize("fs", [125.0, 250.0, 500.0, 257.0])
@pytest.mark.parametrize("bpm", [90.0, 112.0, 140.0])
def test_waves_of_compressions_are_found_with_their_rate(bpm: float, fs: float) -> None:
    found = of(waves(bpm, fs=fs), fs)
    assert found is not None and found.leads == LEADS
    assert found.rate_bpm == pytest.approx(bpm, abs=3) and found.share > 0.9


def test_compressions_over_a_real_rhythm_are_found() -> None:
    ecg = real_ecg(10, start_s=10.0, leads=LEADS)
    assert of(ecg.mv, ecg.fs_hz) is None
    found = [
        of(ecg.mv + 2 * compressions(ecg.n_samples, ecg.fs_hz, 2, np.random.default_rng(k)), ecg.fs_hz)
        for k in range(20)
    ]
    assert sum(f is not None for f in found) >= 14


@pytest.mark.parametrize(("bpm", "mv", "second"), [(75, 2.0, 0.1), (170, 2.0, 0.1), (112, 0.5, 0.1), (112, 2.0, 0.5)])
def test_other_rates_small_waves_and_waves_with_harmonics_are_not(bpm: float, mv: float, second: float) -> None:
    assert of(waves(bpm, mv, second)) is None


def test_a_lead_that_shows_the_heart_alone_or_misses_a_sample_denies_it() -> None:
    mv, ecg = waves(112), real_ecg(10, leads=("II",))
    assert of(mv) is not None
    heart = np.interp(np.arange(mv.shape[1]) / FS_HZ, np.arange(ecg.n_samples) / ecg.fs_hz, ecg.mv[0])
    assert of(np.stack([mv[0], heart])) is None
    missing = mv.copy()
    missing[1, -100] = np.nan
    assert of(missing) is None
    # Given a flat lead: it shows no heart
    assert of(np.stack([mv[0], np.zeros(mv.shape[1])])) is not None
    assert of(mv[:, : round(WINDOW_S * FS_HZ) - 1]) is None


@pytest.mark.parametrize("rhythm", ["sinus", "vtach", "svt", "afib"])
def test_no_simulated_rhythm_is_taken_for_compressions(rhythm: str) -> None:
    for seed in range(10):
        ecg = simulate(np.random.default_rng(seed), rhythm=rhythm, noise=0.5).ecg
        assert repetitive_motion(ecg.leads, ecg.mv, ecg.fs_hz) is None, seed
