"""Fault 10: baseline wander of 2 mV at breathing rate adds and hides no beat."""

from __future__ import annotations

import numpy as np

from models.beats.detector import find_beats
from models.ecg import Ecg
from tests.faults.recordings import real_ecg, same_beats


def test_same_beats_on_a_wandering_baseline() -> None:
    ecg = real_ecg(30)
    at = np.arange(ecg.n_samples) / ecg.fs_hz
    wander = (1.0 * np.sin(2 * np.pi * 0.3 * at) + 0.5 * np.sin(2 * np.pi * 0.11 * at)).astype(np.float32)
    found = find_beats(Ecg(ecg.leads, ecg.fs_hz, ecg.mv + wander))
    assert same_beats([b.sample for b in found], [b.sample for b in find_beats(ecg)], ecg.fs_hz)
