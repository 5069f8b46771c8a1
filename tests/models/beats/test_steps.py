"""A step of the baseline is no beat, and no beat is taken for a step."""

from __future__ import annotations

import numpy as np
import pytest

from models.beats.detector import find_beats
from models.beats.steps import is_step
from models.ecg import Ecg
from tests.agents.signals import ecg

FS = 250.0
SLOW = ecg(30, 30.0)  # a beat each 2 s from 0.4 s on


def with_step(at_s: float, mv: float, leads: tuple[int, ...]) -> Ecg:
    stepped = SLOW.mv.copy()
    stepped[list(leads), round(at_s * FS) :] += mv
    return Ecg(SLOW.leads, FS, stepped)


@pytest.mark.parametrize("leads", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("mv", [-3.0, -0.5, 0.5, 3.0])
def test_a_step_between_beats_adds_none_and_hides_none(mv: float, leads: tuple[int, ...]) -> None:
    expected = [beat.sample for beat in find_beats(SLOW)]
    for at_s in (15.3, 15.7, 16.05):  # 100 to 350 ms before and after the beats at 14.4 and 16.4 s, and between
        found = [beat.sample for beat in find_beats(with_step(at_s, mv, leads))]
        assert len(found) == len(expected) and np.allclose(found, expected, atol=5), at_s


def test_an_amplifier_that_leaves_its_rail_adds_no_beat_beside_a_lead_that_shows_them() -> None:
    rail = SLOW.mv.copy()
    rail[1, : round(15.8 * FS)] = 5.0
    (near,) = [beat.sample / FS for beat in find_beats(Ecg(SLOW.leads, FS, rail)) if 14.5 < beat.sample / FS < 17.5]
    assert near == pytest.approx(16.4, abs=0.05)


def shape(points: list[tuple[float, float]]) -> np.ndarray:
    """Two seconds of a line through (ms after 1 s, mV)."""
    t = np.arange(round(2 * FS)) / FS
    at, mv = zip(*points, strict=True)
    return np.interp((t - 1.0) * 1000, at, mv).astype(np.float32)[None]


STEP = shape([(-8, 0), (8, 1.2)])
QRS = shape([(-40, 0), (-20, -0.2), (0, 1.2), (20, -0.4), (45, 0)])
WIDE = shape([(-90, 0.0), (-60, 0.45), (10, 0.5), (30, -0.4), (250, -0.9), (400, 0)])  # of a clipped amplifier
BLOCK = shape([(-70, 0), (0, 1.2), (70, -0.3), (300, -0.6), (400, 0)])


@pytest.mark.parametrize(("mv", "expected"), [(STEP, True), (-STEP, True), (QRS, False), (WIDE, False), (BLOCK, False)])
def test_a_step_keeps_its_level_on_both_sides(mv: np.ndarray, expected: bool) -> None:
    assert is_step(mv, FS, round(FS)) == expected


def test_a_beat_of_another_lead_at_the_step_is_kept() -> None:
    assert not is_step(np.vstack([3 * STEP, QRS]), FS, round(FS))
    assert is_step(np.vstack([3 * STEP, 0.05 * QRS]), FS, round(FS))
