"""The bed's dominant beat: its own beats are like it, strangers are not, and it follows a lasting change."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.beats.detector import Beat
from models.beats.template import FEWEST_BEATS, KEPT_BEATS, DominantBeatTemplate

FS = 250.0
LEADS = ("II", "V1")


def signal(kinds: str, fs: float = FS, rr_s: float = 0.8) -> tuple[NDArray[np.float32], list[Beat]]:
    """Narrow upright beats (N) and wide inverted ones (V), two leads, a little noise."""
    t = np.arange(round((len(kinds) + 1) * rr_s * fs)) / fs
    mv = np.random.default_rng(3).normal(0, 0.01, (2, len(t))).astype(np.float32)
    beats = []
    for k, kind in enumerate(kinds):
        at, width, height = (k + 1) * rr_s, 0.02 if kind == "N" else 0.06, 1.0 if kind == "N" else -1.4
        mv += (np.array([[1.0], [-0.6]]) * height * np.exp(-(((t - at) / width) ** 2))).astype(np.float32)
        beats.append(Beat(round(at * fs), kind, LEADS))
    return mv, beats


def likeness(kinds: str, fs: float = FS) -> list[float]:
    mv, beats = signal(kinds, fs)
    dominant = DominantBeatTemplate(LEADS, fs)
    return [dominant.add(mv, 0, beat) for beat in beats[:-1]]


def test_nothing_is_said_before_six_beats_are_known() -> None:
    assert all(np.isnan(likeness("N" * 12)[:FEWEST_BEATS]))


@pytest.mark.parametrize("fs", [125.0, 250.0, 500.0])
def test_own_beats_are_alike_and_strangers_are_not(fs: float) -> None:
    like = likeness("N" * 14 + "VVVV" + "NNN", fs)
    assert min(like[FEWEST_BEATS:14]) > 0.95 and max(like[14:18]) < 0.5 and min(like[18:]) > 0.95


def test_what_lasts_becomes_the_beds_own() -> None:
    like = likeness("N" * KEPT_BEATS + "V" * (KEPT_BEATS + 2))
    assert max(like[KEPT_BEATS : KEPT_BEATS + 10]) < 0.5 and like[-1] > 0.95


def test_a_beat_whose_end_has_not_come_is_not_judged() -> None:
    mv, beats = signal("N" * 12)
    dominant = DominantBeatTemplate(LEADS, FS)
    for beat in beats[:10]:
        dominant.add(mv, 0, beat)
    cut = beats[10].sample + round(0.1 * FS)
    assert np.isnan(dominant.likeness(mv[:, :cut], 0, beats[10])) and dominant.likeness(mv, 0, beats[10]) > 0.95


def test_a_lead_that_falls_off_or_comes_back_makes_no_strangers() -> None:
    mv, beats = signal("N" * 30)
    mv[1, beats[12].sample - 50 : beats[20].sample + 60] = np.nan
    dominant = DominantBeatTemplate(LEADS, FS)
    like = [dominant.add(mv, 0, beat) for beat in beats[:-1]]
    assert min(like[FEWEST_BEATS:]) > 0.9
