"""Fault 3: fibrillation has no QRS complexes: no P wave is claimed in it, and the lead stays usable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.arrhythmia.tier import find_episodes
from models.ecg import Ecg
from models.evaluation.splices import scripted
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


@pytest.mark.data
@pytest.mark.parametrize("k", [0, 1])
def test_fibrillation_is_raised_within_ten_seconds_and_nothing_else_lethal(data_home: Path, k: int) -> None:
    """Real fibrillation spliced into a real rhythm, 20 s of it."""
    found = [s for s in scripted(data_home) if s.code == "VFIB"][k]
    fs = found.ecg.fs_hz
    part = found.ecg.slice(found.onset - round(12 * fs), found.onset + round(20 * fs))
    onset = min(found.onset, round(12 * fs))
    episodes = find_episodes(Ecg(part.leads, fs, part.mv))
    (vfib,) = [e for e in episodes if e.code == "VFIB"]
    assert vfib.detected - onset <= 10 * fs
    assert abs(vfib.onset - onset) <= 3 * fs
    assert vfib.end is None
    assert not [e for e in episodes if e.code in ("ASYSTOLE", "EXTREME_BRADY")]
