"""Fault 14: complexes of less than 0.15 mV are not counted (IEC 60601-2-27); those of 0.5 mV are."""

from __future__ import annotations

import numpy as np
import pytest

from models.arrhythmia.tier import RhythmTier, find_episodes, update_chunks
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


def test_a_heart_that_is_not_counted_is_never_called_regular() -> None:
    """QRS complexes of 0.12 mV are no beats: asystole is raised within 10 s, as IEC 60601-2-27 has it."""
    ecg, _ = scaled(0.12)
    episodes = find_episodes(ecg)
    assert [e.code for e in episodes if e.code == "ASYSTOLE"] == ["ASYSTOLE"]
    assert episodes[0].detected / ecg.fs_hz <= 10.0
    tier = RhythmTier(ecg.leads, ecg.fs_hz)
    assert "regular rhythm" not in {tier.push(chunk).rhythm for chunk in list(update_chunks(ecg))[4:]}


@pytest.mark.parametrize("peak_to_peak_mv", [0.003, 0.01, 0.03, 0.04, 0.05])
def test_complexes_of_hundredths_of_a_millivolt_are_an_implausible_amplitude(peak_to_peak_mv: float) -> None:
    ecg, _ = scaled(peak_to_peak_mv)
    assert find_episodes(ecg) == []
    tier = RhythmTier(ecg.leads, ecg.fs_hz)
    results = [tier.push(chunk) for chunk in update_chunks(ecg)]
    assert all(result.implausible_leads == ("II",) and not result.judged for result in results[4:])


def test_half_a_millivolt_raises_nothing() -> None:
    assert find_episodes(scaled(0.5)[0]) == []
