"""Fault 9: muscle noise without a heart has no beats, and the lead says noisy."""

from __future__ import annotations

import numpy as np
from scipy import signal

from models.beats.detector import find_beats
from models.ecg import Ecg
from models.signal.quality import NOISY, lead_quality
from tests.faults.recordings import real_ecg


def muscle(n: int, fs: float, rms_mv: float) -> np.ndarray:
    band = signal.butter(2, [20, 100], "bandpass", fs=fs, output="sos")
    x = signal.sosfilt(band, np.random.default_rng(5).normal(0, 1, n))
    return (x / x.std() * rms_mv).astype(np.float32)


def test_noise_alone_is_noisy_and_has_next_to_no_beat() -> None:
    mv = muscle(round(30 * 250.0), 250.0, 0.3)[None]
    assert lead_quality(mv, 250.0)[0].state == NOISY
    assert len(find_beats(Ecg(("II",), 250.0, mv))) <= 2


def test_a_noisy_lead_beside_a_clean_one_adds_no_beat() -> None:
    clean = real_ecg(20)
    both = Ecg(("II", "V1"), clean.fs_hz, np.stack([clean.mv[0], muscle(clean.n_samples, clean.fs_hz, 0.4)]))
    assert len(find_beats(both)) == len(find_beats(clean))
