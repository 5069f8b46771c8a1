"""Fault 15: an inverted lead has the same beats and the same QRS duration."""

from __future__ import annotations

import pytest

from models.ecg import Ecg
from models.measurement.measure import measure
from tests.faults.recordings import real_ecg, same_beats


def test_same_beats_and_width() -> None:
    ecg = real_ecg(20)
    upright, inverted = measure(ecg), measure(Ecg(ecg.leads, ecg.fs_hz, -ecg.mv))
    assert same_beats(inverted.r_peaks, upright.r_peaks, ecg.fs_hz)
    assert inverted.intervals["QRS"] == pytest.approx(upright.intervals["QRS"], abs=20)
