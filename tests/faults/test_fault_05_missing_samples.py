"""Fault 5: a gap of missing samples has no beats in it, and the beats around it are all there."""

from __future__ import annotations

import numpy as np

from models.beats.detector import find_beats
from models.ecg import Ecg
from models.signal.quality import ABSENT, lead_quality
from tests.faults.recordings import real_ecg, same_beats


def test_beats_outside_the_gap_stay() -> None:
    ecg = real_ecg(20)
    expected = [b.sample for b in find_beats(ecg)]
    start, stop = round(8.0 * ecg.fs_hz), round(9.0 * ecg.fs_hz)
    mv = ecg.mv.copy()
    mv[:, start:stop] = np.nan
    found = [b.sample for b in find_beats(Ecg(ecg.leads, ecg.fs_hz, mv))]
    margin = round(0.15 * ecg.fs_hz)
    outside = [r for r in expected if not start - margin < r < stop + margin]
    assert not [r for r in found if start <= r < stop]
    assert same_beats([r for r in found if not start - margin < r < stop + margin], outside, ecg.fs_hz)


def test_a_lead_without_samples_is_absent() -> None:
    assert lead_quality(np.full((1, 1000), np.nan, np.float32), 250.0)[0].state == ABSENT
