"""Fault 14: complexes of less than 0.15 mV are not counted (IEC 60601-2-27); those of 0.5 mV are."""

from __future__ import annotations

import numpy as np

from models.beats.detector import find_beats
from models.ecg import Ecg
from tests.faults.recordings import paced_at, same_beats


def scaled(peak_to_peak_mv: float) -> tuple[Ecg, list[float]]:
    ecg, r = paced_at(70, 20)
    clean = ecg.mv / np.float32(1.35)  # the complex is 1.35 mV from peak to peak
    return Ecg(ecg.leads, ecg.fs_hz, clean * np.float32(peak_to_peak_mv)), list(r * ecg.fs_hz)


def test_below_the_limit_nothing_is_counted() -> None:
    assert find_beats(scaled(0.12)[0]) == []


def test_half_a_millivolt_is_counted() -> None:
    ecg, r = scaled(0.5)
    assert same_beats([b.sample for b in find_beats(ecg)], [round(x) for x in r], ecg.fs_hz)
