"""Waves of a bed are measured in six leads, those that show something first; ST levels in all."""

from __future__ import annotations

import numpy as np
import pytest

from models.arrhythmia.wave_history import MAX_LEADS, WaveHistory
from models.beats.detector import find_beats
from models.ecg import Ecg
from models.leads import STANDARD_12
from tests.agents.signals import ecg

SIGNAL = ecg(12, 75.0, leads=STANDARD_12, fs_hz=500.0)


def measured(signal: Ecg) -> WaveHistory:
    history = WaveHistory(signal.leads, signal.fs_hz, None)
    history.update(signal, signal.n_samples, find_beats(signal), signal.leads)
    return history


def flat_in(*leads: str) -> Ecg:
    mv = SIGNAL.mv.copy()
    mv[[SIGNAL.leads.index(lead) for lead in leads]] = 0.0
    return Ecg(SIGNAL.leads, SIGNAL.fs_hz, mv)


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        (SIGNAL, {"I", "II", "aVF", "V1", "V2", "V5"}),
        (flat_in("II", "V5"), {"I", "aVF", "V1", "V2", "V4", "V3"}),
        (flat_in(*STANDARD_12[:8]), {"V3", "V4", "V5", "V6", "II", "V1"}),
        (SIGNAL.select(["II", "V1", "V3"]), {"II", "V1", "V3"}),
    ],
)
def test_the_best_leads_that_are_not_flat_are_delineated(signal: Ecg, expected: set[str]) -> None:
    for beat in measured(signal).beats:
        assert set(beat.beat.leads) == expected
        assert len(beat.beat.leads) <= MAX_LEADS


def test_st_levels_are_measured_in_all_leads() -> None:
    beats = measured(SIGNAL).beats
    assert len(beats) >= 10
    assert all(set(beat.st_mv) == set(STANDARD_12) for beat in beats)


def test_intervals_of_six_leads_are_those_of_twelve(monkeypatch: pytest.MonkeyPatch) -> None:
    six = measured(SIGNAL).beats
    monkeypatch.setattr("models.arrhythmia.wave_history.MAX_LEADS", len(STANDARD_12))
    twelve = measured(SIGNAL).beats
    for name in ("qrs_ms", "pr_ms", "qt_ms"):
        a, b = (np.array([getattr(beat, name) for beat in beats], float) for beats in (six, twelve))
        assert abs(np.nanmedian(a) - np.nanmedian(b)) <= 8.0, name
