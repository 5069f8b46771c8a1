"""Fault 8: mains hum of 0.5 mV, 50 or 60 Hz, adds and hides no beat."""

from __future__ import annotations

import numpy as np
import pytest

from models.beats.detector import find_beats
from models.ecg import Ecg
from tests.faults.recordings import real_ecg, same_beats


@pytest.mark.parametrize("hum_hz", [50.0, 60.0])
def test_same_beats_under_hum(hum_hz: float) -> None:
    ecg = real_ecg(20)
    at = np.arange(ecg.n_samples) / ecg.fs_hz
    noisy = Ecg(ecg.leads, ecg.fs_hz, ecg.mv + 0.25 * np.sin(2 * np.pi * hum_hz * at).astype(np.float32))
    expected = [b.sample for b in find_beats(ecg)]
    assert same_beats([b.sample for b in find_beats(noisy)], expected, ecg.fs_hz)
