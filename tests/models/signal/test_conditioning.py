"""Resampling keeps time and shape, gaps stay gaps, and limb leads follow from two others."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from models.ecg import Ecg
from models.leads import STANDARD_12
from models.signal.conditioning import (
    _interpolation_filters,
    _low_pass,
    _ratio,
    fill_gaps,
    resample,
    to_twelve,
    without_baseline,
)


@pytest.mark.parametrize("fs", [50, 128, 257.3, 360, 1000, 2000])
def test_a_wave_keeps_its_place_at_any_rate(fs: float) -> None:
    at = np.arange(round(10 * fs)) / fs
    bump = np.exp(-0.5 * ((at - 4.0) / 0.03) ** 2).astype(np.float32)[None]
    out = resample(bump, fs, 500)
    assert out.shape == (1, 5000)
    assert np.argmax(out[0]) / 500 == pytest.approx(4.0, abs=0.006)
    assert out.max() == pytest.approx(1.0, abs=0.03)


def odd_rates(n: int) -> list[float]:
    """Rates from 50 to 2000 Hz: anywhere, and within 0.1 % of those that signals are resampled to."""
    rng = np.random.default_rng(6)
    near = rng.choice([100.0, 125.0, 250.0, 500.0, 1000.0], n // 2) * (1 + rng.uniform(-1e-3, 1e-3, n // 2))
    return [250.02, 249.98, 500.05, 250.0001, 2000 / 3, *near.tolist(), *rng.uniform(50, 2000, n // 2).tolist()]


def test_any_rate_keeps_time_to_a_millisecond_over_ten_seconds() -> None:
    """Wave of 3 Hz: the phase of its last seconds gives the time error; 1 ms is 0.019 of phase."""
    for fs in odd_rates(400):
        wave = np.sin(2 * np.pi * 3.0 * np.arange(round(10 * fs)) / fs).astype(np.float32)[None]
        for to_fs in (100.0, 250.0, 500.0):
            out = resample(wave, fs, to_fs)[0]
            assert abs(len(out) - 10 * to_fs) <= 1 + to_fs / fs
            at = np.arange(len(out))[round(7.5 * to_fs) : round(9.5 * to_fs)] / to_fs
            phase = np.angle(np.sum(out[round(7.5 * to_fs) : round(9.5 * to_fs)] * np.exp(-2j * np.pi * 3.0 * at)) * 1j)
            assert abs(phase) / (2 * np.pi * 3.0) < 0.5e-3, (fs, to_fs)
            assert np.abs(out[: len(at)]).max() < 1.1


def test_the_filters_of_any_rate_are_small() -> None:
    for fs in odd_rates(100):
        if _ratio(fs, 250.0) is None:
            assert _interpolation_filters(fs, 250.0).nbytes < 400_000
        elif _ratio(fs, 250.0) != (1, 1):
            assert _low_pass(*_ratio(fs, 250.0)).nbytes < 100_000


def test_a_rate_without_small_terms_is_filtered_like_one_with() -> None:
    """White noise at 360 Hz and at 360.01 Hz: the same filter, but for the time of the samples."""
    x = np.random.default_rng(2).normal(0, 1, (3, 3600)).astype(np.float32)
    assert np.abs(resample(x, 360.0, 250.0)[:, :50] - resample(x, 360.002, 250.0)[:, :50]).max() < 0.05


@pytest.mark.parametrize(("fs", "to_fs"), [(500, 250), (360, 250), (1000, 250), (500, 100), (128, 250), (257.3, 500)])
def test_a_straight_line_stays_one_to_its_ends(fs: float, to_fs: float) -> None:
    line = (3.0 * np.arange(round(6 * fs)) / fs - 5.0).astype(np.float32)[None]
    out = resample(line, fs, to_fs)[0]
    assert out == pytest.approx(3.0 * np.arange(len(out)) / to_fs - 5.0, abs=0.02)


def test_by_blocks_or_by_a_filter_it_is_the_same() -> None:
    """Thirteen leads, so that the blocks of one product do not end with a lead."""
    rng = np.random.default_rng(1)
    x = np.cumsum(rng.normal(0, 0.01, (13, 5001)), axis=1).astype(np.float32)
    by_filter = signal.resample_poly(x.astype(float), 1, 2, axis=1, window=("kaiser", 5.0), padtype="line")
    assert np.abs(resample(x, 500, 250) - by_filter[:, :2500]).max() < 1e-4


def test_gaps_stay_gaps() -> None:
    mv = np.ones((1, 1000), np.float32)
    mv[0, 400:500] = np.nan
    out = resample(mv, 250, 500)
    assert np.isnan(out[0, 810:990]).all()
    assert np.isfinite(out[0, :790]).all()


def test_a_gap_is_bridged_by_a_straight_line() -> None:
    filled, missing = fill_gaps(np.array([[0, np.nan, np.nan, 3], [np.nan] * 4], np.float32))
    assert filled.tolist() == [[0, 1, 2, 3], [0, 0, 0, 0]]
    assert missing.sum() == 6


def test_baseline_goes_and_the_beat_stays() -> None:
    at = np.arange(2500) / 250
    beat = np.exp(-0.5 * ((at - 5) / 0.02) ** 2)
    out = without_baseline((beat + 2 * np.sin(2 * np.pi * 0.1 * at) + 1)[None].astype(np.float32), 250)
    assert out[0, 1250] == pytest.approx(1.0, abs=0.15)
    assert np.abs(out[0, 300:1000]).max() < 0.15


def test_twelve_leads_from_two() -> None:
    rng = np.random.default_rng(0)
    ecg = Ecg(("I", "II"), 250.0, rng.normal(0, 1, (2, 2500)).astype(np.float32))
    mv, present = to_twelve(ecg)
    assert mv.shape == (12, 5000)
    assert present.tolist() == [True] * 6 + [False] * 6
    assert np.allclose(mv[2], mv[1] - mv[0], atol=1e-4)
    assert not mv[6:].any()


def test_a_detached_lead_is_absent() -> None:
    ecg = Ecg(STANDARD_12, 500.0, np.ones((12, 5000), np.float32), leads_off=("V3",))
    _, present = to_twelve(ecg)
    assert present.sum() == 11
    assert not present[STANDARD_12.index("V3")]


def test_the_twelve_in_order_at_their_rate_are_those_of_any_order() -> None:
    mv = np.random.default_rng(0).normal(size=(12, 5000)).astype(np.float32)
    ordered, present = to_twelve(Ecg(STANDARD_12, 500.0, mv))
    turned, turned_present = to_twelve(Ecg(STANDARD_12[::-1], 500.0, mv[::-1]))
    assert np.array_equal(ordered, turned) and present.all() and turned_present.all()
    ordered[:] = 0.0
    assert mv.any(), "the signal itself is given away"
    mv[2], mv[3, 10:12] = np.nan, np.nan
    gaps, present = to_twelve(Ecg(STANDARD_12, 500.0, mv, leads_off=("V6",)))
    assert np.isfinite(gaps).all() and not present[STANDARD_12.index("V6")] and not gaps[3, 10:12].any()
    assert np.allclose(gaps[2], mv[1] - mv[0], atol=1e-6)  # III follows from I and II
