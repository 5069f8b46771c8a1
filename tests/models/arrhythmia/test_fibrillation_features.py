"""Fibrillation features are computed where half of the leads may fibrillate, and left out on a line that rests."""

from __future__ import annotations

import numpy as np
import pytest

from models.arrhythmia.criteria.fibrillation import LIKELY, waves_like_fibrillation
from models.arrhythmia.fibrillation_features import (
    FEATURES,
    fibrillation_features,
    may_fibrillate,
    most_may_fibrillate,
    most_outside,
    most_too_low,
    rest_shares,
)

FS = 250.0
NOW = np.zeros(1)
T = np.arange(round(4.0 * FS)) / FS
COARSE = (0.4 * np.sin(2 * np.pi * 4.6 * T + 0.4 * np.sin(2 * np.pi * 0.7 * T))).astype(np.float32)
BEATS = np.exp(-0.5 * (((T % 0.8) - 0.4) / 0.012) ** 2).astype(np.float32)


@pytest.mark.parametrize(
    ("fibrillating", "leads", "expected"), [(1, 1, True), (2, 4, True), (1, 4, False), (0, 3, False)]
)
def test_half_of_the_leads_must_fibrillate(fibrillating: int, leads: int, expected: bool) -> None:
    mv = np.stack([COARSE] * fibrillating + [BEATS] * (leads - fibrillating))
    assert most_may_fibrillate(rest_shares(mv, FS, 4.0, NOW)).tolist() == [expected]
    assert may_fibrillate(mv, FS) is (fibrillating > 0)
    assert int(waves_like_fibrillation(fibrillation_features(mv, FS), LIKELY).sum()) == fibrillating


def test_a_lead_with_a_missing_sample_may_fibrillate() -> None:
    mv = np.stack([BEATS, BEATS])
    mv[0, 100] = np.nan
    assert most_may_fibrillate(rest_shares(mv, FS, 4.0, NOW)).all()


@pytest.mark.parametrize("fs", [FS, 500.0])
def test_windows_together_rest_like_each_alone(fs: float) -> None:
    mv = np.random.default_rng(0).normal(0.0, 0.1, (3, round(6.0 * fs))).cumsum(axis=1).astype(np.float32)
    mv[1, round(2.2 * fs) :][:4] = np.nan
    ends_s = np.arange(4) * 0.25
    together = rest_shares(mv, fs, 4.0, ends_s)
    parts = [mv[:, : mv.shape[1] - round(end * fs)] for end in ends_s]
    each = [rest_shares(part, fs, 4.0, NOW)[:, 0] for part in parts]
    assert np.array_equal(together, np.stack(each, axis=1), equal_nan=True)
    assert np.isnan(together[1]).tolist() == [True] * 4


def test_features_that_cannot_change_the_decision_are_left_out() -> None:
    with_one, with_two = (np.stack([COARSE] * n + [BEATS] * (4 - n)) for n in (1, 2))
    assert np.array_equal(fibrillation_features(with_two, FS, LIKELY), fibrillation_features(with_two, FS))
    quick = fibrillation_features(with_one, FS, LIKELY)
    assert not waves_like_fibrillation(quick, LIKELY).any()
    whole = fibrillation_features(with_one, FS)
    there = np.isfinite(quick)
    assert there.any() and np.array_equal(quick[there], whole[there])


@pytest.mark.parametrize("fs", [FS, 500.0])
def test_what_most_leads_exclude_no_lead_shows(fs: float) -> None:
    """Windows of beats are excluded; no window in which half of the leads are within the bounds ever is."""
    rng = np.random.default_rng(0)
    beats, waves = (np.interp(np.arange(round(4 * fs)) / fs, T, x) for x in (BEATS, COARSE))
    excluded = 0
    for fibrillating in range(5):
        parts = [
            (np.stack([waves] * fibrillating + [beats] * (4 - fibrillating)) + rng.normal(0.0, 0.01, (4, len(beats))))
            .astype(np.float32)
            for _ in range(3)
        ]  # fmt: skip
        parts[2][1, 7] = np.nan
        for order in ((0, 1, 2, 3), (3, 2, 1, 0)):
            found = most_outside(parts, fs, LIKELY, order)
            excluded += sum(found)
            for part, outside in zip(parts, found, strict=True):
                likely = waves_like_fibrillation(fibrillation_features(part, fs, LIKELY), LIKELY)
                assert not (outside and likely.any())
    assert excluded >= 6
    assert most_outside([parts[0][:, : round(fs / 2)]], fs, LIKELY, (0, 1, 2, 3)) == [False] and not most_outside(
        [], fs, LIKELY, ()
    )


def test_most_leads_that_are_too_low_have_no_waves_of_fibrillation() -> None:
    """No window has more than a signal's size allows for, whatever its shape; where most leads are low, none has."""
    rng, n, rms_mv = np.random.default_rng(0), round(4.0 * FS), LIKELY["rms_mv"]
    too_low = 0
    for trial in range(60):
        held = (1, 10, 50, 200)[trial % 4]
        levels = np.repeat(rng.choice([-1.0, 1.0], size=(3, 5 * 250 // held + 1)), held, axis=1)[:, : 5 * 250]
        levels[:, rng.integers(0, 1250)] = 3.0
        mv = (levels * rng.uniform(0.003, 0.06)).astype(np.float32)
        windows = [fibrillation_features(mv[:, -n - end : mv.shape[1] - end], FS) for end in (0, 60, 120, 180)]
        largest = max(float(features[:, FEATURES.index("rms_mv")].max()) for features in windows)
        if most_too_low(mv, n, rms_mv):
            too_low += 1
            assert largest < rms_mv
    assert 5 < too_low < 55
    mv[1:, 7] = np.nan
    assert not most_too_low(mv * 0.0, n, rms_mv)
