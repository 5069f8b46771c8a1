"""Fault 4: 25 and 220 beats a minute are counted as they are: no half rate, no double rate."""

from __future__ import annotations

import pytest

from models.measurement.measure import measure
from tests.faults.recordings import paced_at, same_beats


@pytest.mark.parametrize("bpm", [20, 28, 40, 150, 220, 240])
def test_every_beat_is_counted_once(bpm: float) -> None:
    ecg, r = paced_at(bpm, 30)
    found = measure(ecg)
    assert same_beats(found.r_peaks, list(r * ecg.fs_hz), ecg.fs_hz)
    assert found.intervals["HR"] == pytest.approx(bpm, rel=0.02)
