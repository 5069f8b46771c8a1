"""Fault 16: a gain that is wrong by 1000 or 100 is an implausible amplitude: never an asystole, never a verdict.

A flat line of an attached lead stays what it is: asystole.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.arrhythmia.result import RhythmResult
from models.arrhythmia.tier import RhythmTier, update_chunks
from models.ecg import Ecg
from models.measurement.measure import measure
from models.records import read_record
from models.signal.quality import IMPLAUSIBLE
from tests.faults.recordings import paced_at, real_ecg, twelve

STOP_S = 12.0


def judge(ecg: Ecg) -> list[RhythmResult]:
    tier = RhythmTier(ecg.leads, ecg.fs_hz)
    return [tier.push(chunk) for chunk in update_chunks(ecg)]


def codes(results: list[RhythmResult]) -> set[str]:
    return {episode.code for result in results for episode in result.episodes}


def scaled(ecg: Ecg, factor: float, from_s: float = 0.0) -> Ecg:
    mv = ecg.mv.copy()
    mv[:, round(from_s * ecg.fs_hz) :] *= np.float32(factor)
    return Ecg(ecg.leads, ecg.fs_hz, mv)


@pytest.mark.parametrize(
    ("factor", "leads"), [(0.001, 1), (0.001, 12), (0.01, 1), (100.0, 1), (100.0, 12), (1000.0, 1), (1000.0, 12)]
)
def test_a_wrong_gain_is_an_implausible_amplitude(factor: float, leads: int) -> None:
    ecg = real_ecg(20) if leads == 1 else twelve(20)
    results = judge(scaled(ecg, factor))
    assert codes(results) == set()
    for result in results[4:]:
        assert result.usable_leads == ()
        assert result.implausible_leads == ecg.leads
        assert not result.judged
        assert result.rhythm is None


@pytest.mark.parametrize("factor", [0.001, 0.01, 100.0, 1000.0])
def test_a_gain_that_becomes_wrong_is_no_standstill(factor: float) -> None:
    ecg = real_ecg(30)
    results = judge(scaled(ecg, factor, from_s=12.4))
    assert "ASYSTOLE" not in codes(results)
    assert results[10].judged
    for result in results[20:]:
        assert result.implausible_leads == ecg.leads
        assert not result.judged


def test_a_gain_that_is_mended_is_judged_again() -> None:
    ecg = scaled(scaled(real_ecg(30), 0.001), 1000.0, from_s=12.0)
    results = judge(ecg)
    assert codes(results) <= {"MISSED_BEAT"}
    assert results[22].judged
    assert results[-1].hr == pytest.approx(110, abs=8)


@pytest.mark.parametrize("before_s", [0.0, 12.0])
def test_the_flat_line_of_an_attached_lead_is_asystole(before_s: float) -> None:
    """With the noise of an amplifier, 2 uV, in steps of 2.5 uV; without any beat before, and after 12 s of beats."""
    ecg = real_ecg(before_s + STOP_S)
    n = ecg.n_samples - round(before_s * ecg.fs_hz)
    noise = np.random.default_rng(1).normal(0, 0.002, n)
    mv = ecg.mv.copy()
    mv[:, -n:] = np.round(noise / 0.0025) * 0.0025
    assert "ASYSTOLE" in codes(judge(Ecg(ecg.leads, ecg.fs_hz, mv)))


def test_p_waves_without_qrs_complexes_are_asystole() -> None:
    """Ventricular standstill: P waves of 0.04 mV go on at 80 a minute."""
    ecg, _ = paced_at(70, 12)
    at = np.arange(round(STOP_S * ecg.fs_hz)) / ecg.fs_hz
    p_waves = sum(0.04 * np.exp(-0.5 * ((at - r) / 0.025) ** 2) for r in np.arange(0.6, STOP_S, 0.75))
    p_waves = p_waves + np.random.default_rng(2).normal(0, 0.002, len(at))
    mv = np.concatenate([ecg.mv, p_waves[None].astype(np.float32)], axis=1)
    assert "ASYSTOLE" in codes(judge(Ecg(ecg.leads, ecg.fs_hz, mv)))


@pytest.mark.parametrize("factor", [0.001, 1000.0])
def test_measure_says_so_in_the_quality(factor: float) -> None:
    found = measure(scaled(real_ecg(20), factor))
    assert found.quality["II"].state == IMPLAUSIBLE
    assert found.quality["II"].score == 0.0
    assert found.intervals["QRS"] is None


@pytest.mark.data
@pytest.mark.parametrize(("record", "start_s"), [("207", 0.0), ("207", 1500.0), ("207", 1546.0)])
def test_flutter_and_the_first_beats_of_a_bigeminy_at_a_thousandth_are_no_standstill(
    data_home: Path, record: str, start_s: float
) -> None:
    """Ventricular flutter has no beats, and four seconds of bigeminy two of a kind."""
    whole = read_record(data_home / "mitdb" / "data" / record)
    ecg = whole.slice(round(start_s * whole.fs_hz), round((start_s + 60.0) * whole.fs_hz))
    results = judge(scaled(ecg, 0.001))
    assert codes(results) == set()
    assert all(result.implausible_leads == ecg.leads and not result.judged for result in results[4:])


@pytest.mark.parametrize("step_mv", [0.0, 0.0006, 0.0025, 0.005])
@pytest.mark.parametrize("noise_mv", [0.0, 1e-6, 0.0003, 0.001])
def test_a_quiet_flat_line_that_drifts_is_asystole(step_mv: float, noise_mv: float) -> None:
    """Whatever the noise and the steps of its converter: a standstill is never taken for a wrong gain."""
    at = np.arange(round(STOP_S * 250.0)) / 250.0
    line = 0.004 * at / STOP_S + np.random.default_rng(1).normal(0, noise_mv, len(at))
    if step_mv:
        line = np.round(line / step_mv) * step_mv
    assert "ASYSTOLE" in codes(judge(Ecg(("II",), 250.0, line[None].astype(np.float32))))
