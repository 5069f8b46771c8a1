"""Fault 3: fibrillation has no QRS complexes: no P wave is claimed in it, and the lead stays usable."""

from __future__ import annotations

import numpy as np

from models.ecg import Ecg
from models.measurement.measure import measure


def fibrillation(seconds: float = 20.0, fs: float = 250.0) -> Ecg:
    """Waves of 4 to 6 Hz whose size and rate wander."""
    rng = np.random.default_rng(4)
    at = np.arange(round(seconds * fs)) / fs
    wander = np.cumsum(rng.normal(0, 1, len(at))) / np.sqrt(len(at))
    phase = 2 * np.pi * np.cumsum(5.0 + wander) / fs
    size = 0.5 + 0.25 * np.sin(2 * np.pi * 0.35 * at) + 0.1 * np.sin(2 * np.pi * 1.1 * at)
    return Ecg(("II",), fs, (size * np.sin(phase) + rng.normal(0, 0.02, len(at)))[None].astype(np.float32))


def test_no_pr_is_claimed_and_the_lead_stays_usable() -> None:
    found = measure(fibrillation())
    assert found.intervals["PR"] is None
    assert found.quality["II"].usable


def test_no_rate_of_a_normal_rhythm_is_claimed() -> None:
    found = measure(fibrillation())
    assert found.intervals["HR"] is None or not 50 <= found.intervals["HR"] <= 100
