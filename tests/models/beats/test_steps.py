"""A step of the baseline is no beat, and no beat is taken for a step."""

from __future__ import annotations

import numpy as np
import pytest

from models.beats.detector import find_beats
from models.beats.steps import without_steps
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


@pytest.mark.parametrize("mv", [STEP, -STEP, np.vstack([STEP, -STEP]), STEP + 3.0])
def test_a_step_is_taken_out(mv: np.ndarray) -> None:
    assert np.allclose(without_steps(mv, FS), mv[:, :1], atol=1e-5)


@pytest.mark.parametrize("mv", [QRS, WIDE, BLOCK, 0.1 * STEP])
def test_what_does_not_keep_its_level_on_both_sides_stays(mv: np.ndarray) -> None:
    assert without_steps(mv, FS) is mv


def test_the_lead_with_the_step_alone_is_changed() -> None:
    mv = np.vstack([3 * STEP, QRS])
    cleaned = without_steps(mv, FS)
    assert np.ptp(cleaned[0]) < 0.01
    assert np.array_equal(cleaned[1], QRS[0])


def test_one_step_after_the_other_is_taken_out() -> None:
    there_and_back = STEP - np.roll(STEP, round(0.5 * FS), axis=1) * (np.arange(STEP.shape[1]) >= 1.3 * FS)
    assert np.ptp(without_steps(there_and_back, FS)) < 0.01


@pytest.mark.parametrize("mv", [-3.0, 3.0, 6.0])
@pytest.mark.parametrize(("leads", "rows"), [(("II", "V1"), [0, 1]), (("I", "II", "V"), [0, 2])])
def test_a_beat_beside_a_step_that_is_larger_is_found(leads: tuple[str, ...], rows: list[int], mv: float) -> None:
    whole = ecg(30, 30.0, leads=leads)
    for phase_s, after_ms in ((0.5, 80), (0.45, 60), (0.6, 80), (0.65, 100), (0.65, 180)):
        beats = Ecg(whole.leads, FS, whole.mv[:, round(phase_s * FS) :])
        expected = [beat.sample for beat in find_beats(beats)]
        stepped = beats.mv.copy()
        stepped[rows, expected[7] + round(after_ms / 1000 * FS) :] += mv
        found = [beat.sample for beat in find_beats(Ecg(beats.leads, FS, stepped))]
        assert len(found) == len(expected) and np.allclose(found, expected, atol=10), (phase_s, after_ms)
