"""Refinement moves global boundaries by a few milliseconds, keeps their order, and leaves few leads alone."""

from __future__ import annotations

import numpy as np
import pytest

from models.measurement.boundary_refiner import (
    BOUNDARIES,
    MAX_SHIFT_S,
    MIN_LEADS,
    SPREAD,
    TOP_POINTS,
    BeatMarks,
    BoundaryRidge,
    Slopes,
    boundary_features,
    evenly,
    refined,
    spread_features,
)
from models.measurement.delineation import MARKS

FS = 500.0
COLUMNS = {name: k for k, name in enumerate(MARKS)}
ONE = {
    "p_on": 100,
    "p_peak": 130,
    "p_off": 155,
    "qrs_on": 190,
    "qrs_off": 235,
    "t_on": 300,
    "t_peak": 360,
    "t_off": 400,
}


def marks_of(leads: int, **other: float) -> BeatMarks:
    row = np.array([{**ONE, **other}[name] for name in MARKS], np.float64)
    return BeatMarks(overall=row[None], leads=np.tile(row, (1, leads, 1)), columns=COLUMNS)


def signal(leads: int) -> np.ndarray:
    x = np.zeros(600, np.float32)
    x[100:156] += 0.15 * np.hanning(56)
    x[190:236] += 1.2 * np.hanning(46)
    x[300:401] += 0.3 * np.hanning(101)
    return np.tile(x, (leads, 1)) * np.linspace(0.5, 1.5, leads, dtype=np.float32)[:, None]


def test_boundaries_move_by_at_most_the_limit_and_nothing_else_moves() -> None:
    marks = marks_of(12)
    out = refined(marks, signal(12), FS)
    moved = {name: float(out[0, k] - marks.overall[0, k]) / FS for name, k in COLUMNS.items()}
    assert all(abs(moved[b.mark]) <= MAX_SHIFT_S + 0.5 / FS for b in BOUNDARIES)
    assert any(moved[b.mark] for b in BOUNDARIES)
    assert all(moved[name] == 0.0 for name in set(MARKS) - {b.mark for b in BOUNDARIES})


def test_fewer_leads_than_it_was_trained_for_are_left_alone() -> None:
    marks = marks_of(MIN_LEADS - 1)
    assert np.array_equal(refined(marks, signal(MIN_LEADS - 1), FS), marks.overall)


def test_an_absent_wave_stays_absent() -> None:
    marks = marks_of(12, p_on=np.nan, p_peak=np.nan, p_off=np.nan)
    out = refined(marks, signal(12), FS)
    assert np.isnan(out[0, COLUMNS["p_on"]]) and np.isfinite(out[0, COLUMNS["qrs_on"]])


def test_boundaries_that_would_cross_stay_where_they_are() -> None:
    marks = marks_of(12, qrs_on=233, p_off=232)
    out = refined(marks, signal(12), FS)
    assert out[0, COLUMNS["qrs_on"]] < out[0, COLUMNS["qrs_off"]]


@pytest.mark.parametrize("fold", [None, "0", "1", "2", "3", "4"])
def test_weights_fit_the_features(fold: str | None) -> None:
    for boundary in BOUNDARIES:
        beats, features = boundary_features(marks_of(12), Slopes(signal(12), FS), FS, [boundary])[0]
        shift = BoundaryRidge.load(fold).shift_s(boundary.mark, features)
        assert len(beats) == 1 and shift.shape == (1,) and np.isfinite(shift).all()


def test_features_do_not_depend_on_the_gain() -> None:
    for boundary in BOUNDARIES:
        slopes = (Slopes(gain * signal(12), FS) for gain in (1.0, 10.0))
        once, ten = (boundary_features(marks_of(12), each, FS, [boundary])[0][1] for each in slopes)
        assert np.allclose(once, ten, atol=1e-4)


def test_quantiles_and_mean_of_the_leads_are_those_of_numpy() -> None:
    spread = np.random.default_rng(1).normal(0.0, 0.02, (40, 12))
    spread[np.random.default_rng(2).random(spread.shape) < 0.3] = np.nan
    quantiles, mean = spread_features(spread)
    assert np.array_equal(quantiles, np.nanquantile(spread, SPREAD, axis=1).T)
    assert np.array_equal(mean, np.nanmean(spread, axis=1))


def test_points_along_a_wave_are_those_of_linspace_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    first, last = rng.uniform(0, 5000, 400), rng.uniform(0, 5000, 400)
    assert np.array_equal(evenly(first, last), np.linspace(first, last, TOP_POINTS, axis=1))
    last[7] = first[7]  # a wave without length
    assert np.array_equal(evenly(first, last), np.linspace(first, last, TOP_POINTS, axis=1))
    assert evenly(first[:0], last[:0]).shape == (0, TOP_POINTS)
