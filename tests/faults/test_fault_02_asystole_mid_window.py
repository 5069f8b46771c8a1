"""Fault 2: the heart stops in the middle of a window: no beat is invented behind it."""

from __future__ import annotations

import numpy as np

from models.beats.detector import find_beats
from models.ecg import Ecg
from models.measurement.measure import measure
from tests.faults.recordings import real_ecg


def test_no_beat_after_the_last_one() -> None:
    ecg = real_ecg(20)
    before, after = (b.sample for b in find_beats(ecg)[6:8])
    stop = round(before + 0.6 * (after - before))
    mv = ecg.mv.copy()
    mv[:, stop:] = np.median(mv[:, stop : stop + 20]) + np.random.default_rng(2).normal(0, 0.005, mv[:, stop:].shape)
    beats = find_beats(Ecg(ecg.leads, ecg.fs_hz, mv))
    assert len(beats) == 7
    assert all(b.sample < stop for b in beats)


def test_the_waves_of_the_beats_before_are_still_measured() -> None:
    ecg = real_ecg(10)
    mv = ecg.mv.copy()
    mv[:, round(5 * ecg.fs_hz) :] = 0.0
    found = measure(Ecg(ecg.leads, ecg.fs_hz, mv))
    assert found.intervals["QRS"] is not None
    assert max(found.r_peaks) < 5 * ecg.fs_hz
