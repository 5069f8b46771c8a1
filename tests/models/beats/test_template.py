"""Dominant-beat template: it correlates with the bed's own beats, not with others, and follows a lasting change."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.beats.detector import Beat
from models.beats.template import KEPT_BEATS, MIN_BEATS, DominantBeatTemplate

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


def correlations(kinds: str, fs: float = FS) -> list[float]:
    mv, beats = signal(kinds, fs)
    template = DominantBeatTemplate(LEADS, fs)
    return [template.add(mv, 0, beat) for beat in beats[:-1]]


def test_there_is_no_correlation_before_six_beats() -> None:
    assert all(np.isnan(correlations("N" * 12)[:MIN_BEATS]))


@pytest.mark.parametrize("fs", [125.0, 250.0, 500.0])
def test_dominant_beats_correlate_and_others_do_not(fs: float) -> None:
    correlation = correlations("N" * 14 + "VVVV" + "NNN", fs)
    assert min(correlation[MIN_BEATS:14]) > 0.95 and max(correlation[14:18]) < 0.5 and min(correlation[18:]) > 0.95


def test_a_lasting_morphology_becomes_the_template() -> None:
    correlation = correlations("N" * KEPT_BEATS + "V" * (KEPT_BEATS + 2))
    assert max(correlation[KEPT_BEATS : KEPT_BEATS + 10]) < 0.5 and correlation[-1] > 0.95


def test_a_beat_whose_end_has_not_come_has_no_correlation() -> None:
    mv, beats = signal("N" * 12)
    template = DominantBeatTemplate(LEADS, FS)
    for beat in beats[:10]:
        template.add(mv, 0, beat)
    cut = beats[10].sample + round(0.1 * FS)
    assert np.isnan(template.correlation(mv[:, :cut], 0, beats[10])) and template.correlation(mv, 0, beats[10]) > 0.95


def test_a_lead_that_falls_off_or_comes_back_does_not_lower_the_correlation() -> None:
    mv, beats = signal("N" * 30)
    mv[1, beats[12].sample - 50 : beats[20].sample + 60] = np.nan
    template = DominantBeatTemplate(LEADS, FS)
    correlation = [template.add(mv, 0, beat) for beat in beats[:-1]]
    assert min(correlation[MIN_BEATS:]) > 0.9


@pytest.mark.parametrize("cycle", ["NV", "NNV", "VNV"])
def test_in_sustained_bigeminy_the_template_is_that_of_the_beats_that_are_not_ventricular(cycle: str) -> None:
    kinds = "N" * 8 + cycle * 40
    correlation = np.array(correlations(kinds))[MIN_BEATS:]
    normal = np.array([kind == "N" for kind in kinds[MIN_BEATS:]])[: len(correlation)]
    assert correlation[normal].min() > 0.95 and correlation[~normal].max() < 0.5


def test_where_all_beats_look_ventricular_the_largest_class_is_dominant() -> None:
    assert min(correlations("V" * 40)[MIN_BEATS:]) > 0.95


def test_ventricular_beats_do_not_become_dominant_by_number_alone() -> None:
    correlation = correlations("N" * 8 + "V" * 18 + "NN")
    assert max(correlation[8:26]) < 0.5 and correlation[26] > 0.95


def test_the_classes_depend_on_the_last_24_beats_alone() -> None:
    mv, beats = signal("N" * 30 + "NV" * 20)
    whole, late = DominantBeatTemplate(LEADS, FS), DominantBeatTemplate(LEADS, FS)
    one = [whole.add(mv, 0, beat) for beat in beats[:-1]]
    other = [late.add(mv, 0, beat) for beat in beats[30:-1]]
    assert one[30 + KEPT_BEATS :] == other[KEPT_BEATS:]
