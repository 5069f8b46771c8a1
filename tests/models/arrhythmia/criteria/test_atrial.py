"""Atrial rhythm: how RRs scatter, what is called fibrillation, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

from models.arrhythmia.criteria.atrial import FEATURES, AtrialClassifier, rr_features
from models.beats.series import BeatTrack
from tests.models.arrhythmia.tracks import track

RNG = np.random.default_rng(3)
FIBRILLATING = (0.75 + 0.16 * RNG.standard_normal(40)).clip(0.4, 1.3).tolist()
SINUS = (0.85 + 0.04 * np.sin(np.arange(40) / 2.5) + 0.008 * RNG.standard_normal(40)).tolist()
PREMATURE = [0.8, 0.8, 0.8, 0.55, 1.05] * 8


def odds(t: BeatTrack, absent_p: float) -> float:
    features = rr_features(t, 0)
    assert features is not None and len(features) == len(FEATURES) - 1
    return AtrialClassifier.load()(np.array([*features, absent_p]))


def test_irregular_rrs_without_p_waves_are_fibrillation_and_sinus_rhythm_is_not() -> None:
    assert odds(track(FIBRILLATING), absent_p=0.95) > 0.0 > odds(track(SINUS), absent_p=0.05)


def test_premature_beats_in_a_regular_rhythm_are_less_like_it_than_fibrillation() -> None:
    assert odds(track(PREMATURE), absent_p=0.1) < odds(track(FIBRILLATING), absent_p=0.9) - 1.0


def test_rrs_beside_ventricular_beats_do_not_count() -> None:
    rr = [0.8, 0.8, 0.8, 0.5, 1.1] * 8
    kinds = ("NNNNV" * 8) + "N"
    features = rr_features(track(rr, kinds), 0)
    assert features is not None and features[0] == pytest.approx(0.0, abs=1e-9)


def test_too_few_beats_tell_nothing() -> None:
    assert rr_features(track(FIBRILLATING[:6]), 0) is None


def test_the_weights_of_a_fold_that_are_missing_are_an_error() -> None:
    with pytest.raises(FileNotFoundError, match=r"no afib_fold7\.npz"):
        AtrialClassifier.load("7")
    assert AtrialClassifier.weights_path("3").is_file() and AtrialClassifier.weights_path().is_file()
